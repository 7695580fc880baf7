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

// Every kernel of every table against the scalar reference.

#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/conv2d.h"
#include "custom_ops/kernels/kernel_table.h"
#include "custom_ops/kernels/reference.h"
#include "custom_ops/tests/test_data.h"
#include "gtest/gtest.h"

namespace bifsmn {
namespace {

class KernelsTest : public testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& kernels() const { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Tables, KernelsTest, testing::Values(&PortableKernels(), &Kernels()),
                         [](const testing::TestParamInfo<const KernelTable*>& info) {
                           return (info.index == 0 ? "default_" : "best_") +
                                  std::string(info.param->name);
                         });

TEST_P(KernelsTest, PackSetsOneBitPerChannel) {
  for (const int channels : {1, 31, 32, 33, 64, 100, 129}) {
    for (int one = 0; one < channels; ++one) {
      std::vector<float> x(channels, -1.0f);
      x[one] = 1.0f;
      std::vector<uint32_t> words(WordsFor(channels) + 1, 0xDEADBEEF);
      kernels().pack(x.data(), 1, channels, words.data());
      for (int w = 0; w < WordsFor(channels); ++w) {
        const uint32_t expected = w == one / 32 ? uint32_t{1} << (one % 32) : 0;
        ASSERT_EQ(words[w], expected) << channels << " channels, one at " << one;
      }
      ASSERT_EQ(words.back(), 0xDEADBEEF);
    }
  }
}

TEST_P(KernelsTest, PackTakesZeroOfEitherSignAsPlusAndNanAsMinus) {
  const float x[] = {0.0f, -0.0f, std::nanf(""), -std::nanf(""), INFINITY, -INFINITY, 1e-45f,
                     -1e-45f};
  uint32_t word = 0;
  kernels().pack(x, 1, 8, &word);
  EXPECT_EQ(word, 0b01010011u);
}

TEST_P(KernelsTest, PackAgreesWithReference) {
  TestData data(1);
  for (const int channels : InterestingSizes()) {
    const std::vector<float> x = data.Activations(3 * channels);
    std::vector<uint32_t> expected(3 * WordsFor(channels)), actual(expected.size(), ~0u);
    reference::Pack(x.data(), 3, channels, expected.data());
    kernels().pack(x.data(), 3, channels, actual.data());
    ASSERT_EQ(actual, expected) << channels;
  }
}

void CheckGemm(const KernelTable& kernels, TestData* data, int rows, int reduction, int outputs) {
  const auto x = data->Bits(rows, reduction);
  const auto w = data->Bits(outputs, reduction);
  std::vector<int32_t> expected(rows * outputs), actual(rows * outputs + 1, 77);
  reference::Dense(x.data(), rows, reduction, w.data(), outputs, expected.data());
  PackedWeights packed;
  packed.Assign(w.data(), outputs, reduction);
  kernels.bit_gemm(x.data(), rows, packed, actual.data());
  EXPECT_EQ(actual.back(), 77) << "wrote past the end";
  actual.pop_back();
  ASSERT_EQ(actual, expected) << rows << " x " << reduction << " x " << outputs;
}

TEST_P(KernelsTest, GemmOfEveryReduction) {
  TestData data(2);
  for (const int reduction : InterestingSizes()) CheckGemm(kernels(), &data, 2, reduction, 5);
}

TEST_P(KernelsTest, GemmOfEveryNumberOfOutputsAndRows) {
  TestData data(3);
  for (int n = 1; n <= 40; ++n) {
    CheckGemm(kernels(), &data, 1, 33, n);
    CheckGemm(kernels(), &data, n, 129, 7);
    CheckGemm(kernels(), &data, data.Int(1, 9), data.Int(1, 300), data.Int(1, 70));
  }
  CheckGemm(kernels(), &data, 8, 256, 128);
  CheckGemm(kernels(), &data, 8, 128, 256);
}

TEST_P(KernelsTest, GemmReachesBothEndsOfTheRange) {
  for (const int reduction : {1, 31, 32, 33, 127, 128, 129, 400, 1000, 32767}) {
    std::vector<uint32_t> ones(WordsFor(reduction), ~0u);
    ones.back() = LastWordMask(reduction);
    const std::vector<uint32_t> zeros(ones.size(), 0);
    PackedWeights packed;
    packed.Assign(ones.data(), 1, reduction);
    int32_t dot = 0;
    kernels().bit_gemm(ones.data(), 1, packed, &dot);
    EXPECT_EQ(dot, reduction);
    kernels().bit_gemm(zeros.data(), 1, packed, &dot);
    EXPECT_EQ(dot, -reduction) << "all bits differ";
  }
}

TEST_P(KernelsTest, MaskedGemvCountsOnlyTheMask) {
  TestData data(4);
  for (const int reduction : InterestingSizes()) {
    const int outputs = data.Int(1, 9);
    const auto x = data.Bits(1, reduction);
    const auto mask = data.Bits(1, reduction);
    const auto w = data.Bits(outputs, reduction);
    std::vector<int32_t> expected(outputs, 0), actual(outputs);
    int valid = 0;
    for (int k = 0; k < reduction; ++k) {
      if (!BitAt(mask.data(), k)) continue;
      ++valid;
      for (int n = 0; n < outputs; ++n) {
        expected[n] += reference::SignAt(x.data(), k) *
                       reference::SignAt(w.data() + n * WordsFor(reduction), k);
      }
    }
    PackedWeights packed;
    packed.Assign(w.data(), outputs, reduction);
    kernels().bit_gemv_masked(x.data(), mask.data(), valid, packed, actual.data());
    ASSERT_EQ(actual, expected) << reduction;
  }
}

void CheckConv2D(const KernelTable& kernels, TestData* data, reference::ConvShape s) {
  const int outputs = data->Int(1, 9);
  Conv2DGeometry g;
  g.height = s.height, g.width = s.width, g.channels = s.channels;
  g.kernel_h = s.kernel_h, g.kernel_w = s.kernel_w;
  g.stride_h = s.stride_h, g.stride_w = s.stride_w, g.pad_h = s.pad_h, g.pad_w = s.pad_w;
  const auto x = data->Bits(int64_t{s.height} * s.width, s.channels);
  const auto w = data->Bits(outputs, g.reduction());
  const int64_t positions = int64_t{g.out_h()} * g.out_w();
  std::vector<int32_t> expected(positions * outputs), actual(expected.size());
  reference::Conv2D(x.data(), s, w.data(), outputs, expected.data());

  PackedWeights packed;
  packed.Assign(w.data(), outputs, g.reduction());
  Conv2DMasks masks;
  masks.Assign(g);
  std::vector<uint32_t> patches(int64_t{g.out_w()} * packed.words);
  for (int oh = 0; oh < g.out_h(); ++oh) {
    GatherPatches(x.data(), g, oh, 0, g.out_w(), patches.data());
    for (int ow = 0; ow < g.out_w(); ++ow) {
      int32_t* dots = actual.data() + (int64_t{oh} * g.out_w() + ow) * outputs;
      const uint32_t* patch = patches.data() + int64_t{ow} * packed.words;
      const int index = masks.index(oh, ow);
      if (index == Conv2DMasks::kNone) {
        kernels.bit_gemm(patch, 1, packed, dots);
      } else {
        kernels.bit_gemv_masked(patch, masks.mask(index), masks.valid(index), packed, dots);
      }
    }
  }
  ASSERT_EQ(actual, expected) << s.height << "x" << s.width << "x" << s.channels << " kernel "
                              << s.kernel_h << "x" << s.kernel_w << " stride " << s.stride_h << ","
                              << s.stride_w << " pad " << s.pad_h << "," << s.pad_w;
}

TEST_P(KernelsTest, Conv2DAgreesWithReference) {
  TestData data(5);
  for (const int channels : {1, 3, 31, 32, 33, 64, 100}) {
    for (const int kernel : {1, 2, 3, 5}) {
      for (const int stride : {1, 2, 3}) {
        for (const int pad : {0, 1, 2, 6}) {
          CheckConv2D(kernels(), &data, {1, data.Int(kernel, 8), data.Int(kernel, 8), channels,
                                         kernel, kernel, stride, 1, pad, kernel / 2});
        }
      }
    }
  }
}

TEST_P(KernelsTest, Conv2DOfOneDimension) {
  TestData data(6);
  CheckConv2D(kernels(), &data, {1, 32, 1, 128, 5, 1, 2, 1, 2, 0});
  CheckConv2D(kernels(), &data, {1, 1, 17, 40, 1, 7, 1, 3, 0, 9});
  CheckConv2D(kernels(), &data, {1, 2, 2, 5, 2, 2, 5, 5, 30, 30});
}

TEST_P(KernelsTest, MemoryFilterAgreesWithReference) {
  TestData data(7);
  for (int round = 0; round < 120; ++round) {
    reference::MemoryShape s;
    s.batch = 1;
    s.frames = data.Int(1, 12);
    s.channels = round < 60 ? InterestingSizes()[round] : data.Int(1, 70);
    const int multiple = data.Int(1, 3);
    s.outputs = s.channels * multiple;
    s.taps = round % 10 == 0 ? data.Int(30, 70) : data.Int(1, 9);
    s.look_back = data.Int(0, s.taps - 1);
    s.stride_back = data.Int(1, 4);
    s.stride_ahead = data.Int(1, 4);
    const auto x = data.Bits(s.frames, s.channels);
    const auto w = data.Bits(s.taps, s.outputs);
    std::vector<int32_t> expected(s.frames * s.outputs), actual(expected.size());
    reference::Memory(x.data(), s, w.data(), expected.data());

    std::vector<uint32_t> repeated(s.frames * WordsFor(s.outputs));
    RepeatChannels(x.data(), s.frames, s.channels, multiple, repeated.data());
    MemoryWeights weights;
    weights.Assign(w.data(), s.taps, s.outputs, s.look_back, s.stride_back, s.stride_ahead);
    const int half = s.frames / 2;  // in two pieces
    kernels().memory_filter(repeated.data(), s.frames, 0, half, weights, actual.data());
    kernels().memory_filter(repeated.data(), s.frames, half, s.frames - half, weights,
                            actual.data() + half * s.outputs);
    ASSERT_EQ(actual, expected) << "round " << round;
  }
}

TEST_P(KernelsTest, FloatEpilogueAgreesWithReferenceBitByBit) {
  TestData data(8);
  for (const int outputs : {1, 3, 4, 5, 31, 64, 257}) {
    for (const float slope : {1.0f, 0.25f, -0.1f, 0.0f}) {
      for (const int residual : {0, 1, 2}) {
        const int rows = 3;
        FloatEpilogueParams params;
        params.multiplier = data.Floats(outputs);
        params.bias = data.Floats(outputs);
        params.slope = slope;
        params.residual_first = residual == 1;
        std::vector<int32_t> dots(rows * outputs);
        for (int32_t& dot : dots) dot = data.Int(-300, 300);
        const std::vector<float> add = data.Floats(rows * outputs);
        std::vector<float> actual(rows * outputs), expected(actual.size());
        kernels().float_epilogue(dots.data(), rows, params, residual ? add.data() : nullptr,
                                 actual.data());
        for (int i = 0; i < rows * outputs; ++i) {
          expected[i] = reference::FloatEpilogue(
              dots[i], params.multiplier[i % outputs], params.bias[i % outputs],
              residual ? &add[i] : nullptr, slope, params.residual_first);
        }
        ASSERT_EQ(std::memcmp(actual.data(), expected.data(), actual.size() * 4), 0)
            << outputs << " outputs, slope " << slope << ", residual " << residual;
      }
    }
  }
}

TEST_P(KernelsTest, FloatEpilogueRoundsTheProductBeforeTheSum) {
  // 3 * 0.1f is rounded up; a fused multiply and add would keep the excess and not give 0.
  const float product = 3.0f * 0.1f;
  FloatEpilogueParams params;
  params.multiplier.assign(9, 0.1f);
  params.bias.assign(9, -product);
  const std::vector<int32_t> dots(9, 3);
  std::vector<float> out(9, 1.0f);
  kernels().float_epilogue(dots.data(), 1, params, nullptr, out.data());
  for (const float value : out) EXPECT_EQ(value, 0.0f);
}

TEST_P(KernelsTest, BitsEpilogueAgreesWithReference) {
  TestData data(9);
  for (const int outputs : InterestingSizes()) {
    std::vector<int32_t> dots(2 * outputs);
    for (int32_t& dot : dots) dot = data.Int(-3, 3);
    std::vector<int16_t> thresholds(outputs);
    for (int16_t& t : thresholds) t = static_cast<int16_t>(data.Int(-3, 3));
    std::vector<uint32_t> words(2 * WordsFor(outputs), ~0u);
    kernels().bits_epilogue(dots.data(), 2, thresholds, words.data());
    for (int r = 0; r < 2; ++r) {
      const uint32_t* row = words.data() + r * WordsFor(outputs);
      for (int n = 0; n < outputs; ++n) {
        ASSERT_EQ(BitAt(row, n), reference::BitsEpilogue(dots[r * outputs + n], thresholds[n]));
      }
      ASSERT_EQ(row[WordsFor(outputs) - 1] & ~LastWordMask(outputs), 0u) << "unused bits";
    }
  }
}

TEST(BitsTest, AppendBitsAtEveryAlignment) {
  TestData data(10);
  const auto source = data.Bits(1, 320);
  for (int from = 0; from < 66; from += 3) {
    for (int to = 0; to < 66; to += 5) {
      for (const int count : {0, 1, 7, 31, 32, 33, 64, 96, 100}) {
        std::vector<uint32_t> target(8, 0);
        AppendBits(source.data(), from, count, target.data(), to);
        for (int bit = 0; bit < 256; ++bit) {
          const bool inside = bit >= to && bit < to + count;
          ASSERT_EQ(BitAt(target.data(), bit), inside && BitAt(source.data(), from + bit - to));
        }
      }
    }
  }
}

}  // namespace
}  // namespace bifsmn
