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

#include "custom_ops/tflite/real_constants.h"

#include <cstring>

namespace bifsmn {
namespace {

// `inner` neighbouring numbers share a factor, the next as many the next one, and so on in turn.
struct Factors {
  const float* scale = nullptr;
  const int* zero_point = nullptr;
  int64_t count = 0, inner = 1;
};

bool FindFactors(const abi::Tensor& tensor, const Shape& shape, Factors* factors) {
  if (tensor.quantization.type != abi::kAffineQuantization) return false;
  const auto* affine = static_cast<const abi::AffineQuantization*>(tensor.quantization.params);
  if (affine == nullptr || affine->scale == nullptr || affine->zero_point == nullptr ||
      affine->scale->size < 1 || affine->zero_point->size != affine->scale->size) {
    return false;
  }
  factors->scale = abi::Data(affine->scale);
  factors->zero_point = abi::Data(affine->zero_point);
  factors->count = affine->scale->size;
  if (factors->count == 1) return true;
  const int axis = affine->quantized_dimension;
  if (axis < 0 || axis >= static_cast<int>(shape.size()) || shape[axis] != factors->count) {
    return false;
  }
  for (size_t i = axis + 1; i < shape.size(); ++i) factors->inner *= shape[i];
  return true;
}

}  // namespace

float WidenFloat16(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, mantissa = bits & 1023;
  uint32_t wide = sign;
  if (exponent != 0) {
    wide |= (exponent == 31 ? 255u : exponent + 112u) << 23 | mantissa << 13;
  } else if (mantissa != 0) {  // subnormal there, normal here
    const int shift = __builtin_clz(mantissa) - 21;  // brings the first bit to bit 10
    wide |= (113u - shift) << 23 | (mantissa << shift & 1023) << 13;
  }
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

void CopyReals(const TensorView& view, int64_t count, float* out) {
  if (view.type == abi::kFloat32) {
    if (count > 0) std::memcpy(out, view.data, count * sizeof(float));
    return;
  }
  const auto* bytes = static_cast<const char*>(view.data);
  for (int64_t i = 0; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, bytes + 2 * i, 2);
    out[i] = WidenFloat16(half);
  }
}

bool ReadWidened(abi::Context* context, const BuiltinNode& node, Shape* shape,
                 std::vector<float>* values) {
  Error ignored;
  TensorView view;
  int64_t count = 0;
  const abi::Tensor* made = TensorAt(context, node.output(), &ignored);
  if (node.code != abi::kBuiltinDequantize || made == nullptr || made->type != abi::kFloat32) {
    return false;
  }
  const bool half = node.Constant(context, 0, abi::kFloat16, -1, &view);
  if ((!half && !node.Constant(context, 0, abi::kInt8, -1, &view)) ||
      !Product(view.shape, &count)) {
    return false;
  }
  values->resize(count);
  *shape = view.shape;
  if (half) {
    CopyReals(view, count, values->data());
    return true;
  }
  Factors factors;
  if (!FindFactors(*TensorAt(context, node.input(0), &ignored), view.shape, &factors)) return false;
  const auto* integers = static_cast<const int8_t*>(view.data);
  for (int64_t at = 0; at < count; ++at) {
    const int64_t n = at / factors.inner % factors.count;
    (*values)[at] = factors.scale[n] * static_cast<float>(integers[at] - factors.zero_point[n]);
  }
  return true;
}

bool ReadReals(abi::Context* context, int index, int i, int rank, Shape* shape,
               std::vector<float>* values) {
  BuiltinNode node, maker;
  TensorView view;
  if (!node.Assign(context, index)) return false;
  if (node.Constant(context, i, abi::kFloat32, rank, &view)) {
    int64_t count = 0;
    if (!Product(view.shape, &count)) return false;
    values->resize(count);
    *shape = view.shape;
    CopyReals(view, count, values->data());
    return true;
  }
  if (i >= node.inputs()) return false;
  // Nodes are numbered in the order of the file, in which makers come before readers. They keep
  // their numbers when a delegate takes them.
  for (int before = 0; before < index; ++before) {
    if (maker.Assign(context, before) && maker.output() == node.input(i)) {
      return ReadWidened(context, maker, shape, values) &&
             static_cast<int>(shape->size()) == rank;
    }
  }
  return false;
}

}  // namespace bifsmn
