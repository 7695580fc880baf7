// Copyright 2026 The bifsmn_tf Authors.
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

#include "custom_ops/tflite/op.h"

#include <cstring>

namespace bifsmn {

std::unique_ptr<Op> Op::Create(const char* name) {
  if (name == nullptr) return nullptr;
  if (std::strcmp(name, "BifsmnDense") == 0) return CreateDenseOp();
  if (std::strcmp(name, "BifsmnConv2D") == 0) return CreateConv2DOp();
  if (std::strcmp(name, "BifsmnMemory") == 0) return CreateMemoryOp();
  if (std::strcmp(name, "BifsmnLogMel") == 0) return CreateLogMelOp();
  return nullptr;
}

}  // namespace bifsmn
