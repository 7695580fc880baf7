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

// What an operator needs to know of a tensor, wherever its memory comes from.

#ifndef BIFSMN_TFLITE_TENSOR_VIEW_H_
#define BIFSMN_TFLITE_TENSOR_VIEW_H_

#include <cstdint>
#include <string>
#include <vector>

#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/error.h"

namespace bifsmn {

using Shape = std::vector<int>;

// "(1, 8, 128)"
std::string ToString(const Shape& shape);

const char* TypeName(abi::Type type);

// Multiplies; false if a size is negative or the product exceeds 2^31 - 1.
bool Product(const Shape& shape, int64_t* product);

struct TensorView {
  abi::Type type = abi::kNoType;
  Shape shape;
  bool constant = false;
  const void* data = nullptr;  // of a constant

  int rank() const { return static_cast<int>(shape.size()); }

  // Describes a tensor of the interpreter. Fails on null or nonsensical members.
  bool Assign(const abi::Tensor& tensor, Error* error);
};

// The tensor behind an index of a node, or null with an error.
abi::Tensor* TensorAt(abi::Context* context, int index, Error* error);

// Several tensors as the interpreter holds them.
bool ViewsOf(abi::Context* context, const std::vector<int>& tensors,
             std::vector<TensorView>* views, Error* error);

// Asks the interpreter for a shape. The interpreter reports its own errors.
bool Resize(abi::Context* context, abi::Tensor* tensor, const Shape& shape, Error* error);

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_TENSOR_VIEW_H_
