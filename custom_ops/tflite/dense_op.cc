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

// BifsmnDense: binary fully connected layer.

#include <algorithm>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/tflite/binary_op.h"

namespace bifsmn {
namespace {

// Rows that are copied at a time.
constexpr int64_t kTileRows = 64;

// Rows of a layer of two bits, each of which is two for the kernels.
constexpr int64_t kDualTileRows = 8;

class DenseOp : public BinaryOp {
 protected:
  int64_t PackedStride(int64_t words) const override {
    if (x_parts_ == 1) return weights_.a_stride;
    return words * x_parts_ == weights_.words && channels() % kWordBits == 0 ? words : -1;
  }

  bool ReadAttributes(Attributes*, Error* error) override {
    if (!has_centre()) return true;
    return error->Set("attribute \"centre\" is for operators with padding: here it belongs into "
                      "the bias. Received: centre=1");
  }

  bool Plan(const TensorView& x, const Shape& weights_shape, const std::vector<uint32_t>& weights,
            Shape* lead, Error* error) override {
    const int trailing = TrailingDimensions(x);
    if (trailing == 0) {
      return error->Set("x should have trailing dimensions that hold channels=%d %s behind at "
                        "least one batch dimension. Received: %s of shape %s", channels(),
                        x.type == abi::kFloat32 ? "values" : "packed bits", TypeName(x.type),
                        ToString(x.shape).c_str());
    }
    lead->assign(x.shape.begin(), x.shape.end() - trailing);
    if (!Product(*lead, &rows_)) return error->Set("x has too many rows");
    if (!CheckWeights(weights_shape, weights, outputs(), channels(), error)) return false;
    x_parts_ = 1;
    for (int i = 1; i < trailing; ++i) x_parts_ *= x.shape[x.rank() - 1 - i];
    stored_ = weights;
    path().dense_prepare(stored_.data(), outputs(), channels(), &weights_);
    const int64_t tile = std::min(rows_, is_dual() ? kDualTileRows : kTileRows);
    scratch_.Assign((is_dual() ? 2 : 1) * tile * weights_.a_stride);
    // Which end it has is not known yet.
    const bool stores_dots = is_dual() && (path().dual.dense_to_float == nullptr ||
                                           path().dual.dense_to_levels == nullptr ||
                                           channels() > kMostLevelReduction);
    dots_.Assign(stores_dots ? 2 * tile * outputs() : 0);
    return true;
  }

  bool HandsLevels() const override { return true; }

  int Reduction() const override { return channels(); }

  bool Negate(const std::vector<bool>& rows) override {
    const int64_t words = WordsFor(channels());
    for (int64_t n = 0; n < outputs(); ++n) {
      if (!rows[n]) continue;
      for (int64_t w = 0; w < words; ++w) stored_[n * words + w] = ~stored_[n * words + w];
      stored_[(n + 1) * words - 1] &= LastWordMask(channels());
    }
    path().dense_prepare(stored_.data(), outputs(), channels(), &weights_);
    return true;
  }

  void PlanBits() override {
    limits_.Assign(padded());
    for (int64_t n = 0; n < padded(); ++n) {
      limits_[n] =
          n < outputs() ? static_cast<int16_t>(Limit(channels(), thresholds()[n])) : int16_t{-1};
    }
  }

  void Run(const Operands& o) override {
    if (is_dual()) return RunDual(o);
    // Rows that lie as the kernels read them, or else a copy.
    const int64_t stride = o.x_stride == 0 ? WordsFor(channels()) / x_parts_ : o.x_stride;
    const bool clean = o.x_stride != 0 || (!x_is_float() && channels() % kWordBits == 0);
    const bool aligned = reinterpret_cast<uintptr_t>(o.x) % kRowAlignment == 0;
    if (clean && aligned && stride * x_parts_ == weights_.a_stride &&
        (x_parts_ == 1 || stride * x_parts_ == weights_.words)) {
      Multiply(static_cast<const uint32_t*>(o.x), 0, rows_, o);
      return;
    }
    for (int64_t r = 0; r < rows_; r += kTileRows) {
      const int64_t count = std::min(kTileRows, rows_ - r);
      CopyRows(o, r, count, channels(), x_parts_, scratch_.data(), weights_.a_stride);
      Multiply(scratch_.data(), r, count, o);
    }
  }

 private:
  // Both bits of a few rows, one below the other, go through one matrix product.
  void RunDual(const Operands& o) {
    for (int64_t at = 0; at < rows_; at += kDualTileRows) {
      const int64_t count = std::min(kDualTileRows, rows_ - at);
      float scales[kDualTileRows];
      const uint32_t *first = scratch_.data(), *second = first + count * weights_.a_stride;
      if (o.x_second == nullptr) {
        Split(static_cast<const float*>(o.x) + at * channels(), count, scales);
      } else {
        std::fill_n(scales, count, kLevelScale);
        first = RowsOf(static_cast<const uint32_t*>(o.x), o.x_stride, at, count, 0);
        second = RowsOf(o.x_second, o.x_stride, at, count, count * weights_.a_stride);
      }
      to_levels() ? ToLevels(first, second, at, count, o)
                  : ToFloat(first, second, scales, at, count, o);
    }
  }

  // Rows of packed bits as the kernels read them: where they are, or copied to scratch_.
  const uint32_t* RowsOf(const uint32_t* bits, int64_t stride, int64_t at, int64_t count,
                         int64_t to) {
    const uint32_t* from = bits + at * stride;
    if (stride == weights_.a_stride && reinterpret_cast<uintptr_t>(from) % kRowAlignment == 0) {
      return from;
    }
    uint32_t* rows = scratch_.data() + to;
    for (int64_t r = 0; r < count; ++r) {
      std::copy_n(from + r * stride, weights_.words, rows + r * weights_.a_stride);
    }
    return rows;
  }

  void Dots(const uint32_t* first, const uint32_t* second, int64_t count) {
    if (second == first + count * weights_.a_stride) {
      path().dense_dots(first, 2 * count, weights_, dots_.data());
      return;
    }
    path().dense_dots(first, count, weights_, dots_.data());
    path().dense_dots(second, count, weights_, dots_.data() + count * outputs());
  }

  void ToFloat(const uint32_t* first, const uint32_t* second, const float* scales, int64_t row,
               int64_t count, const Operands& o) {
    const int64_t at = row * outputs();
    const float* residual = o.residual == nullptr ? nullptr : o.residual + at;
    float* out = static_cast<float*>(o.out) + at;
    uint32_t* signs = o.signs == nullptr ? nullptr : o.signs + row * o.signs_stride;
    if (path().dual.dense_to_float != nullptr) {
      path().dual.dense_to_float(first, second, scales, count, weights_, float_end(), residual,
                                 out, signs, o.signs_stride);
      return;
    }
    Dots(first, second, count);
    path().dual.dots_to_float(dots_.data(), dots_.data() + count * outputs(), scales, count,
                              outputs(), float_end(), residual, out, signs, o.signs_stride);
  }

  void ToLevels(const uint32_t* first, const uint32_t* second, int64_t row, int64_t count,
                const Operands& o) {
    uint32_t* out_first = static_cast<uint32_t*>(o.out) + row * o.out_stride;
    uint32_t* out_second = o.out_second + row * o.out_stride;
    if (path().dual.dense_to_levels != nullptr && channels() <= kMostLevelReduction) {
      path().dual.dense_to_levels(first, second, count, weights_, levels_end(), out_first,
                                  out_second, o.out_stride);
      return;
    }
    Dots(first, second, count);
    path().dual.dots_to_levels(dots_.data(), dots_.data() + count * outputs(), count, outputs(),
                               levels_end(), out_first, out_second, o.out_stride);
  }

  // The first bits of a few rows to scratch_, the second ones below them, and their scales.
  void Split(const float* x, int64_t count, float* scales) {
    uint32_t* bits = scratch_.data();
    const int64_t stride = weights_.a_stride;
    if (has_levels()) {
      path().dual.split_levels(x, count, channels(), shift(0).data(), shift(1).data(),
                               shift(2).data(), bits, bits + count * stride, stride);
      std::fill_n(scales, count, kLevelScale);
      return;
    }
    for (int64_t r = 0; r < count; ++r, x += channels(), bits += stride) {
      alignas(64) float sums[32] = {};
      path().dual.split(x, channels(), shift(0).data(), shift(1).data(), bits,
                        bits + count * stride, sums);
      scales[r] = DualScale(sums, channels());
    }
  }

  // Output rows first .. first + count - 1 from as many clean rows.
  void Multiply(const uint32_t* rows, int64_t first, int64_t count, const Operands& o) {
    if (to_bits()) {
      path().dense_to_bits(rows, count, weights_, {limits_.data()},
                           static_cast<uint32_t*>(o.out) + first * o.out_stride, o.out_stride);
      return;
    }
    const int64_t at = first * outputs();
    path().dense_to_float(rows, count, weights_, float_end(),
                          o.residual == nullptr ? nullptr : o.residual + at,
                          static_cast<float*>(o.out) + at,
                          o.signs == nullptr ? nullptr : o.signs + first * o.signs_stride,
                          o.signs_stride);
  }

  // How many trailing dimensions form the reduction; 0 if none do.
  int TrailingDimensions(const TensorView& x) const {
    const bool is_float = x.type == abi::kFloat32;
    if (x.rank() < 2) return 0;
    if (!is_float && x.shape.back() == WordsFor(channels())) return 1;
    // Several packed dimensions flatten only without unused bits between them.
    if (!is_float && channels() % kWordBits != 0) return 0;
    const int64_t target = is_float ? channels() : WordsFor(channels());
    int64_t size = 1;
    for (int count = 1; count < x.rank(); ++count) {
      size *= x.shape[x.rank() - count];
      if (size == target) return count;
      if (size == 0 || size > target) return 0;
    }
    return 0;
  }

  int64_t rows_ = 0;
  int64_t x_parts_ = 1;  // rows of x's last dimension that form a row
  std::vector<uint32_t> stored_;
  DenseWeights weights_;
  AlignedBuffer<int16_t> limits_;
  AlignedBuffer<uint32_t> scratch_;
  AlignedBuffer<int32_t> dots_;
};

}  // namespace

std::unique_ptr<Op> CreateDenseOp() { return std::make_unique<DenseOp>(); }

}  // namespace bifsmn
