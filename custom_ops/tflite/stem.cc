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

#include "custom_ops/tflite/stem.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/tflite/real_constants.h"

namespace bifsmn {
namespace {

constexpr int kMaxSide = 1 << 15;

int64_t Padded(int64_t outputs) { return (outputs + 15) / 16 * 16; }

// Rows are short: pieces of constant size are copied without a call.
inline void CopyRow(const float* from, int64_t count, float* to) {
  constexpr int64_t kPiece = 16;
  int64_t i = 0;
  for (; i + kPiece <= count; i += kPiece) std::memcpy(to + i, from + i, kPiece * sizeof(float));
  for (; i < count; ++i) to[i] = from[i];
}

}  // namespace

bool Stem::Parse(abi::Context* context, const std::vector<int>& nodes) {
  int last = -1, outputs = 0;
  enum { kStart, kTransposed, kPadded, kConvolved, kDone } state = kStart;
  for (const int index : nodes) {
    BuiltinNode node;
    TensorView x, constant;
    if (!node.Assign(context, index) || !node.View(context, 0, abi::kFloat32, 4, &x)) return false;
    if (last >= 0 && node.input(0) != last) return false;
    if (last < 0) {
      input_ = node.input(0);
      if (x.shape[3] != 1) return false;
    }
    last = node.output();
    Error ignored;
    const abi::Tensor* made = TensorAt(context, last, &ignored);
    if (made == nullptr || made->type != abi::kFloat32) return false;
    switch (node.code) {
      case abi::kBuiltinTranspose: {
        if (state != kStart || !node.Constant(context, 1, abi::kInt32, 1, &constant) ||
            constant.shape[0] != 4) {
          return false;
        }
        const int wanted[4] = {0, 2, 1, 3};
        if (std::memcmp(constant.data, wanted, sizeof(wanted)) != 0) return false;
        transpose_ = true;
        transpose_made_ = static_cast<int>(made_.size());
        state = kTransposed;
        break;
      }
      case abi::kBuiltinPad: {
        if (state > kTransposed || !node.Constant(context, 1, abi::kInt32, 2, &constant) ||
            constant.shape != Shape({4, 2})) {
          return false;
        }
        int pads[8];
        std::memcpy(pads, constant.data, sizeof(pads));
        if (pads[0] != 0 || pads[1] != 0 || pads[6] != 0 || pads[7] != 0) return false;
        for (int i = 0; i < 4; ++i) {
          pads_[i] = pads[2 + i];
          if (pads_[i] < 0 || pads_[i] > 1024) return false;
        }
        pad_made_ = static_cast<int>(made_.size());
        state = kPadded;
        break;
      }
      case abi::kBuiltinConv2D: {
        const auto* params = node.params<abi::ConvParams>();
        Shape shape, bias_shape;
        std::vector<float> values, bias;
        if (state > kPadded || params == nullptr || params->padding != abi::kPaddingValid ||
            params->activation != abi::kActivationNone || params->dilation_width_factor != 1 ||
            params->dilation_height_factor != 1 || params->stride_width < 1 ||
            params->stride_height < 1 || node.inputs() != 3 ||
            !ReadReals(context, index, 1, 4, &shape, &values) ||
            !ReadReals(context, index, 2, 1, &bias_shape, &bias) || shape[3] != 1 ||
            bias_shape[0] != shape[0]) {
          return false;
        }
        outputs = shape[0];
        kernel_h_ = shape[1];
        kernel_w_ = shape[2];
        stride_h_ = params->stride_height;
        stride_w_ = params->stride_width;
        if (outputs < 1 || outputs > 4096 || kernel_h_ < 1 || kernel_w_ < 1 || kernel_h_ > 64 ||
            kernel_w_ > 64) {
          return false;
        }
        const int64_t taps = int64_t{kernel_h_} * kernel_w_;
        weights_.Assign(taps * Padded(outputs));
        for (int64_t n = 0; n < outputs; ++n) {
          for (int64_t k = 0; k < taps; ++k) {
            weights_[k * Padded(outputs) + n] = values[n * taps + k];
          }
        }
        bias_.Assign(Padded(outputs));
        std::copy(bias.begin(), bias.end(), bias_.data());
        plain_made_ = static_cast<int>(made_.size());
        state = kConvolved;
        break;
      }
      case abi::kBuiltinLeakyRelu: {
        const auto* params = node.params<abi::LeakyReluParams>();
        if (state != kConvolved || params == nullptr || !std::isfinite(params->alpha)) return false;
        slope_ = params->alpha;
        state = kDone;
        break;
      }
      default: return false;
    }
    made_.push_back({last, {}});
  }
  conv_.outputs = outputs;
  return state >= kConvolved;
}

bool Stem::Prepare(const TensorView& x, Error* error) {
  if (x.type != abi::kFloat32 || x.rank() != 4 || x.shape[3] != 1 ||
      std::max(x.shape[1], x.shape[2]) > kMaxSide) {
    return error->Set("the first convolution's input should be float32 of shape (batch, height, "
                      "width, 1). Received: %s of shape %s", TypeName(x.type),
                      ToString(x.shape).c_str());
  }
  batch_ = x.shape[0];
  height_ = x.shape[transpose_ ? 2 : 1];
  width_ = x.shape[transpose_ ? 1 : 2];
  const int full_h = height_ + pads_[0] + pads_[1], full_w = width_ + pads_[2] + pads_[3];
  if (full_h < kernel_h_ || full_w < kernel_w_) {
    return error->Set("the first convolution's padded input should hold its %dx%d kernel. "
                      "Received: shape %s", kernel_h_, kernel_w_, ToString(x.shape).c_str());
  }
  conv_.out_h = (full_h - kernel_h_) / stride_h_ + 1;
  conv_.out_w = (full_w - kernel_w_) / stride_w_ + 1;
  for (size_t i = 0; i < made_.size(); ++i) {
    const int at = static_cast<int>(i);
    made_[i].shape = at == transpose_made_ ? Shape{x.shape[0], height_, width_, 1}
                     : at == pad_made_     ? Shape{x.shape[0], full_h, full_w, 1}
                                       : Shape{x.shape[0], conv_.out_h, conv_.out_w, conv_.outputs};
    int64_t elements = 0;
    if (!Product(made_[i].shape, &elements)) return error->Set("the first convolution is too large");
  }
  // The picture stays in the order of the input; the steps transpose it.
  row_ = transpose_ ? full_h : full_w;
  const int64_t down = transpose_ ? 1 : row_, right = transpose_ ? row_ : 1;
  first_ = pads_[0] * down + pads_[2] * right;
  conv_.kernel_h = kernel_h_;
  conv_.kernel_w = kernel_w_;
  conv_.stride_h = stride_h_;
  conv_.stride_w = stride_w_;
  conv_.down = down;
  conv_.right = right;
  padded_.Assign(int64_t{full_h} * full_w);
  return true;
}

bool Stem::SetSignShift(const std::vector<float>* shift) {
  const bool fits =
      shift != nullptr && static_cast<int64_t>(shift->size()) == conv_.outputs;
  sign_shift_.Assign(fits ? Padded(conv_.outputs) : 0);
  if (fits) std::copy(shift->begin(), shift->end(), sign_shift_.data());
  return fits;
}

void Stem::Eval(const float* x, const std::vector<float*>& wanted, uint32_t* signs,
                int64_t stride) {
  const KernelPath& path = *ChosenPath(nullptr);  // the partition's operators saw to it
  const int64_t rows = transpose_ ? width_ : height_, columns = transpose_ ? height_ : width_;
  const int64_t down = transpose_ ? 1 : row_, right = transpose_ ? row_ : 1;
  const int64_t positions = int64_t{conv_.out_h} * conv_.out_w;
  const int64_t full_h = height_ + pads_[0] + pads_[1], full_w = width_ + pads_[2] + pads_[3];
  for (int64_t b = 0; b < batch_; ++b, x += rows * columns) {
    for (int64_t r = 0; r < rows; ++r) {
      CopyRow(x + r * columns, columns, padded_.data() + first_ + r * row_);
    }
    for (size_t i = 0; i + 1 < wanted.size(); ++i) {
      if (wanted[i] == nullptr) continue;
      const int at = static_cast<int>(i);
      if (at == plain_made_) {
        path.float_conv(padded_.data(), conv_, weights_.data(), {bias_.data()},
                        wanted[i] + b * positions * conv_.outputs, nullptr, 0);
        continue;
      }
      const bool whole = at == pad_made_;
      const int64_t h_count = whole ? full_h : height_, w_count = whole ? full_w : width_;
      const float* from = padded_.data() + (whole ? 0 : first_);
      float* to = wanted[i] + b * h_count * w_count;
      for (int64_t h = 0; h < h_count; ++h) {
        for (int64_t w = 0; w < w_count; ++w) *to++ = from[h * down + w * right];
      }
    }
    float* out = wanted.back();
    path.float_conv(padded_.data(), conv_, weights_.data(),
                    {bias_.data(), slope_, sign_shift_.data()},
                    out == nullptr ? nullptr : out + b * positions * conv_.outputs,
                    signs == nullptr ? nullptr : signs + b * positions * stride, stride);
  }
}

}  // namespace bifsmn
