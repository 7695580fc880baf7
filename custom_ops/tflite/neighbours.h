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

// Builtin nodes that the delegate takes besides our operators.

#ifndef BIFSMN_TFLITE_NEIGHBOURS_H_
#define BIFSMN_TFLITE_NEIGHBOURS_H_

#include <vector>

#include "custom_ops/tflite/c_abi.h"

namespace bifsmn {

// The nodes of `plan` that form a Stem whose output only a BifsmnConv2D node reads, and those that
// form a Classifier of what one of our nodes makes; each only if there is exactly one in the graph.
// Any doubt leaves them to the interpreter.
std::vector<int> FindNeighbours(abi::Context* context, const std::vector<int>& plan);

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_NEIGHBOURS_H_
