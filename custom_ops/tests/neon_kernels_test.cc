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

// The NEON kernels against the scalar reference: paths that dispatch may not choose here, every
// tile alone, and reductions and sizes at the edges of the tiles. On other processors there is
// nothing to test.

#if defined(__aarch64__)

#include <cstring>
#include <string>
#include <vector>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/neon_dense.h"
#include "custom_ops/kernels/neon_fbck.h"
#include "custom_ops/kernels/neon_paths.h"
#include "custom_ops/kernels/path.h"
#include "custom_ops/kernels/reference.h"
#include "custom_ops/tests/guarded.h"
#include "custom_ops/tests/test_data.h"
#include "gtest/gtest.h"

namespace bifsmn {
namespace {

const int kReductions[] = {1, 5, 31, 32, 33, 127, 128, 129, 256, 257, 400, 512, 1000};

class NeonPathTest : public testing::TestWithParam<const KernelPath*> {
 protected:
  const KernelPath& path() const { return *GetParam(); }

  // Dense layers of every end, from operands given as the model stores them.
  void Check(const std::vector<uint32_t>& x, const std::vector<uint32_t>& weights, int rows,
             int reduction, int outputs) {
    SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(reduction) + " x " +
                 std::to_string(outputs));
    std::vector<int32_t> expected(int64_t{rows} * outputs);
    reference::Dense(x.data(), rows, reduction, weights.data(), outputs, expected.data());
    DenseWeights w;
    Guarded<uint32_t> stored(weights, data_.AnyPlace());
    path().dense_prepare(stored.data(), outputs, reduction, &w);
    ASSERT_EQ(w.a_stride, PaddedWords(reduction));
    Guarded<uint32_t> a(WithStride(x, reduction, w.a_stride), data_.AlignedPlace());

    Guarded<int32_t> dots(int64_t{rows} * outputs, data_.AnyPlace());
    path().dense_dots(a.data(), rows, w, dots.data());
    ASSERT_TRUE(dots.intact());
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(dots[i], expected[i]) << i;

    // Limits around the counts, and the ends of their range.
    const int padded = (outputs + kEndBlock - 1) / kEndBlock * kEndBlock;
    Guarded<int16_t> limits(padded, data_.AlignedPlace());
    for (int n = 0; n < padded; ++n) {
      const int limit[] = {(reduction - expected[n % expected.size()]) / 2, -1, reduction, 0,
                           (reduction - expected[n % expected.size()]) / 2 - 1};
      limits[n] = static_cast<int16_t>(n < outputs ? limit[n % 5] : -1);
    }
    const int64_t stride = WordsFor(outputs) + rows % 3;
    Guarded<uint32_t> bits(rows * stride, data_.AnyPlace());
    path().dense_to_bits(a.data(), rows, w, BitsEnd{limits.data()}, bits.data(), stride);
    ASSERT_TRUE(bits.intact() && a.intact() && limits.intact());
    for (int r = 0; r < rows; ++r) {
      for (int64_t n = 0; n < stride * kWordBits; ++n) {
        const bool bit =
            n < outputs && (reduction - expected[r * outputs + n]) / 2 <= limits[n];
        ASSERT_EQ(BitAt(bits.data() + r * stride, n), bit) << "row " << r << ", output " << n;
      }
    }
  }

  TestData data_{11};
};

INSTANTIATE_TEST_SUITE_P(Neon, NeonPathTest,
                         testing::Values(&NeonFbckPath(), &NeonA53Path(), &NeonPath()),
                         [](const testing::TestParamInfo<const KernelPath*>& info) {
                           return std::string(info.param->name);
                         });

TEST_P(NeonPathTest, EveryReductionAndNumberOfOutputs) {
  for (const int reduction : kReductions) {
    for (const int outputs : {1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 40, 127, 128, 129, 257}) {
      const int rows = data_.Int(1, 10);
      Check(data_.Bits(rows, reduction), data_.Bits(outputs, reduction), rows, reduction, outputs);
    }
  }
}

TEST_P(NeonPathTest, LimitsOfEveryRow) {
  for (const int reduction : kReductions) {
    for (const int outputs : {1, 15, 16, 32, 33, 128, 161}) {
      const int rows = data_.Int(1, 19);
      const auto x = data_.Bits(rows, reduction), weights = data_.Bits(outputs, reduction);
      std::vector<int32_t> dots(int64_t{rows} * outputs);
      reference::Dense(x.data(), rows, reduction, weights.data(), outputs, dots.data());
      DenseWeights w;
      path().dense_prepare(weights.data(), outputs, reduction, &w);
      Guarded<uint32_t> a(WithStride(x, reduction, w.a_stride), data_.AlignedPlace());
      const int64_t padded = (outputs + kEndBlock - 1) / kEndBlock * kEndBlock;
      Guarded<int16_t> limits((rows + 7) / 8 * padded * 8, data_.AlignedPlace());
      const auto limit = [&](int r, int64_t n) -> int16_t& {
        return limits.data()[(r / 8 * padded + n) * 8 + r % 8];
      };
      for (int64_t i = 0; i < (rows + 7) / 8 * padded * 8; ++i) limits[i] = -1;
      for (int r = 0; r < rows; ++r) {
        for (int n = 0; n < outputs; ++n) {
          const int count = (reduction - dots[r * outputs + n]) / 2;
          limit(r, n) = static_cast<int16_t>(count + data_.Int(-1, 1));
        }
      }
      const int64_t stride = WordsFor(outputs) + rows % 3;
      Guarded<uint32_t> bits(rows * stride, data_.AnyPlace());
      path().dense_to_bits_by_row(a.data(), rows, w, limits.data(), bits.data(), stride);
      ASSERT_TRUE(bits.intact() && a.intact() && limits.intact());
      for (int r = 0; r < rows; ++r) {
        for (int64_t n = 0; n < stride * kWordBits; ++n) {
          const bool bit =
              n < outputs && (reduction - dots[r * outputs + n]) / 2 <= limit(r, n);
          ASSERT_EQ(BitAt(bits.data() + r * stride, n), bit)
              << reduction << " x " << outputs << ", row " << r << ", output " << n;
        }
      }
    }
  }
}

// Blocks of fewer than eight frames stand in for the missing ones with the last one.
TEST_P(NeonPathTest, FloatsInPlaceOfTheResidual) {
  for (int rows = 1; rows <= 17; ++rows) {
    for (const int outputs : {3, 8, 13, 32, 128, 139}) {
      const int reduction = data_.Int(1, 300);
      const auto x = data_.Bits(rows, reduction), weights = data_.Bits(outputs, reduction);
      std::vector<int32_t> dots(int64_t{rows} * outputs);
      reference::Dense(x.data(), rows, reduction, weights.data(), outputs, dots.data());
      DenseWeights w;
      path().dense_prepare(weights.data(), outputs, reduction, &w);
      Guarded<uint32_t> a(WithStride(x, reduction, w.a_stride), data_.AlignedPlace());
      AlignedBuffer<float> multiplier, bias;
      multiplier.Assign((outputs + kEndBlock - 1) / kEndBlock * kEndBlock);
      bias.Assign(multiplier.size());
      for (int n = 0; n < outputs; ++n) multiplier[n] = data_.Floats(1)[0];
      for (int n = 0; n < outputs; ++n) bias[n] = data_.Floats(1)[0];
      const float slope = rows % 3 == 0 ? 1.0f : rows % 3 == 1 ? 0.25f : -0.5f;
      const bool first = rows % 2 == 0;
      const std::vector<float> residual = data_.Floats(rows * outputs);
      Guarded<float> out(residual, data_.AnyPlace());
      const int64_t stride = WordsFor(outputs) + 1;
      Guarded<uint32_t> signs(rows * stride, data_.AnyPlace());
      path().dense_to_float(a.data(), rows, w, {multiplier.data(), bias.data(), slope, first},
                            out.data(), out.data(), signs.data(), stride);
      ASSERT_TRUE(out.intact() && signs.intact());
      for (int i = 0; i < rows * outputs; ++i) {
        const int n = i % outputs;
        const float expected =
            reference::FloatEpilogue(static_cast<float>(dots[i]), multiplier[n], bias[n],
                                     &residual[i], slope, first);
        ASSERT_EQ(out[i], expected) << rows << " rows, row " << i / outputs << ", output " << n;
        ASSERT_EQ(BitAt(signs.data() + i / outputs * stride, n), expected >= 0.0f);
      }
    }
  }
}

// Shapes that fill the tiles of the stem, and their neighbours that do not.
TEST(NeonFloatTest, ConvolutionTiles) {
  TestData data(13);
  for (const int kernel : {3, 4, 5}) {
    for (const int stride : {1, 2, 3}) {
      for (const int outputs : {8, 16, 32, 48}) {
        for (const int along : {7, 8, 9, 16, 21}) {
          FloatConvShape s;
          s.kernel_h = s.kernel_w = kernel;
          s.stride_h = s.stride_w = stride;
          s.outputs = outputs;
          const bool transposed = data.Int(0, 1) != 0;
          s.out_h = transposed ? along : 3, s.out_w = transposed ? 3 : along;
          const int64_t height = (s.out_h - 1) * stride + kernel;
          const int64_t width = (s.out_w - 1) * stride + kernel;
          s.down = transposed ? 1 : width, s.right = transposed ? height : 1;
          const int padded = (outputs + 15) / 16 * 16;
          Guarded<float> x(data.Floats(height * width), data.AnyPlace());
          AlignedBuffer<float> w, bias;
          w.Assign(int64_t{kernel} * kernel * padded);
          bias.Assign(padded);
          const auto values = data.Floats(w.size() + padded);
          std::memcpy(w.data(), values.data(), w.size() * sizeof(float));
          std::memcpy(bias.data(), values.data() + w.size(), padded * sizeof(float));
          FloatConvEnd end = {bias.data(), outputs == 32 ? 1.5f : 0.25f};
          AlignedBuffer<float> threshold;
          threshold.Assign(padded);
          for (int n = 0; n < outputs; ++n) threshold[n] = data.Floats(1)[0];
          if (along % 2 == 0) end.sign_threshold = threshold.data();
          const int64_t positions = int64_t{s.out_h} * s.out_w, words = WordsFor(outputs) + 1;
          Guarded<float> out(positions * outputs, data.AnyPlace());
          Guarded<uint32_t> signs(positions * words, data.AnyPlace());
          NeonPath().float_conv(x.data(), s, w.data(), end, out.data(),
                                signs.data(), words);
          ASSERT_TRUE(out.intact() && signs.intact());
          std::vector<float> expected(positions * outputs);
          PortablePath().float_conv(x.data(), s, w.data(), end, expected.data(),
                                    nullptr, 0);
          for (int64_t i = 0; i < positions * words * kWordBits; ++i) {
            const int64_t p = i / (words * kWordBits), n = i % (words * kWordBits);
            const float least = end.sign_threshold == nullptr ? 0.0f : threshold[n % outputs];
            const bool bit = n < outputs && out[p * outputs + n] >= least;
            ASSERT_EQ(BitAt(signs.data() + p * words, n), bit) << "position " << p << ", " << n;
            if (n < outputs) {
              ASSERT_NEAR(out[p * outputs + n], expected[p * outputs + n], 1e-3f)
                  << kernel << " taps, stride " << stride << ", " << outputs << " outputs, "
                  << along << " along, position " << p << ", output " << n;
            }
          }
        }
      }
    }
  }
}

TEST_P(NeonPathTest, EveryNumberOfFrames) {
  for (int rows = 1; rows <= 40; ++rows) {
    const int reduction = data_.Int(1, 600), outputs = data_.Int(1, 70);
    Check(data_.Bits(rows, reduction), data_.Bits(outputs, reduction), rows, reduction, outputs);
  }
}

TEST_P(NeonPathTest, AllBitsDifferAndNone) {
  for (const int reduction : {1, 127, 128, 129, 255, 256, 257, 384, 1000, 32767}) {
    std::vector<uint32_t> ones(WordsFor(reduction), ~0u);
    ones.back() = LastWordMask(reduction);
    std::vector<uint32_t> weights = ones;
    weights.resize(2 * ones.size(), 0);
    std::vector<uint32_t> x(9 * ones.size(), 0);
    for (int r = 0; r < 9; r += 2) std::copy(ones.begin(), ones.end(), x.begin() + r * ones.size());
    Check(x, weights, 9, reduction, 2);
  }
}

TEST_P(NeonPathTest, PackAtEveryAlignmentOfAFloat) {
  for (const int channels : InterestingSizes()) {
    for (int skip = 0; skip < 4; ++skip) {
      const std::vector<float> x = data_.Activations(2 * channels);
      const Place place = {skip == 0, skip};
      Guarded<float> from(x, place);
      const int64_t words = WordsFor(channels), stride = words + skip;
      Guarded<uint32_t> packed(2 * stride, place);
      path().pack(from.data(), 2, channels, packed.data(), stride);
      ASSERT_TRUE(packed.intact());
      std::vector<uint32_t> expected(2 * words);
      reference::Pack(x.data(), 2, channels, expected.data());
      for (int64_t i = 0; i < 2 * stride; ++i) {
        const int64_t word = i % stride;
        ASSERT_EQ(packed[i], word < words ? expected[i / stride * words + word] : 0u)
            << channels << " channels, word " << i;
      }
    }
  }
}

int Differing(const std::vector<uint32_t>& a, int64_t row, const std::vector<uint32_t>& b,
              int64_t other, int64_t first, int64_t words, int64_t stride) {
  int count = 0;
  for (int64_t i = first; i < first + words; ++i) {
    for (int bit = 0; bit < kWordBits; ++bit) {
      count += BitAt(&a[row * stride + i], bit) != BitAt(&b[other * stride + i], bit);
    }
  }
  return count;
}

// Each tile by itself, where a path would hide which one it took.
void CheckTiles(const NeonTiles& tiles, decltype(KernelPath::dense_prepare) prepare) {
  TestData data(12);
  for (const int outputs : {32, 64, 128}) {
    for (const int words : {4, 8, 12, 16}) {
      const int reduction = words * kWordBits;
      const auto x = data.Bits(kNeonFrames, reduction), rows = data.Bits(outputs, reduction);
      DenseWeights w;
      prepare(rows.data(), outputs, reduction, &w);
      Guarded<uint32_t> rows_of_x(x, data.AlignedPlace());
      NeonFrames frames;
      for (int f = 0; f < kNeonFrames; ++f) {
        frames.row[f] = reinterpret_cast<const uint8_t*>(rows_of_x.data() + f * words);
      }
      // Two more in front, which the loops write before there is a count.
      Guarded<uint16_t> counts((outputs + 2) * kNeonFrames, data.AlignedPlace());
      const uint8_t* pass = w.data.data();
      for (int first = 0; first < words; first += 8) {
        const bool two = words - first >= 8;
        const auto tile = first == 0 ? (two ? tiles.k256 : tiles.k128)
                                     : (two ? tiles.k256_add : tiles.k128_add);
        tile(frames, first * 4, pass, outputs, counts.data() + 2 * kNeonFrames);
        pass += outputs * (two ? 32 : 16);
        for (int i = 0; i < outputs * kNeonFrames; ++i) {
          ASSERT_EQ(counts[2 * kNeonFrames + i],
                    Differing(x, i % kNeonFrames, rows, i / kNeonFrames, 0,
                              first + (two ? 8 : 4), words))
              << words << " words, output " << i / kNeonFrames << ", frame " << i % kNeonFrames;
        }
        ASSERT_TRUE(counts.intact());
      }
      if (words > 8) continue;
      Guarded<int16_t> limits(outputs, data.AlignedPlace());
      for (int n = 0; n < outputs; ++n) {
        limits[n] = static_cast<int16_t>(reduction / 2 + data.Int(-8, 8));
      }
      Guarded<uint16_t> bits(outputs / 16 * kNeonFrames);
      (words == 4 ? tiles.k128_bits : tiles.k256_bits)(frames, w.data.data(), outputs,
                                                       limits.data(), bits.data());
      ASSERT_TRUE(bits.intact());
      for (int n = 0; n < outputs; ++n) {
        for (int f = 0; f < kNeonFrames; ++f) {
          const bool expected = Differing(x, f, rows, n, 0, words, words) <= limits[n];
          ASSERT_EQ((bits[n / 16 * kNeonFrames + f] >> (n % 16) & 1) != 0, expected)
              << words << " words, output " << n << ", frame " << f;
        }
      }
    }
  }
}

TEST(NeonTilesTest, Fbck) { CheckTiles(NeonFbckTiles(), NeonFbckPrepare); }

TEST(NeonTilesTest, TreeA53) {
  CheckTiles(kNeonTreeTiles, NeonDensePrepare);
}

}  // namespace
}  // namespace bifsmn

#endif  // defined(__aarch64__)
