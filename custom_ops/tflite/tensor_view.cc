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

#include "custom_ops/tflite/tensor_view.h"

#include <cstdlib>
#include <cstring>

namespace bifsmn {
namespace {

constexpr int kMaxRank = 8;

size_t SizeOf(abi::Type type) {
  switch (type) {
    case abi::kFloat32:
    case abi::kInt32:
      return 4;
    case abi::kInt16:
    case abi::kFloat16:
      return 2;
    case abi::kInt8:
      return 1;
    default:
      return 0;
  }
}

}  // namespace

std::string ToString(const Shape& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + ")";
}

const char* TypeName(abi::Type type) {
  switch (type) {
    case abi::kNoType: return "no type";
    case abi::kFloat32: return "float32";
    case abi::kInt32: return "int32";
    case abi::kUInt8: return "uint8";
    case abi::kInt64: return "int64";
    case abi::kString: return "string";
    case abi::kBool: return "bool";
    case abi::kInt16: return "int16";
    case abi::kComplex64: return "complex64";
    case abi::kInt8: return "int8";
    case abi::kFloat16: return "float16";
  }
  return "another type";
}

bool Product(const Shape& shape, int64_t* product) {
  int64_t value = 1;
  for (const int size : shape) {
    if (size < 0) return false;
    value *= size;  // below 2^31 times below 2^31
    if (value > INT32_MAX) return false;
  }
  *product = value;
  return true;
}

bool TensorView::Assign(const abi::Tensor& tensor, Error* error) {
  const char* name = tensor.name != nullptr ? tensor.name : "";
  if (tensor.dims == nullptr || tensor.dims->size < 0 || tensor.dims->size > kMaxRank) {
    return error->Set("tensor \"%.100s\" should have a shape of at most %d dimensions. Received: "
                      "%d", name, kMaxRank, tensor.dims == nullptr ? 0 : tensor.dims->size);
  }
  type = tensor.type;
  const int* sizes = abi::Data(tensor.dims);
  shape.assign(sizes, sizes + tensor.dims->size);
  int64_t elements = 0;
  if (!Product(shape, &elements)) {
    return error->Set("tensor \"%.100s\" should have sizes from 0 with a product of at most "
                      "2^31 - 1. Received: %s", name, ToString(shape).c_str());
  }
  constant = tensor.allocation_type == abi::kMmapRo ||
             tensor.allocation_type == abi::kPersistentRo;
  data = nullptr;
  if (constant) {
    const size_t expected = static_cast<size_t>(elements) * SizeOf(type);
    if (tensor.data == nullptr || tensor.bytes < expected) {
      return error->Set("constant tensor \"%.100s\" of shape %s should hold %zu bytes. Received: "
                        "%zu bytes", name, ToString(shape).c_str(), expected,
                        tensor.data == nullptr ? size_t{0} : tensor.bytes);
    }
    data = tensor.data;
  }
  return true;
}

abi::Tensor* TensorAt(abi::Context* context, int index, Error* error) {
  if (context->tensors == nullptr || index < 0 ||
      static_cast<size_t>(index) >= context->tensors_size) {
    error->Set("every input and output should be a tensor. Received: tensor index %d of %zu", index,
               context->tensors_size);
    return nullptr;
  }
  return context->tensors + index;
}

bool Resize(abi::Context* context, abi::Tensor* tensor, const Shape& shape, Error* error) {
  // The interpreter takes the array over and frees it.
  auto* sizes = static_cast<abi::IntArray*>(
      std::malloc(offsetof(abi::IntArray, data) + sizeof(int) * (shape.size() + 1)));
  if (sizes == nullptr) return error->Set("out of memory");
  sizes->size = static_cast<int>(shape.size());
  std::memcpy(reinterpret_cast<char*>(sizes) + offsetof(abi::IntArray, data), shape.data(),
              shape.size() * sizeof(int));
  if (context->ResizeTensor(context, tensor, sizes) != abi::kOk) {
    return error->Set("the output could not be resized to %s", ToString(shape).c_str());
  }
  return true;
}

bool ViewsOf(abi::Context* context, const std::vector<int>& tensors,
             std::vector<TensorView>* views, Error* error) {
  views->assign(tensors.size(), TensorView());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const abi::Tensor* tensor = TensorAt(context, tensors[i], error);
    if (tensor == nullptr || !(*views)[i].Assign(*tensor, error)) return false;
  }
  return true;
}

}  // namespace bifsmn
