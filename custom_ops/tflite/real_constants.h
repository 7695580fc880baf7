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

// Real constants as float32, however the model stores them: float32, float16, or int8 with factors.

#ifndef BIFSMN_TFLITE_REAL_CONSTANTS_H_
#define BIFSMN_TFLITE_REAL_CONSTANTS_H_

#include <cstdint>
#include <vector>

#include "custom_ops/tflite/builtin_node.h"
#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/tensor_view.h"

namespace bifsmn {

// The same number as float32; every float16 is one.
float WidenFloat16(uint16_t bits);

// Copies `count` numbers of a constant of float32 or float16.
void CopyReals(const TensorView& view, int64_t count, float* out);

// What a DEQUANTIZE node makes of a constant; false if the node is of another form.
bool ReadWidened(abi::Context* context, const BuiltinNode& node, Shape* shape,
                 std::vector<float>* values);

// Input `i` of the builtin node at `index`: a float32 constant, or what a DEQUANTIZE node in front
// makes of one. False if it is neither, or of another rank.
bool ReadReals(abi::Context* context, int index, int i, int rank, Shape* shape,
               std::vector<float>* values);

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_REAL_CONSTANTS_H_
