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

#include "custom_ops/tflite/binary_op.h"

#include <algorithm>
#include <cstring>

#include "custom_ops/kernels/bits.h"

namespace bifsmn {
namespace {

template <typename T>
void CopyConstant(const TensorView& view, int64_t count, std::vector<T>* out) {
  out->resize(count);
  if (count > 0) std::memcpy(out->data(), view.data, count * sizeof(T));
}

bool CheckConstant(const TensorView& view, const char* name, abi::Type type, int rank,
                   Error* error) {
  if (view.type != type) {
    return error->Set("%s should be %s. Received: %s", name, TypeName(type), TypeName(view.type));
  }
  if (view.rank() != rank) {
    return error->Set("%s should have %d dimension(s). Received: shape %s", name, rank,
                      ToString(view.shape).c_str());
  }
  if (!view.constant || view.data == nullptr) {
    return error->Set("%s should be a constant of the model. Received: a computed tensor", name);
  }
  return true;
}

}  // namespace

std::unique_ptr<BinaryOp> BinaryOp::Create(const char* name) {
  if (name == nullptr) return nullptr;
  if (std::strcmp(name, "BifsmnDense") == 0) return CreateDenseOp();
  if (std::strcmp(name, "BifsmnConv2D") == 0) return CreateConv2DOp();
  if (std::strcmp(name, "BifsmnMemory") == 0) return CreateMemoryOp();
  return nullptr;
}

bool BinaryOp::Init(const void* options, size_t length, Error* error) {
  Attributes attributes;
  int residual_first = 0;
  if (!attributes.Parse(options, length, error) ||
      !attributes.TakeInt("channels", true, 1, kMaxReduction, &channels_, error) ||
      !attributes.TakeFloat("slope", &float_epilogue_.slope, error) ||
      !attributes.TakeInt("residual_first", false, 0, 1, &residual_first, error)) {
    return false;
  }
  float_epilogue_.residual_first = residual_first != 0;
  return ReadAttributes(&attributes, error) && attributes.ExpectEmpty(error);
}

bool BinaryOp::PrepareEpilogue(const std::vector<TensorView>& inputs, abi::Type output_type,
                               Error* error) {
  const TensorView& third = inputs[kThreshold];
  if (third.type == abi::kInt16) {
    if (inputs.size() != 3) {
      return error->Set("a node with int16 thresholds should have 3 inputs (x, weights, "
                        "threshold). Received: %zu inputs", inputs.size());
    }
    if (output_type != abi::kInt32) {
      return error->Set("a node with int16 thresholds should have an int32 output of packed bits. "
                        "Received: %s", TypeName(output_type));
    }
    if (float_epilogue_.slope != 1.0f || float_epilogue_.residual_first) {
      return error->Set("a node with int16 thresholds should have neither \"slope\" nor "
                        "\"residual_first\". Received: slope=%g, residual_first=%d",
                        float_epilogue_.slope, float_epilogue_.residual_first);
    }
    if (!CheckConstant(third, "threshold", abi::kInt16, 1, error)) return false;
    to_bits_ = true;
    outputs_ = third.shape[0];
    CopyConstant(third, outputs_, &thresholds_);
  } else {
    if (!CheckConstant(third, "multiplier (or an int16 threshold)", abi::kFloat32, 1, error)) {
      return false;
    }
    if (inputs.size() != 4 && inputs.size() != 5) {
      return error->Set("a node with a float32 multiplier should have 4 or 5 inputs (x, weights, "
                        "multiplier, bias[, residual]). Received: %zu inputs", inputs.size());
    }
    if (output_type != abi::kFloat32) {
      return error->Set("a node with a float32 multiplier should have a float32 output. "
                        "Received: %s", TypeName(output_type));
    }
    if (!CheckConstant(inputs[kBias], "bias", abi::kFloat32, 1, error)) return false;
    if (inputs[kBias].shape != third.shape) {
      return error->Set("bias should have the multiplier's shape %s. Received: %s",
                        ToString(third.shape).c_str(), ToString(inputs[kBias].shape).c_str());
    }
    if (float_epilogue_.residual_first && inputs.size() == 4) {
      return error->Set("\"residual_first\" should only be set with a residual. Received: 4 inputs");
    }
    to_bits_ = false;
    outputs_ = third.shape[0];
    CopyConstant(third, outputs_, &float_epilogue_.multiplier);
    CopyConstant(inputs[kBias], outputs_, &float_epilogue_.bias);
  }
  if (outputs_ < 1) return error->Set("a node should have output channels. Received: 0");
  return true;
}

bool BinaryOp::Prepare(const std::vector<TensorView>& inputs, abi::Type output_type,
                       Shape* output, Error* error) {
  if (inputs.size() < 3 || inputs.size() > 5) {
    return error->Set("a node should have 3, 4 or 5 inputs. Received: %zu inputs", inputs.size());
  }
  if (!PrepareEpilogue(inputs, output_type, error)) return false;

  const TensorView& x = inputs[kX];
  if (x.type != abi::kFloat32 && x.type != abi::kInt32) {
    return error->Set("x should be float32, or int32 packed bits. Received: %s", TypeName(x.type));
  }
  x_is_float_ = x.type == abi::kFloat32;

  const TensorView& weights = inputs[kWeights];
  if (!CheckConstant(weights, "weights", abi::kInt32, 2, error)) return false;
  int64_t words = 0;
  Product(weights.shape, &words);
  std::vector<uint32_t> signs;
  CopyConstant(weights, words, &signs);
  Shape shape;
  if (!Plan(x, weights.shape, signs, &shape, error)) return false;

  shape.push_back(to_bits_ ? static_cast<int>(WordsFor(outputs_)) : outputs_);
  int64_t elements = 0;
  if (!Product(shape, &elements)) {
    return error->Set("the output should have at most 2^31 - 1 elements. Received: shape %s",
                      ToString(shape).c_str());
  }
  if (inputs.size() == 5) {
    const TensorView& residual = inputs[kResidual];
    if (residual.type != abi::kFloat32 || residual.shape != shape) {
      return error->Set("residual should be float32 of the output's shape %s. Received: %s of "
                        "shape %s", ToString(shape).c_str(), TypeName(residual.type),
                        ToString(residual.shape).c_str());
    }
  }
  empty_ = elements == 0;
  *output = std::move(shape);
  return true;
}

void BinaryOp::Eval(const void* x, const float* residual, void* out) {
  if (!empty_) Run(x, residual, out);
}

bool BinaryOp::CheckChannels(const TensorView& x, int rank, const char* layout,
                             Error* error) const {
  const int64_t last = x_is_float_ ? channels_ : WordsFor(channels_);
  if (x.rank() != rank || x.shape.back() != last) {
    return error->Set("x should be %s with a last dimension of %lld %s for channels=%d. Received: "
                      "%s of shape %s", layout, static_cast<long long>(last),
                      x_is_float_ ? "values" : "packed words", channels_, TypeName(x.type),
                      ToString(x.shape).c_str());
  }
  return true;
}

bool BinaryOp::CheckWeights(const Shape& shape, const std::vector<uint32_t>& weights, int rows,
                            int64_t bits, Error* error) {
  const int64_t words = WordsFor(bits);
  if (shape[0] != rows || shape[1] != words) {
    return error->Set("weights should have shape (%d, %lld), that is %lld bits per row. Received: "
                      "%s", rows, static_cast<long long>(words), static_cast<long long>(bits),
                      ToString(shape).c_str());
  }
  const uint32_t unused = ~LastWordMask(bits);
  for (int64_t r = 0; r < rows; ++r) {
    const uint32_t last = weights[(r + 1) * words - 1];
    if ((last & unused) != 0) {
      return error->Set("the unused bits of the last word of every row of the weights should be 0. "
                        "Received: 0x%08x in row %lld, of which %d bits are used", last,
                        static_cast<long long>(r), static_cast<int>((bits - 1) % kWordBits + 1));
    }
  }
  return true;
}

int64_t BinaryOp::ScratchWords(int64_t rows, int64_t bits) const {
  return x_is_float_ || bits % kWordBits != 0 ? rows * WordsFor(bits) : 0;
}

const uint32_t* BinaryOp::Bits(const void* x, int64_t rows, int bits,
                               std::vector<uint32_t>* scratch) const {
  if (x_is_float_) {
    kernels_.pack(static_cast<const float*>(x), rows, bits, scratch->data());
    return scratch->data();
  }
  const auto* words = static_cast<const uint32_t*>(x);
  if (bits % kWordBits == 0) return words;
  // Bits come from outside: clear the unused ones, the kernels count on it.
  const int64_t count = WordsFor(bits);
  std::memcpy(scratch->data(), words, rows * count * sizeof(uint32_t));
  for (int64_t r = 1; r <= rows; ++r) (*scratch)[r * count - 1] &= LastWordMask(bits);
  return scratch->data();
}

const void* BinaryOp::Advance(const void* x, int64_t rows, int64_t bits) const {
  return static_cast<const char*>(x) + rows * (x_is_float_ ? bits : WordsFor(bits)) * 4;
}

void BinaryOp::Finish(const int32_t* dots, int64_t first, int64_t count, const float* residual,
                      void* out) {
  if (to_bits_) {
    kernels_.bits_epilogue(dots, count, thresholds_,
                           static_cast<uint32_t*>(out) + first * WordsFor(outputs_));
    return;
  }
  const int64_t at = first * outputs_;
  kernels_.float_epilogue(dots, count, float_epilogue_,
                          residual == nullptr ? nullptr : residual + at,
                          static_cast<float*>(out) + at);
}

int64_t BinaryOp::TileRows(int64_t rows) const {
  constexpr int64_t kTileDots = 4096;  // 16 kB
  return std::max<int64_t>(1, std::min(rows, kTileDots / outputs_));
}

}  // namespace bifsmn
