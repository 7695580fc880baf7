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

// The operators as ordinary registered operators: init, free, prepare, invoke.

#ifndef BIFSMN_TFLITE_REGISTERED_OP_H_
#define BIFSMN_TFLITE_REGISTERED_OP_H_

#include "custom_ops/tflite/c_abi.h"

namespace bifsmn {

// The registration of operator `index`, counted from 0, or null past the last. It lives forever.
const abi::Registration* RegisteredOp(int index);

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_REGISTERED_OP_H_
