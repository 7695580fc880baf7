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
#include <numeric>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/conv2d.h"
#include "custom_ops/tflite/binary_op.h"

namespace bifsmn {
namespace {

// Positions that are gathered at a time.
constexpr int64_t kTilePositions = 64;  // a multiple of 8

class Conv2DOp : public BinaryOp {
 protected:
  // Pixels are gathered from any distance; dense ones save memory.
  int64_t PackedStride(int64_t words) const override { return words; }

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
    const int64_t tile = std::min<int64_t>(kTilePositions, positions_.order().size());
    const int passes = is_dual() ? 2 : 1;
    for (int i = 0; i < passes; ++i) gatherer_[i].Assign(geometry_, weights_.a_stride);
    patches_.Assign(gatherer_[0].PatchWords(passes * tile));
    dots_.Assign(passes * tile * outputs());
    bits_.Assign(tile * WordsFor(outputs()));
    pixels_.Assign(x_is_float() ? passes * Pixels() * WordsFor(channels()) : 0);
    if (is_dual()) PlanDual();
    if (has_centre()) PlanCentre(weights);
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

  // Positions are gathered and ended one by one, or in classes of equal thresholds.
  bool TakesParts(int64_t parts) const override { return parts == 1 || !is_dual(); }

  // Every class of positions has limits of its own.
  void PlanBits() override {
    const auto& classes = positions_.classes();
    limits_.Assign(padded() * static_cast<int64_t>(classes.size()));
    for (size_t c = 0; c < classes.size(); ++c) {
      int16_t* limits = limits_.data() + padded() * c;
      const int16_t* threshold = thresholds(classes[c].part);
      for (int64_t n = 0; n < padded(); ++n) {
        const int limit = n < outputs() ? Limit(classes[c].valid, threshold[n]) : -1;
        limits[n] = static_cast<int16_t>(limit < 0 ? -1 : limit + classes[c].outside[n]);
      }
    }
    PlanRowLimits();
  }

  void Run(const Operands& o) override {
    const int64_t pixels = Pixels();
    const int64_t positions = static_cast<int64_t>(positions_.order().size());
    const int64_t stride = o.x_stride == 0 ? WordsFor(channels()) : o.x_stride;
    for (int64_t b = 0; b < batch_; ++b) {
      if (is_dual()) {
        RunDual(o, b);
        continue;
      }
      const uint32_t* picture = pixels_.data();
      if (o.x_stride == 0 && x_is_float()) {
        CopyRows(o, b * pixels, pixels, channels(), 1, pixels_.data(), stride);
      } else {
        picture = static_cast<const uint32_t*>(o.x) + b * pixels * stride;
      }
      gatherer_[0].SetPicture(picture, stride);
      size_t index = 0;
      for (int64_t first = 0; first < positions; first += kTilePositions) {
        const int64_t count = std::min(kTilePositions, positions - first);
        gatherer_[0].Gather(positions_.order().data() + first, count, patches_.data());
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
    positions_.Assign(geometry_, stored_.data(), outputs(), sign_parts());
  }

  int64_t Pixels() const { return int64_t{geometry_.height} * geometry_.width; }

  // A picture is split as one long row: its shifts are repeated until they fill whole words.
  void PlanDual() {
    const int64_t cycle = std::lcm(int64_t{channels()}, int64_t{kWordBits});
    constexpr int64_t kLeast = 1024;
    period_ = (kLeast + cycle - 1) / cycle * cycle;
    for (int i = 0; i < (has_levels() ? 3 : 2); ++i) {
      tiled_[i].Assign(period_);
      for (int64_t at = 0; at < period_; ++at) tiled_[i][at] = shift(i)[at % channels()];
    }
    for (auto& flat : flat_) flat.Assign(WordsFor(Pixels() * channels()));
  }

  // A row of biases for every class of positions.
  void PlanCentre(const std::vector<uint32_t>& weights) {
    const int64_t words = WordsFor(geometry_.reduction());
    const auto& classes = positions_.classes();
    biases_.Assign(padded() * static_cast<int64_t>(classes.size()));
    std::vector<double> taps(geometry_.kernel_h * geometry_.kernel_w);
    for (int n = 0; n < outputs(); ++n) {
      for (size_t tap = 0; tap < taps.size(); ++tap) {
        taps[tap] = 0.0;
        for (int c = 0; c < channels(); ++c) {
          const bool positive = BitAt(weights.data() + n * words, tap * channels() + c);
          taps[tap] += positive ? centre()[c] : -centre()[c];
        }
      }
      for (size_t k = 0; k < classes.size(); ++k) {
        double sum = 0.0;
        for (int i = classes[k].rows[0]; i < classes[k].rows[1]; ++i) {
          for (int j = classes[k].columns[0]; j < classes[k].columns[1]; ++j) {
            sum += taps[i * geometry_.kernel_w + j];
          }
        }
        biases_[k * padded() + n] = BiasWith(sum, n);
      }
    }
  }

  // Both bits of a picture; gives the scale of the second.
  float SplitPicture(const float* x) {
    const int64_t values = Pixels() * channels(), words = WordsFor(channels());
    alignas(64) float sums[32] = {};
    for (int64_t at = 0; at < values; at += period_) {
      const int64_t count = std::min(period_, values - at);
      uint32_t* first = flat_[0].data() + at / kWordBits;
      uint32_t* second = flat_[1].data() + at / kWordBits;
      if (has_levels()) {
        path().dual.split_levels(x + at, 1, static_cast<int>(count), tiled_[0].data(),
                                 tiled_[1].data(), tiled_[2].data(), first, second,
                                 WordsFor(count));
      } else {
        path().dual.split(x + at, count, tiled_[0].data(), tiled_[1].data(), first, second,
                          sums);
      }
    }
    for (int i = 0; i < 2; ++i) {
      const uint32_t* picture = flat_[i].data();
      if (gatherer_[i].TakesDensePicture()) {
        gatherer_[i].SetDensePicture(picture);
        continue;
      }
      if (channels() % kWordBits != 0) {
        uint32_t* pixel = pixels_.data() + i * Pixels() * words;
        picture = pixel;
        std::memset(pixel, 0, Pixels() * words * sizeof(uint32_t));
        for (int64_t p = 0; p < Pixels(); ++p, pixel += words) {
          AppendBits(flat_[i].data(), p * channels(), channels(), pixel, 0);
        }
      }
      gatherer_[i].SetPicture(picture, words);
    }
    return has_levels() ? kLevelScale : DualScale(sums, values);
  }

  // Both bits of the gathered positions, one below the other, go through one matrix product.
  void RunDual(const Operands& o, int64_t b) {
    const int64_t positions = static_cast<int64_t>(positions_.order().size());
    float scales[kTilePositions];
    std::fill_n(scales, kTilePositions,
                SplitPicture(static_cast<const float*>(o.x) + b * Pixels() * channels()));
    size_t index = 0, kind = 0;
    for (int64_t first = 0; first < positions; first += kTilePositions) {
      const int64_t count = std::min(kTilePositions, positions - first);
      const int* order = positions_.order().data() + first;
      for (int i = 0; i < 2; ++i) {
        gatherer_[i].Gather(order, count, patches_.data() + i * count * weights_.a_stride);
      }
      path().dense_dots(patches_.data(), 2 * count, weights_, dots_.data());
      for (int64_t p = 0; p < count; ++p) {
        CorrectDots(first + p, p, &index);
        CorrectDots(first + p, count + p, &index);
      }
      // Positions of a class lie in the output as runs of neighbours.
      for (int64_t p = 0, run; p < count; p += run) {
        FloatEnd end = float_end();
        int64_t most = count - p;
        if (has_centre()) {
          while (positions_.classes()[kind].end <= first + p) ++kind;
          most = std::min(most, positions_.classes()[kind].end - (first + p));
          end.bias = biases_.data() + kind * padded();
        }
        run = 1;
        while (run < most && order[p + run] == order[p] + run) ++run;
        const int64_t row = b * positions + order[p];
        path().dual.dots_to_float(dots_.data() + p * outputs(),
                                  dots_.data() + (count + p) * outputs(), scales, run, outputs(),
                                  end,
                                  o.residual == nullptr ? nullptr : o.residual + row * outputs(),
                                  static_cast<float*>(o.out) + row * outputs(),
                                  o.signs == nullptr ? nullptr : o.signs + row * o.signs_stride,
                                  o.signs_stride);
      }
    }
  }

  // Takes what the border leaves out from row `at` of the dots, which is that of `position`.
  const int32_t* CorrectDots(int64_t position, int64_t at, size_t* index) {
    const auto& classes = positions_.classes();
    while (classes[*index].end <= position) ++*index;
    const auto& kind = classes[*index];
    int32_t* dots = dots_.data() + at * outputs();
    const int32_t missing = geometry_.reduction() - kind.valid;
    // Not read from the members again behind every store.
    const auto* outside = kind.outside.data();
    const int count = missing == 0 ? 0 : outputs();
    for (int n = 0; n < count; ++n) dots[n] += 2 * outside[n] - missing;
    return dots;
  }

  // Where the kernels can do it, limits for every position: a block of eight need not be of one
  // class then.
  void PlanRowLimits() {
    constexpr int64_t kMostLimits = 1 << 20;  // more are not worth the memory
    const int64_t positions = static_cast<int64_t>(positions_.order().size());
    const int64_t blocks = (positions + 7) / 8;
    const bool each =
        path().dense_to_bits_by_row != nullptr && blocks <= kMostLimits / 8 / padded();
    row_limits_.Assign(each ? blocks * padded() * 8 : 0);
    if (!each) return;
    size_t index = 0;
    for (int64_t p = 0; p < positions; ++p) {
      while (positions_.classes()[index].end <= p) ++index;
      for (int64_t n = 0; n < padded(); ++n) {
        row_limits_[(p / 8 * padded() + n) * 8 + p % 8] = limits_[padded() * index + n];
      }
    }
  }

  // Gathered positions to output rows from `base` on. `index` is the class of the first position,
  // and afterwards of the last one.
  void ToBits(int64_t base, int64_t first, int64_t count, size_t* index, const Operands& o) {
    const auto& classes = positions_.classes();
    const int64_t words = WordsFor(outputs());
    if (row_limits_.size() > 0) {
      path().dense_to_bits_by_row(patches_.data(), count, weights_,
                                  row_limits_.data() + first * padded(), bits_.data(), words);
    }
    for (int64_t p = first; row_limits_.size() == 0 && p < first + count;) {
      while (classes[*index].end <= p) ++*index;
      const int64_t end = std::min(classes[*index].end, first + count);
      path().dense_to_bits(patches_.data() + (p - first) * weights_.a_stride, end - p, weights_,
                           {limits_.data() + padded() * *index},
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
    path().dense_dots(patches_.data(), count, weights_, dots_.data());
    for (int64_t p = 0; p < count; ++p) {
      const int32_t* dots = CorrectDots(first + p, p, index);
      const int64_t row = base + positions_.order()[first + p];
      path().dots_to_float(dots, 1, outputs(), float_end(positions_.classes()[*index].part),
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
  PatchGatherer gatherer_[2];  // the second for the second bits
  AlignedBuffer<int16_t> limits_;  // (classes, padded())
  AlignedBuffer<int16_t> row_limits_;  // (positions / 8, padded(), 8), or empty
  AlignedBuffer<uint32_t> pixels_;
  AlignedBuffer<uint32_t> patches_;
  AlignedBuffer<int32_t> dots_;
  AlignedBuffer<uint32_t> bits_;
  // Of a layer of two bits: shifts of `period_` values in a row, and the bits without gaps.
  int64_t period_ = 0;
  AlignedBuffer<float> tiled_[3];
  AlignedBuffer<uint32_t> flat_[2];
  AlignedBuffer<float> biases_;  // with a centre: (classes, padded())
};

}  // namespace

std::unique_ptr<Op> CreateConv2DOp() { return std::make_unique<Conv2DOp>(); }

}  // namespace bifsmn
