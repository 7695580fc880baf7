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

#include <algorithm>
#include <cstring>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/conv2d.h"
#include "custom_ops/tflite/binary_op.h"

namespace bifsmn {
namespace {

// Positions that are gathered at a time.
constexpr int64_t kTilePositions = 64;

class Conv2DOp : public BinaryOp {
 public:
  // Pixels are gathered from any distance; dense ones save memory.
  int64_t PreferredStride(int64_t words) const override { return words; }

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
    stored_ = weights;
    PlanWeights();
    gatherer_.Assign(geometry_, weights_.a_stride);
    const int64_t tile = std::min<int64_t>(kTilePositions, positions_.order().size());
    patches_.Assign(gatherer_.PatchWords(tile));
    dots_.Assign(tile * outputs());
    bits_.Assign(tile * WordsFor(outputs()));
    pixels_.Assign(x_is_float() ? int64_t{geometry_.height} * geometry_.width *
                                      WordsFor(channels())
                                : 0);
    return true;
  }

  int Reduction() const override { return geometry_.reduction(); }

  bool Negate(const std::vector<bool>& rows) override {
    const int64_t words = WordsFor(geometry_.reduction());
    for (int64_t n = 0; n < outputs(); ++n) {
      if (!rows[n]) continue;
      for (int64_t w = 0; w < words; ++w) stored_[n * words + w] = ~stored_[n * words + w];
      stored_[(n + 1) * words - 1] &= LastWordMask(geometry_.reduction());
    }
    PlanWeights();
    return true;
  }

  // Every class of positions has limits of its own.
  void PlanBits() override {
    padded_ = (int64_t{outputs()} + kEndBlock - 1) / kEndBlock * kEndBlock;
    const auto& classes = positions_.classes();
    limits_.Assign(padded_ * static_cast<int64_t>(classes.size()));
    for (size_t c = 0; c < classes.size(); ++c) {
      int16_t* limits = limits_.data() + padded_ * c;
      for (int64_t n = 0; n < padded_; ++n) {
        const int limit = n < outputs() ? Limit(classes[c].valid, thresholds()[n]) : -1;
        limits[n] = static_cast<int16_t>(limit < 0 ? -1 : limit + classes[c].outside[n]);
      }
    }
  }

  void Run(const Operands& o) override {
    const int64_t pixels = int64_t{geometry_.height} * geometry_.width;
    const int64_t positions = static_cast<int64_t>(positions_.order().size());
    const int64_t stride = o.x_stride == 0 ? WordsFor(channels()) : o.x_stride;
    for (int64_t b = 0; b < batch_; ++b) {
      const uint32_t* picture = pixels_.data();
      if (o.x_stride == 0 && x_is_float()) {
        path().pack(static_cast<const float*>(o.x) + b * pixels * channels(), pixels, channels(),
                    pixels_.data(), stride);
      } else {
        picture = static_cast<const uint32_t*>(o.x) + b * pixels * stride;
      }
      gatherer_.SetPicture(picture, stride);
      size_t index = 0;
      for (int64_t first = 0; first < positions; first += kTilePositions) {
        const int64_t count = std::min(kTilePositions, positions - first);
        gatherer_.Gather(positions_.order().data() + first, count, patches_.data());
        if (to_bits()) {
          ToBits(b * positions, first, count, &index, o);
        } else {
          ToFloat(b * positions, first, count, &index, o);
        }
      }
    }
  }

 private:
  void PlanWeights() {
    path().dense_prepare(stored_.data(), outputs(), geometry_.reduction(), &weights_);
    positions_.Assign(geometry_, stored_.data(), outputs());
  }

  // Gathered positions to output rows from `base` on. `index` is the class of the first position,
  // and afterwards of the last one.
  void ToBits(int64_t base, int64_t first, int64_t count, size_t* index, const Operands& o) {
    const auto& classes = positions_.classes();
    const int64_t words = WordsFor(outputs());
    for (int64_t p = first; p < first + count;) {
      while (classes[*index].end <= p) ++*index;
      const int64_t end = std::min(classes[*index].end, first + count);
      path().dense_to_bits(patches_.data() + (p - first) * weights_.a_stride, end - p, weights_,
                           {limits_.data() + padded_ * *index},
                           bits_.data() + (p - first) * words, words);
      p = end;
    }
    auto* out = static_cast<uint32_t*>(o.out) + base * o.out_stride;
    const int* order = positions_.order().data() + first;
    if (words == 1 && o.out_stride == 1) {
      for (int64_t p = 0; p < count; ++p) out[order[p]] = bits_[p];
      return;
    }
    for (int64_t p = 0; p < count; ++p) {
      uint32_t* row = out + order[p] * o.out_stride;
      std::memcpy(row, bits_.data() + p * words, words * sizeof(uint32_t));
      std::memset(row + words, 0, (o.out_stride - words) * sizeof(uint32_t));
    }
  }

  void ToFloat(int64_t base, int64_t first, int64_t count, size_t* index, const Operands& o) {
    const auto& classes = positions_.classes();
    path().dense_dots(patches_.data(), count, weights_, dots_.data());
    for (int64_t p = 0; p < count; ++p) {
      while (classes[*index].end <= first + p) ++*index;
      const auto& kind = classes[*index];
      int32_t* dots = dots_.data() + p * outputs();
      const int32_t missing = geometry_.reduction() - kind.valid;
      for (int n = 0; n < outputs(); ++n) dots[n] += 2 * kind.outside[n] - missing;
      const int64_t row = base + positions_.order()[first + p];
      path().dots_to_float(dots, 1, outputs(), float_end(),
                           o.residual == nullptr ? nullptr : o.residual + row * outputs(),
                           static_cast<float*>(o.out) + row * outputs(),
                           o.signs == nullptr ? nullptr : o.signs + row * o.signs_stride,
                           o.signs_stride);
    }
  }

  Conv2DGeometry geometry_;
  int64_t batch_ = 0;
  std::vector<uint32_t> stored_;
  DenseWeights weights_;
  Conv2DPositions positions_;
  PatchGatherer gatherer_;
  int64_t padded_ = 0;
  AlignedBuffer<int16_t> limits_;  // (classes, padded_)
  AlignedBuffer<uint32_t> pixels_;
  AlignedBuffer<uint32_t> patches_;
  AlignedBuffer<int32_t> dots_;
  AlignedBuffer<uint32_t> bits_;
};

}  // namespace

std::unique_ptr<BinaryOp> CreateConv2DOp() { return std::make_unique<Conv2DOp>(); }

}  // namespace bifsmn
