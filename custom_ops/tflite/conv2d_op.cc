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

// BifsmnConv2D: binary two-dimensional convolution, NHWC.

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/conv2d.h"
#include "custom_ops/tflite/binary_op.h"

namespace bifsmn {
namespace {

class Conv2DOp : public BinaryOp {
 protected:
  bool ReadAttributes(Attributes* attributes, Error* error) override {
    if (!attributes->TakeInt("kernel_h", true, 1, kMaxReduction, &geometry_.kernel_h, error) ||
        !attributes->TakeInt("kernel_w", true, 1, kMaxReduction, &geometry_.kernel_w, error) ||
        !attributes->TakeInt("stride_h", false, 1, kMaxReduction, &geometry_.stride_h, error) ||
        !attributes->TakeInt("stride_w", false, 1, kMaxReduction, &geometry_.stride_w, error) ||
        !attributes->TakeInt("pad_h", false, 0, kMaxReduction, &geometry_.pad_h, error) ||
        !attributes->TakeInt("pad_w", false, 0, kMaxReduction, &geometry_.pad_w, error)) {
      return false;
    }
    geometry_.channels = channels();
    const int64_t area = int64_t{geometry_.kernel_h} * geometry_.kernel_w;
    if (area > kMaxReduction || area * channels() > kMaxReduction) {
      return error->Set("kernel_h * kernel_w * channels should be at most %d. Received: %d * %d * "
                        "%d", kMaxReduction, geometry_.kernel_h, geometry_.kernel_w, channels());
    }
    return true;
  }

  bool Plan(const TensorView& x, const Shape& weights_shape, const std::vector<uint32_t>& weights,
            Shape* lead, Error* error) override {
    constexpr int kMaxSide = 1 << 24;
    if (!CheckChannels(x, 4, "(batch, height, width, channels)", error)) return false;
    geometry_.height = x.shape[1];
    geometry_.width = x.shape[2];
    if (geometry_.height > kMaxSide || geometry_.width > kMaxSide ||
        geometry_.height + 2 * geometry_.pad_h < geometry_.kernel_h ||
        geometry_.width + 2 * geometry_.pad_w < geometry_.kernel_w) {
      return error->Set("x should have a padded height and width that hold the %dx%d kernel. "
                        "Received: shape %s with pad_h=%d, pad_w=%d", geometry_.kernel_h,
                        geometry_.kernel_w, ToString(x.shape).c_str(), geometry_.pad_h,
                        geometry_.pad_w);
    }
    batch_ = x.shape[0];
    *lead = {x.shape[0], geometry_.out_h(), geometry_.out_w()};
    // Before anything is sized by it: with a large padding a small x has a large output.
    int64_t positions = 0;
    if (!Product({geometry_.out_h(), geometry_.out_w(), outputs()}, &positions)) {
      return error->Set("the output should have at most 2^31 - 1 elements. Received: %s positions "
                        "of %d channels", ToString(*lead).c_str(), outputs());
    }
    if (!CheckWeights(weights_shape, weights, outputs(), geometry_.reduction(), error)) {
      return false;
    }
    weights_.Assign(weights.data(), outputs(), geometry_.reduction());
    masks_.Assign(geometry_);
    tile_ = static_cast<int>(TileRows(geometry_.out_w()));
    scratch_.resize(ScratchWords(int64_t{geometry_.height} * geometry_.width, channels()));
    patches_.resize(int64_t{tile_} * weights_.words);
    dots_.resize(int64_t{tile_} * outputs());
    return true;
  }

  void Run(const void* x, const float* residual, void* out) override {
    const int64_t pixels = int64_t{geometry_.height} * geometry_.width;
    int64_t row = 0;
    for (int b = 0; b < batch_; ++b) {
      const uint32_t* picture =
          Bits(Advance(x, b * pixels, channels()), pixels, channels(), &scratch_);
      for (int oh = 0; oh < geometry_.out_h(); ++oh) {
        for (int ow = 0; ow < geometry_.out_w(); ow += tile_) {
          const int left = geometry_.out_w() - ow;
          const int count = left < tile_ ? left : tile_;
          GatherPatches(picture, geometry_, oh, ow, count, patches_.data());
          Multiply(oh, ow, count);
          Finish(dots_.data(), row, count, residual, out);
          row += count;
        }
      }
    }
  }

 private:
  // Dot products of gathered positions: inner ones together, those at the border one by one.
  void Multiply(int out_row, int first, int count) {
    for (int p = 0; p < count;) {
      const uint32_t* patch = patches_.data() + int64_t{p} * weights_.words;
      int32_t* dots = dots_.data() + int64_t{p} * outputs();
      const int index = masks_.index(out_row, first + p);
      if (index != Conv2DMasks::kNone) {
        kernels().bit_gemv_masked(patch, masks_.mask(index), masks_.valid(index), weights_, dots);
        ++p;
        continue;
      }
      int end = p + 1;
      while (end < count && masks_.index(out_row, first + end) == Conv2DMasks::kNone) ++end;
      kernels().bit_gemm(patch, end - p, weights_, dots);
      p = end;
    }
  }

  Conv2DGeometry geometry_;
  int batch_ = 0;
  int tile_ = 1;
  PackedWeights weights_;
  Conv2DMasks masks_;
  std::vector<uint32_t> scratch_;
  std::vector<uint32_t> patches_;
  std::vector<int32_t> dots_;
};

}  // namespace

std::unique_ptr<BinaryOp> CreateConv2DOp() { return std::make_unique<Conv2DOp>(); }

}  // namespace bifsmn
