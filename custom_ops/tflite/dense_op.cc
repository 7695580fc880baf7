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

class DenseOp : public BinaryOp {
 protected:
  bool ReadAttributes(Attributes*, Error*) override { return true; }

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
    weights_.Assign(weights.data(), outputs(), channels());
    tile_ = TileRows(rows_);
    scratch_.resize(ScratchWords(tile_, channels()));
    dots_.resize(tile_ * outputs());
    return true;
  }

  void Run(const void* x, const float* residual, void* out) override {
    for (int64_t r = 0; r < rows_; r += tile_) {
      const int64_t count = std::min(tile_, rows_ - r);
      const uint32_t* bits = Bits(Advance(x, r, channels()), count, channels(), &scratch_);
      kernels().bit_gemm(bits, count, weights_, dots_.data());
      Finish(dots_.data(), r, count, residual, out);
    }
  }

 private:
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
  int64_t tile_ = 1;
  PackedWeights weights_;
  std::vector<uint32_t> scratch_;
  std::vector<int32_t> dots_;
};

}  // namespace

std::unique_ptr<BinaryOp> CreateDenseOp() { return std::make_unique<DenseOp>(); }

}  // namespace bifsmn
