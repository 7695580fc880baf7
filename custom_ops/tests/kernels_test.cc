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

// Every kernel of every path that this processor can run against the scalar reference.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/conv2d.h"
#include "custom_ops/kernels/path.h"
#include "custom_ops/kernels/reference.h"
#include "custom_ops/kernels/repeat_channels.h"
#include "custom_ops/tests/guarded.h"
#include "custom_ops/tests/test_data.h"
#include "gtest/gtest.h"

namespace bifsmn {
namespace {

class KernelsTest : public testing::TestWithParam<const KernelPath*> {
 protected:
  const KernelPath& path() const { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Paths, KernelsTest, testing::ValuesIn(AvailablePaths()),
                         [](const testing::TestParamInfo<const KernelPath*>& info) {
                           return std::string(info.param->name);
                         });

template <typename T>
std::vector<T> PaddedTo(const std::vector<T>& values, T fill) {
  std::vector<T> padded = values;
  while (padded.size() % kEndBlock != 0) padded.push_back(fill);
  return padded;
}

// A float epilogue of random constants.
struct End {
  End(TestData* data, int outputs, float slope, bool residual_first)
      : multiplier(PaddedTo(data->Floats(outputs), 0.0f), data->AlignedPlace()),
        bias(PaddedTo(data->Floats(outputs), 0.0f), data->AlignedPlace()),
        threshold(PaddedTo(data->Floats(outputs), 0.0f), data->AlignedPlace()),
        end{multiplier.data(), bias.data(), slope, residual_first} {}
  Guarded<float> multiplier, bias, threshold;
  FloatEnd end;
};

// Checks floats and signs made by `run(residual, out, signs, signs_stride)` from known dots.
template <typename Dot, typename Run>
void CheckFloatEnd(TestData* data, const std::vector<Dot>& dots, int outputs, const Run& run) {
  const int64_t rows = static_cast<int64_t>(dots.size()) / outputs;
  const int kind = data->Int(0, 3);  // no residual, last, first, last and in place
  const float slopes[] = {1.0f, 0.25f, -0.1f, 0.0f};
  End end(data, outputs, slopes[data->Int(0, 3)], kind == 2);
  // A row of large biases crosses zero often otherwise; some outputs hit it exactly.
  for (int n = 0; n < outputs; n += 3) end.bias[n] = -static_cast<float>(dots[n]) * end.multiplier[n];
  const std::vector<float> add = data->Activations(rows * outputs);
  Guarded<float> residual(add, data->AnyPlace()), out(rows * outputs, data->AnyPlace());
  if (kind == 3) out = Guarded<float>(add, data->AnyPlace());
  const int64_t stride = WordsFor(outputs) + data->Int(0, 5);
  Guarded<uint32_t> signs(rows * stride, data->AnyPlace());
  const bool with_signs = data->Int(0, 3) != 0;
  const bool with_thresholds = data->Int(0, 1) != 0;
  const auto value = [&](int64_t i) {
    return reference::FloatEpilogue(dots[i], end.multiplier[i % outputs], end.bias[i % outputs],
                                    kind == 0 ? nullptr : &add[i], end.end.slope, kind == 2);
  };
  if (with_thresholds) {
    // Some are a value of the first row, some the next larger number, some zero.
    for (int n = 0; n < outputs; ++n) {
      const int choice = data->Int(0, 5);
      const float v = value(n);
      if (choice == 0) end.threshold[n] = 0.0f;
      if (choice > 3 || !std::isnormal(v)) continue;
      if (choice == 1) end.threshold[n] = v;
      if (choice == 2) end.threshold[n] = std::nextafter(v, INFINITY);
    }
    end.end.sign_threshold = end.threshold.data();
  }
  run(end.end, kind == 0 ? nullptr : kind == 3 ? out.data() : residual.data(), out.data(),
      with_signs ? signs.data() : nullptr, stride);
  for (int64_t i = 0; i < rows * outputs; ++i) {
    const int64_t n = i % outputs;
    const float expected = value(i);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(out[i])) << i;
    } else {
      ASSERT_EQ(std::memcmp(&out[i], &expected, sizeof(float)), 0)
          << out[i] << " for " << expected << ", row " << i / outputs << ", output " << n;
    }
    if (with_signs) {
      const float threshold = with_thresholds ? end.threshold[n] : 0.0f;
      ASSERT_EQ(BitAt(signs.data() + i / outputs * stride, n), expected >= threshold)
          << out[i] << " against " << threshold << ", row " << i / outputs << ", output " << n;
    }
  }
  if (with_signs) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t bit = outputs; bit < stride * kWordBits; ++bit) {
        ASSERT_FALSE(BitAt(signs.data() + r * stride, bit)) << "unused bit " << bit;
      }
    }
  }
  ASSERT_TRUE(out.intact() && signs.intact() && residual.intact() && end.threshold.intact());
}

TEST_P(KernelsTest, PackSetsOneBitPerChannel) {
  for (const int channels : {1, 31, 32, 33, 64, 100, 129, 256}) {
    for (int one = 0; one < channels; ++one) {
      const int64_t stride = PaddedWords(channels);
      for (const float sign : {1.0f, -1.0f}) {  // one set bit, one clear bit
        Guarded<float> x(std::vector<float>(channels, -sign));
        x[one] = sign;
        Guarded<uint32_t> words(stride);
        path().pack(x.data(), 1, channels, words.data(), stride);
        for (int bit = 0; bit < stride * kWordBits; ++bit) {
          ASSERT_EQ(BitAt(words.data(), bit), bit < channels && (bit == one) == (sign > 0))
              << channels << " " << bit;
        }
        ASSERT_TRUE(words.intact());
      }
    }
  }
}

TEST_P(KernelsTest, PackTakesZeroOfEitherSignAsPlusAndNanAsMinus) {
  const float x[] = {0.0f, -0.0f, std::nanf(""), -std::nanf(""), INFINITY, -INFINITY, 1e-45f,
                     -1e-45f};
  Guarded<float> many(72);
  for (int i = 0; i < 72; ++i) many[i] = x[i % 8];
  Guarded<uint32_t> words(3);
  path().pack(many.data(), 1, 72, words.data(), 3);
  EXPECT_EQ(words[0], 0x53535353u);
  EXPECT_EQ(words[1], 0x53535353u);
  EXPECT_EQ(words[2], 0x53u);
}

TEST_P(KernelsTest, PackAgreesWithReference) {
  TestData data(1);
  for (const int channels : InterestingSizes()) {
    for (const Place place : {Place{true, 0}, Place{false, 0}, Place{false, 1}, Place{false, 3}}) {
      Guarded<float> x(data.Activations(3 * channels), place);
      std::vector<uint32_t> expected(3 * WordsFor(channels));
      reference::Pack(x.data(), 3, channels, expected.data());
      const int64_t stride = WordsFor(channels) + place.skip;
      Guarded<uint32_t> actual(3 * stride, place);
      path().pack(x.data(), 3, channels, actual.data(), stride);
      ASSERT_EQ(actual.values(), WithStride(expected, channels, stride)) << channels;
      ASSERT_TRUE(actual.intact());
    }
  }
}

void CheckDense(const KernelPath& path, TestData* data, int rows, int reduction, int outputs) {
  SCOPED_TRACE(testing::Message() << rows << " x " << reduction << " x " << outputs);
  const auto x = data->Bits(rows, reduction);
  Guarded<uint32_t> w(data->Bits(outputs, reduction), data->AnyPlace());
  std::vector<int32_t> expected(int64_t{rows} * outputs);
  reference::Dense(x.data(), rows, reduction, w.data(), outputs, expected.data());
  DenseWeights weights;
  path.dense_prepare(w.data(), outputs, reduction, &weights);
  ASSERT_EQ(weights.outputs, outputs);
  ASSERT_EQ(weights.reduction, reduction);
  ASSERT_EQ(weights.a_stride, PaddedWords(reduction));
  // Kernels load the 16-byte words of a row, and nothing else.
  Guarded<uint32_t> a(WithStride(x, reduction, weights.a_stride), data->AlignedPlace());

  Guarded<int32_t> dots(int64_t{rows} * outputs, data->AnyPlace());
  path.dense_dots(a.data(), rows, weights, dots.data());
  ASSERT_EQ(dots.values(), expected);
  ASSERT_TRUE(dots.intact());

  std::vector<int16_t> limit(outputs);
  for (int n = 0; n < outputs; ++n) {
    const int choice = data->Int(0, 9);
    limit[n] = static_cast<int16_t>(choice == 0   ? -1
                                    : choice == 1 ? reduction
                                    : choice == 2 ? 0
                                                  : data->Int(-1, reduction));
    // At the very value, on either side.
    const int differing = (reduction - expected[n]) / 2;
    if (choice > 6) limit[n] = static_cast<int16_t>(differing - data->Int(0, 1));
  }
  Guarded<int16_t> limits(PaddedTo<int16_t>(limit, -1), data->AlignedPlace());
  const int64_t stride = WordsFor(outputs) + data->Int(0, 5);
  Guarded<uint32_t> bits(rows * stride, data->AnyPlace());
  path.dense_to_bits(a.data(), rows, weights, {limits.data()}, bits.data(), stride);
  ASSERT_TRUE(bits.intact());
  for (int r = 0; r < rows; ++r) {
    for (int n = 0; n < stride * kWordBits; ++n) {
      const bool bit =
          n < outputs && (reduction - expected[r * int64_t{outputs} + n]) / 2 <= limit[n];
      ASSERT_EQ(BitAt(bits.data() + r * stride, n), bit) << "row " << r << ", output " << n;
    }
  }

  CheckFloatEnd(data, expected, outputs,
                [&](const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                    int64_t signs_stride) {
                  path.dense_to_float(a.data(), rows, weights, end, residual, out, signs,
                                      signs_stride);
                });
  CheckFloatEnd(data, expected, outputs,
                [&](const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                    int64_t signs_stride) {
                  path.dots_to_float(dots.data(), rows, outputs, end, residual, out, signs,
                                     signs_stride);
                });
  ASSERT_TRUE(a.intact() && w.intact() && dots.intact() && limits.intact());
}

TEST_P(KernelsTest, DenseOfEveryReduction) {
  TestData data(2);
  for (const int reduction : InterestingSizes()) {
    CheckDense(path(), &data, 2, reduction, 5);
    CheckDense(path(), &data, 1, reduction, data.Int(30, 70));
  }
}

TEST_P(KernelsTest, DenseOfEveryNumberOfOutputsAndRows) {
  TestData data(3);
  for (int n = 1; n <= 40; ++n) {
    CheckDense(path(), &data, 1, 33, n);
    CheckDense(path(), &data, n, 129, 7);
    CheckDense(path(), &data, data.Int(1, 9), data.Int(1, 300), data.Int(1, 140));
  }
}

TEST_P(KernelsTest, DenseOfTheNetworksShapes) {
  TestData data(4);
  for (int round = 0; round < 4; ++round) {  // several epilogues
    for (const int reduction : {128, 256, 400, 512, 1000}) {
      for (const int outputs : {32, 127, 128, 129, 256}) {
        CheckDense(path(), &data, 8, reduction, outputs);
      }
    }
    CheckDense(path(), &data, 36, 400, 32);
  }
}

TEST_P(KernelsTest, DenseReachesBothEndsOfTheRange) {
  for (const int reduction : {1, 31, 32, 33, 127, 128, 129, 252, 255, 256, 257, 400, 512, 1000,
                              2040, 2048, 4097, 32767}) {
    for (const int outputs : {1, 40}) {
      const int64_t stride = PaddedWords(reduction);
      std::vector<uint32_t> ones(WordsFor(reduction), ~0u);
      ones.back() = LastWordMask(reduction);
      Guarded<uint32_t> w(outputs * WordsFor(reduction));
      for (int64_t i = 0; i < w.size(); ++i) w[i] = ones[i % WordsFor(reduction)];
      DenseWeights weights;
      path().dense_prepare(w.data(), outputs, reduction, &weights);
      Guarded<uint32_t> same(WithStride(ones, reduction, stride));
      Guarded<uint32_t> other(std::vector<uint32_t>(stride, 0));
      Guarded<int32_t> dots(outputs);
      path().dense_dots(same.data(), 1, weights, dots.data());
      EXPECT_EQ(dots.values(), std::vector<int32_t>(outputs, reduction));
      path().dense_dots(other.data(), 1, weights, dots.data());
      EXPECT_EQ(dots.values(), std::vector<int32_t>(outputs, -reduction)) << "all bits differ";
      Guarded<float> one(PaddedTo(std::vector<float>(outputs, 1.0f), 0.0f)), zero(one.size());
      std::memset(zero.data(), 0, zero.size() * sizeof(float));
      Guarded<float> values(outputs);
      path().dense_to_float(other.data(), 1, weights, {one.data(), zero.data(), 1.0f, false},
                            nullptr, values.data(), nullptr, 0);
      EXPECT_EQ(values.values(), std::vector<float>(outputs, static_cast<float>(-reduction)));
      for (const int less : {0, 1}) {
        Guarded<int16_t> limits(PaddedTo(
            std::vector<int16_t>(outputs, static_cast<int16_t>(reduction - less)), int16_t{-1}));
        Guarded<uint32_t> bits(WordsFor(outputs));
        path().dense_to_bits(other.data(), 1, weights, {limits.data()}, bits.data(),
                             WordsFor(outputs));
        EXPECT_EQ(bits[0], less ? 0u : LastWordMask(outputs > 32 ? 32 : outputs)) << reduction;
      }
    }
  }
}

TEST_P(KernelsTest, FloatEpilogueRoundsTheProductBeforeTheSum) {
  // 3 * 0.1f is rounded up; a fused multiply and add would keep the excess and not give 0.
  const float product = 3.0f * 0.1f;
  Guarded<float> multiplier(std::vector<float>(64, 0.1f)), bias(std::vector<float>(64, -product));
  const FloatEnd end = {multiplier.data(), bias.data(), 1.0f, false};
  Guarded<int32_t> dots(std::vector<int32_t>(41, 3));
  Guarded<float> out(41);
  path().dots_to_float(dots.data(), 1, 41, end, nullptr, out.data(), nullptr, 0);
  EXPECT_EQ(out.values(), std::vector<float>(41, 0.0f));

  Guarded<uint32_t> w(std::vector<uint32_t>(41, 7u));
  DenseWeights weights;
  path().dense_prepare(w.data(), 41, 3, &weights);
  Guarded<uint32_t> a(std::vector<uint32_t>{7u, 0, 0, 0});
  out = Guarded<float>(41);
  path().dense_to_float(a.data(), 1, weights, end, nullptr, out.data(), nullptr, 0);
  EXPECT_EQ(out.values(), std::vector<float>(41, 0.0f));
}

TEST_P(KernelsTest, MemoryFilterAgreesWithReference) {
  TestData data(7);
  const std::vector<int> sizes = InterestingSizes();
  const int sized = static_cast<int>(sizes.size()), random = sized + 80;
  for (int round = 0; round < random + 20; ++round) {
    reference::MemoryShape s;
    s.batch = 1;
    s.frames = data.Int(1, 12);
    s.channels = round < sized ? sizes[round] : data.Int(1, 70);
    if (round >= random) s.channels = 128, s.frames = 8;
    const int multiple = round >= random ? 1 : data.Int(1, 3);
    s.outputs = s.channels * multiple;
    s.taps = round % 10 == 0 ? data.Int(30, 70) : data.Int(1, 9);
    s.look_back = data.Int(0, s.taps - 1);
    s.stride_back = data.Int(1, 4);
    s.stride_ahead = data.Int(1, 4);
    SCOPED_TRACE(testing::Message() << "round " << round);
    const auto x = data.Bits(s.frames, s.channels);
    const auto w = data.Bits(s.taps, s.outputs);
    std::vector<int32_t> expected(int64_t{s.frames} * s.outputs);
    reference::Memory(x.data(), s, w.data(), expected.data());

    const int64_t stride = PaddedWords(s.outputs);
    Guarded<uint32_t> packed(x, data.AnyPlace());
    Guarded<uint32_t> repeated(s.frames * stride, data.AlignedPlace());
    RepeatChannels(packed.data(), WordsFor(s.channels), s.frames, s.channels, multiple,
                   repeated.data(), stride);
    MemoryWeights weights;
    weights.Assign(w.data(), s.taps, s.outputs, s.look_back, s.stride_back, s.stride_ahead);
    CheckFloatEnd(&data, expected, s.outputs,
                  [&](const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                      int64_t signs_stride) {
                    path().memory_to_float(repeated.data(), stride, s.frames, weights, end,
                                           residual, out, signs, signs_stride);
                  });
    Guarded<int16_t> thresholds(PaddedTo<int16_t>(data.Thresholds(s.outputs, s.taps), 32767),
                                data.AlignedPlace());
    const int64_t out_stride = WordsFor(s.outputs) + data.Int(0, 5);
    Guarded<uint32_t> bits(s.frames * out_stride, data.AnyPlace());
    path().memory_to_bits(repeated.data(), stride, s.frames, weights, thresholds.data(),
                          bits.data(), out_stride);
    ASSERT_TRUE(bits.intact() && repeated.intact());
    for (int t = 0; t < s.frames; ++t) {
      for (int n = 0; n < out_stride * kWordBits; ++n) {
        ASSERT_EQ(BitAt(bits.data() + t * out_stride, n),
                  n < s.outputs && expected[int64_t{t} * s.outputs + n] >= thresholds[n]);
      }
    }
  }
}

TEST_P(KernelsTest, DualScaleMemoryFilterAgreesWithReference) {
  if (path().dual.memory_to_float == nullptr) GTEST_SKIP() << "no such kernel";
  TestData data(26);
  const std::vector<int> sizes = InterestingSizes();
  const int sized = static_cast<int>(sizes.size());
  for (int round = 0; round < sized + 40; ++round) {
    reference::MemoryShape s;
    s.batch = 1;
    s.frames = data.Int(1, 12);
    s.channels = s.outputs = round < sized ? sizes[round] : 128;
    s.taps = round % 5 == 0 ? kMostDualTaps : data.Int(1, 9);
    s.look_back = data.Int(0, s.taps - 1);
    s.stride_back = data.Int(1, 4);
    s.stride_ahead = data.Int(1, 4);
    SCOPED_TRACE(testing::Message() << "round " << round);
    const auto w = data.Bits(s.taps, s.outputs);
    MemoryWeights weights;
    weights.Assign(w.data(), s.taps, s.outputs, s.look_back, s.stride_back, s.stride_ahead);
    const int64_t stride = PaddedWords(s.outputs);
    std::vector<int32_t> dots[2];
    std::vector<uint32_t> bits[2];
    for (int i = 0; i < 2; ++i) {
      const auto x = data.Bits(s.frames, s.channels);
      dots[i].resize(int64_t{s.frames} * s.outputs);
      reference::Memory(x.data(), s, w.data(), dots[i].data());
      bits[i] = WithStride(x, s.channels, stride);
    }
    Guarded<uint32_t> first(bits[0], data.AlignedPlace()), second(bits[1], data.AlignedPlace());
    Guarded<float> scales(PaddedTo(data.Floats(s.outputs), 0.0f), data.AlignedPlace());
    std::vector<float> sums;
    for (int i = 0; i < s.frames * s.outputs; ++i) {
      sums.push_back(reference::Combine(dots[0][i], dots[1][i], scales[i % s.outputs]));
    }
    CheckFloatEnd(&data, sums, s.outputs,
                  [&](const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                      int64_t signs_stride) {
                    path().dual.memory_to_float(first.data(), second.data(), stride, s.frames,
                                                weights, scales.data(), end, residual, out, signs,
                                                signs_stride);
                  });
    ASSERT_TRUE(first.intact() && second.intact() && scales.intact());
  }
}

TEST_P(KernelsTest, MemoryFilterReachesBothEndsOfTheRange) {
  constexpr int kChannels = 40;
  for (const int taps : {1, 3, 4, 5, 7, 8, 9, 15, 16, 63, 64, 1000}) {
    const int64_t frames = 2 * taps, stride = PaddedWords(kChannels);
    Guarded<uint32_t> ones(WithStride(
        std::vector<uint32_t>(frames * 2, 0xffu), kChannels, stride));
    for (int64_t f = 0; f < frames; ++f) ones[f * stride] = ~0u;
    Guarded<float> one(std::vector<float>(64, 1.0f)), zero(std::vector<float>(64, 0.0f));
    for (const bool differ : {false, true}) {
      const std::vector<uint32_t> row = differ ? std::vector<uint32_t>{0, 0}
                                               : std::vector<uint32_t>{~0u, 0xffu};
      std::vector<uint32_t> signs;
      for (int i = 0; i < taps; ++i) signs.insert(signs.end(), row.begin(), row.end());
      MemoryWeights weights;
      weights.Assign(signs.data(), taps, kChannels, taps - 1, 1, 1);
      Guarded<float> out(frames * kChannels);
      path().memory_to_float(ones.data(), stride, frames, weights,
                             {one.data(), zero.data(), 1.0f, false}, nullptr, out.data(), nullptr,
                             0);
      for (int64_t i = 0; i < out.size(); ++i) {
        const int64_t inside = std::min<int64_t>(taps, i / kChannels + 1);
        ASSERT_EQ(out[i], static_cast<float>(differ ? -inside : inside)) << taps << " taps " << i;
      }
    }
  }
}

// Gathered patches, the dense kernel, and what the border leaves out, against the reference.
void CheckConv2D(const KernelPath& path, TestData* data, reference::ConvShape s) {
  const int outputs = data->Int(1, 40);
  Conv2DGeometry g;
  g.height = s.height, g.width = s.width, g.channels = s.channels;
  g.kernel_h = s.kernel_h, g.kernel_w = s.kernel_w;
  g.stride_h = s.stride_h, g.stride_w = s.stride_w, g.pad_h = s.pad_h, g.pad_w = s.pad_w;
  const auto x = data->Bits(int64_t{s.height} * s.width, s.channels);
  const auto w = data->Bits(outputs, g.reduction());
  const int64_t positions = int64_t{g.out_h()} * g.out_w();
  std::vector<int32_t> expected(positions * outputs), actual(expected.size());
  reference::Conv2D(x.data(), s, w.data(), outputs, expected.data());

  DenseWeights weights;
  path.dense_prepare(w.data(), outputs, g.reduction(), &weights);
  Conv2DPositions plan;
  plan.Assign(g, w.data(), outputs);
  ASSERT_EQ(static_cast<int64_t>(plan.order().size()), positions);
  PatchGatherer gatherer;
  gatherer.Assign(g, weights.a_stride);
  const int64_t pixel_stride = WordsFor(s.channels) + data->Int(0, 2);
  Guarded<uint32_t> picture(WithStride(x, s.channels, pixel_stride), data->AnyPlace());
  gatherer.SetPicture(picture.data(), pixel_stride);
  for (const auto& kind : plan.classes()) {
    const int64_t count = kind.end - kind.begin;
    Guarded<uint32_t> patches(gatherer.PatchWords(count), data->AlignedPlace());
    gatherer.Gather(plan.order().data() + kind.begin, count, patches.data());
    Guarded<int32_t> dots(count * outputs, data->AnyPlace());
    path.dense_dots(patches.data(), count, weights, dots.data());
    ASSERT_TRUE(patches.intact() && picture.intact() && dots.intact());
    for (int64_t p = 0; p < count; ++p) {
      for (int n = 0; n < outputs; ++n) {
        const int differing = (g.reduction() - dots[p * outputs + n]) / 2 - kind.outside[n];
        actual[int64_t{plan.order()[kind.begin + p]} * outputs + n] = kind.valid - 2 * differing;
      }
    }
  }
  ASSERT_EQ(actual, expected);
}

TEST_P(KernelsTest, Conv2DAgreesWithReference) {
  TestData data(5);
  for (int round = 0; round < 150; ++round) {
    reference::ConvShape s = {1, data.Int(1, 12), data.Int(1, 12), data.Int(1, 40),
                              data.Int(1, 5), data.Int(1, 5), data.Int(1, 3), data.Int(1, 3),
                              data.Int(0, 5), data.Int(0, 5)};
    if (round % 3 == 0) s.channels = 8 * data.Int(1, 20);
    if (s.height + 2 * s.pad_h < s.kernel_h || s.width + 2 * s.pad_w < s.kernel_w) continue;
    SCOPED_TRACE(testing::Message() << "round " << round);
    CheckConv2D(path(), &data, s);
  }
  CheckConv2D(path(), &data, {1, 16, 16, 16, 5, 5, 2, 2, 2, 2});
  CheckConv2D(path(), &data, {1, 17, 40, 1, 7, 1, 3, 1, 0, 9});
  CheckConv2D(path(), &data, {1, 2, 2, 5, 2, 2, 5, 5, 30, 30});
}

// Numbers to split: some at a shift, zeros, infinities and NaN among the others.
std::vector<float> Splittable(TestData* data, int64_t rows, const std::vector<float>& shift0,
                              const std::vector<float>& shift1, bool special) {
  const int64_t count = static_cast<int64_t>(shift0.size());
  std::vector<float> x =
      special ? data->Activations(rows * count) : data->Floats(rows * count);
  for (int64_t i = 0; i < rows * count; ++i) {
    const int kind = data->Int(0, 15);
    if (kind == 0) x[i] = shift0[i % count];
    if (kind == 1) x[i] = shift1[i % count] + 1.0f;
  }
  return x;
}

std::vector<float> Shifts(TestData* data, int count) {
  std::vector<float> shifts = data->Floats(count);
  for (int i = data->Int(0, 4); i < count; i += 5) shifts[i] = i % 2 ? 0.0f : -0.0f;
  return shifts;
}

void ExpectSame(float actual, float expected, int64_t index) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(actual)) << index;
  } else {
    ASSERT_EQ(std::memcmp(&actual, &expected, sizeof(float)), 0)
        << actual << " for " << expected << " at " << index;
  }
}

TEST_P(KernelsTest, PackShiftedComparesWithTheShiftOfEveryChannel) {
  TestData data(21);
  for (const int channels : InterestingSizes()) {
    const auto shift = Shifts(&data, channels);
    Guarded<float> shifts(PaddedTo(shift, 0.0f), data.AlignedPlace());
    Guarded<float> x(Splittable(&data, 3, shift, shift, true), data.AnyPlace());
    const int64_t stride = WordsFor(channels) + data.Int(0, 3);
    Guarded<uint32_t> out(3 * stride, data.AnyPlace());
    path().dual.pack_shifted(x.data(), 3, channels, shifts.data(), out.data(), stride);
    ASSERT_TRUE(out.intact());
    for (int r = 0; r < 3; ++r) {
      for (int64_t bit = 0; bit < stride * kWordBits; ++bit) {
        ASSERT_EQ(BitAt(out.data() + r * stride, bit),
                  bit < channels && x[r * channels + bit] >= shift[bit]) << channels << " " << bit;
      }
    }
  }
}

TEST_P(KernelsTest, SplitAgreesWithReference) {
  TestData data(22);
  for (const int count : InterestingSizes()) {
    for (const bool special : {false, true}) {
      const auto shift0 = Shifts(&data, count), shift1 = Shifts(&data, count);
      Guarded<float> s0(PaddedTo(shift0, 0.0f), data.AlignedPlace());
      Guarded<float> s1(PaddedTo(shift1, 0.0f), data.AlignedPlace());
      Guarded<float> x(Splittable(&data, 1, shift0, shift1, special), data.AnyPlace());
      Guarded<uint32_t> first(WordsFor(count), data.AnyPlace());
      Guarded<uint32_t> second(WordsFor(count), data.AnyPlace());
      Guarded<float> sums(std::vector<float>(32, 0.0f));
      path().dual.split(x.data(), count, s0.data(), s1.data(), first.data(), second.data(),
                        sums.data());
      ASSERT_TRUE(first.intact() && second.intact() && sums.intact());
      std::vector<float> magnitudes;
      for (int64_t i = 0; i < WordsFor(count) * kWordBits; ++i) {
        reference::Split split = {false, false, 0.0f};
        if (i < count) {
          split = reference::SplitOf(x[i], shift0[i], shift1[i]);
          magnitudes.push_back(split.magnitude);
        }
        ASSERT_EQ(BitAt(first.data(), i), split.first) << count << " " << i;
        ASSERT_EQ(BitAt(second.data(), i), split.second) << count << " " << i;
      }
      ExpectSame(DualScale(sums.data(), count), reference::DualScale(magnitudes.data(), count),
                 count);
    }
  }
}

TEST_P(KernelsTest, SplitOverTimeAgreesWithReference) {
  TestData data(23);
  for (const int channels : InterestingSizes()) {
    const int frames = data.Int(1, 9);
    const auto shift0 = Shifts(&data, channels), shift1 = Shifts(&data, channels);
    Guarded<float> s0(PaddedTo(shift0, 0.0f), data.AlignedPlace());
    Guarded<float> s1(PaddedTo(shift1, 0.0f), data.AlignedPlace());
    Guarded<float> x(Splittable(&data, frames, shift0, shift1, channels % 2 == 0),
                     data.AnyPlace());
    const int64_t stride = WordsFor(channels) + data.Int(0, 3);
    Guarded<uint32_t> first(frames * stride, data.AnyPlace());
    Guarded<uint32_t> second(frames * stride, data.AnyPlace());
    Guarded<float> sums(PaddedTo(std::vector<float>(channels, 0.0f), 0.0f));
    path().dual.split_over_time(x.data(), frames, channels, s0.data(), s1.data(), first.data(),
                                second.data(), stride, sums.data());
    ASSERT_TRUE(first.intact() && second.intact() && sums.intact());
    std::vector<float> expected(channels, 0.0f);
    for (int t = 0; t < frames; ++t) {
      for (int64_t c = 0; c < stride * kWordBits; ++c) {
        reference::Split split = {false, false, 0.0f};
        if (c < channels) {
          split = reference::SplitOf(x[t * channels + c], shift0[c], shift1[c]);
          expected[c] += split.magnitude;
        }
        ASSERT_EQ(BitAt(first.data() + t * stride, c), split.first) << channels << " " << c;
        ASSERT_EQ(BitAt(second.data() + t * stride, c), split.second) << channels << " " << c;
      }
    }
    for (int c = 0; c < channels; ++c) ExpectSame(sums[c], expected[c], c);
  }
}

TEST_P(KernelsTest, SplitLevelsAgreesWithReference) {
  TestData data(26);
  for (const int channels : InterestingSizes()) {
    const int rows = data.Int(1, 4);
    std::vector<float> limits[3];
    for (auto& limit : limits) limit = Shifts(&data, channels);
    // In order in some rounds, as networks have them, and in any order in others.
    for (int c = 0; channels % 3 != 0 && c < channels; ++c) {
      limits[0][c] = limits[1][c] - 0.5f;
      limits[2][c] = limits[1][c] + 0.5f;
    }
    Guarded<float> low(PaddedTo(limits[0], 0.0f), data.AlignedPlace());
    Guarded<float> middle(PaddedTo(limits[1], 0.0f), data.AlignedPlace());
    Guarded<float> high(PaddedTo(limits[2], 0.0f), data.AlignedPlace());
    Guarded<float> x(Splittable(&data, rows, limits[data.Int(0, 2)], limits[1], true),
                     data.AnyPlace());
    const int64_t stride = WordsFor(channels) + data.Int(0, 3);
    Guarded<uint32_t> first(rows * stride, data.AnyPlace());
    Guarded<uint32_t> second(rows * stride, data.AnyPlace());
    path().dual.split_levels(x.data(), rows, channels, low.data(), middle.data(), high.data(),
                             first.data(), second.data(), stride);
    ASSERT_TRUE(first.intact() && second.intact());
    for (int r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < stride * kWordBits; ++c) {
        reference::Split level = {false, false, 0.0f};
        if (c < channels) {
          level = reference::LevelOf(x[r * channels + c], limits[0][c], limits[1][c],
                                     limits[2][c]);
        }
        ASSERT_EQ(BitAt(first.data() + r * stride, c), level.first) << channels << " " << c;
        ASSERT_EQ(BitAt(second.data() + r * stride, c), level.second) << channels << " " << c;
      }
    }
  }
}

TEST_P(KernelsTest, DualScaleEndsAgreeWithReference) {
  TestData data(24);
  for (int round = 0; round < 120; ++round) {
    const int rows = data.Int(1, 4), outputs = round < 60 ? InterestingSizes()[round] : 128;
    std::vector<int32_t> first(rows * outputs), second(rows * outputs);
    for (int32_t& dot : first) dot = data.Int(-300, 300);
    for (int32_t& dot : second) dot = data.Int(-300, 300);
    Guarded<float> scales(data.Floats(rows));
    std::vector<float> sums;
    for (int i = 0; i < rows * outputs; ++i) {
      sums.push_back(reference::Combine(first[i], second[i], scales[i / outputs]));
    }
    Guarded<int32_t> a(first, data.AnyPlace()), b(second, data.AnyPlace());
    CheckFloatEnd(&data, sums, outputs,
                  [&](const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                      int64_t stride) {
                    path().dual.dots_to_float(a.data(), b.data(), scales.data(), rows, outputs,
                                              end, residual, out, signs, stride);
                  });
    Guarded<float> values(sums, data.AnyPlace());
    CheckFloatEnd(&data, sums, outputs,
                  [&](const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                      int64_t stride) {
                    path().dual.values_to_float(values.data(), rows, outputs, end, residual, out,
                                                signs, stride);
                  });
  }
}

// Random weights with both bits of some rows, and their sums.
struct TwoProducts {
  DenseWeights weights;
  std::vector<int32_t> dots[2];
  std::vector<uint32_t> bits[2];

  TwoProducts(TestData* data, const KernelPath& path, int rows, int reduction, int outputs) {
    const auto w = data->Bits(outputs, reduction);
    path.dense_prepare(w.data(), outputs, reduction, &weights);
    for (int i = 0; i < 2; ++i) {
      const auto x = data->Bits(rows, reduction);
      dots[i].resize(int64_t{rows} * outputs);
      reference::Dense(x.data(), rows, reduction, w.data(), outputs, dots[i].data());
      bits[i] = WithStride(x, reduction, weights.a_stride);
    }
  }
};

// Thresholds of 2 dot(first) + dot(second), in order or not, and what they make of the sums.
struct Levels {
  std::vector<int32_t> threshold[3], reverse[3];
  std::vector<int16_t> limit[3], beyond[3];
  bool turns;

  Levels(TestData* data, int outputs, int reduction) {
    const int most = 3 * reduction, spread = 3 * static_cast<int>(std::sqrt(reduction)) + 2;
    turns = data->Int(0, 1) == 1;
    for (int i = 0; i < 3; ++i) {
      threshold[i].assign((outputs + 31) / 32 * 32, most + 1);
      reverse[i].assign(threshold[i].size(), -most - 1);
      limit[i].assign(threshold[i].size(), -1);
      beyond[i].assign(threshold[i].size(), static_cast<int16_t>(most));
      for (int n = 0; n < outputs; ++n) {
        int t = data->Int(-spread, spread);
        if (data->Int(0, 15) == 0) t = data->Int(0, 1) == 0 ? -most : most + 1;
        threshold[i][n] = t;
        limit[i][n] = static_cast<int16_t>(t > most ? -1 : (most - t) / 2);
        if (!turns || data->Int(0, 3) == 0) continue;
        const int back = data->Int(0, 15) == 0 ? most : data->Int(-2 * spread, spread);
        reverse[i][n] = std::max(back, -most - 1);
        // C >= (most - back) / 2, rounded up.
        if (back >= -most) beyond[i][n] = static_cast<int16_t>((most - back + 1) / 2 - 1);
      }
    }
  }

  void ExpectIn(const uint32_t* first, const uint32_t* second, int64_t stride,
                const std::vector<int32_t> dots[2], int rows, int outputs) const {
    for (int r = 0; r < rows; ++r) {
      for (int64_t n = 0; n < stride * kWordBits; ++n) {
        bool above = false, next = false;
        if (n < outputs) {
          const int sum = 2 * dots[0][r * outputs + n] + dots[1][r * outputs + n];
          const auto is = [&](int i) { return sum >= threshold[i][n] || sum <= reverse[i][n]; };
          above = is(1);
          next = is(above ? 2 : 0);
        }
        ASSERT_EQ(BitAt(first + r * stride, n), above) << outputs << ": " << r << ", " << n;
        ASSERT_EQ(BitAt(second + r * stride, n), next) << outputs << ": " << r << ", " << n;
      }
    }
  }
};

TEST_P(KernelsTest, LevelsOfTwoSumsAgreeWithReference) {
  TestData data(27);
  for (int round = 0; round < 160; ++round) {
    const int rows = data.Int(1, 19);
    const int reduction = round < 8 ? 128 * (round % 4 + 1) : data.Int(1, 600);
    const int outputs = round < 60 ? InterestingSizes()[round] : data.Int(1, 3) * 128;
    SCOPED_TRACE(testing::Message() << rows << " x " << reduction << " x " << outputs);
    const TwoProducts products(&data, path(), rows, reduction, outputs);
    const DenseWeights& weights = products.weights;
    const auto& dots = products.dots;
    const auto& bits = products.bits;
    const Levels levels(&data, outputs, reduction);
    LevelsEnd end;
    std::vector<Guarded<int32_t>> thresholds;
    std::vector<Guarded<int16_t>> limits;
    for (const auto& values : levels.threshold) thresholds.emplace_back(values, data.AlignedPlace());
    for (const auto& values : levels.reverse) thresholds.emplace_back(values, data.AlignedPlace());
    for (const auto& values : levels.limit) limits.emplace_back(values, data.AlignedPlace());
    for (const auto& values : levels.beyond) limits.emplace_back(values, data.AlignedPlace());
    for (int i = 0; i < 3; ++i) {
      end.threshold[i] = thresholds[i].data(), end.reverse[i] = thresholds[3 + i].data();
      end.limit[i] = limits[i].data();
      if (levels.turns) end.beyond[i] = limits[3 + i].data();
    }
    const int64_t stride = WordsFor(outputs) + data.Int(0, 3);
    Guarded<uint32_t> out[] = {Guarded<uint32_t>(rows * stride, data.AnyPlace()),
                               Guarded<uint32_t>(rows * stride, data.AnyPlace())};
    Guarded<int32_t> sums[] = {Guarded<int32_t>(dots[0], data.AnyPlace()),
                               Guarded<int32_t>(dots[1], data.AnyPlace())};
    path().dual.dots_to_levels(sums[0].data(), sums[1].data(), rows, outputs, end, out[0].data(),
                               out[1].data(), stride);
    ASSERT_TRUE(out[0].intact() && out[1].intact());
    levels.ExpectIn(out[0].data(), out[1].data(), stride, dots, rows, outputs);
    if (path().dual.dense_to_levels == nullptr) continue;
    Guarded<uint32_t> x[] = {Guarded<uint32_t>(bits[0], data.AlignedPlace()),
                             Guarded<uint32_t>(bits[1], data.AlignedPlace())};
    Guarded<uint32_t> fused[] = {Guarded<uint32_t>(rows * stride, data.AnyPlace()),
                                 Guarded<uint32_t>(rows * stride, data.AnyPlace())};
    path().dual.dense_to_levels(x[0].data(), x[1].data(), rows, weights, end, fused[0].data(),
                                fused[1].data(), stride);
    ASSERT_TRUE(fused[0].intact() && fused[1].intact());
    levels.ExpectIn(fused[0].data(), fused[1].data(), stride, dots, rows, outputs);
  }
}

TEST_P(KernelsTest, DualScaleDenseAgreesWithReference) {
  if (path().dual.dense_to_float == nullptr) GTEST_SKIP() << "no such kernel";
  TestData data(25);
  for (int round = 0; round < 160; ++round) {
    const int rows = data.Int(1, 9);
    const int reduction = round < 8 ? 128 * (round % 4 + 1) : data.Int(1, 600);
    const int outputs = round < 60 ? InterestingSizes()[round] : data.Int(1, 2) * 128;
    SCOPED_TRACE(testing::Message() << rows << " x " << reduction << " x " << outputs);
    const TwoProducts products(&data, path(), rows, reduction, outputs);
    const DenseWeights& weights = products.weights;
    const auto& dots = products.dots;
    const auto& bits = products.bits;
    Guarded<uint32_t> first(bits[0], data.AlignedPlace()), second(bits[1], data.AlignedPlace());
    Guarded<float> scales(data.Floats(rows), data.AnyPlace());
    std::vector<float> sums;
    for (int i = 0; i < rows * outputs; ++i) {
      sums.push_back(reference::Combine(dots[0][i], dots[1][i], scales[i / outputs]));
    }
    CheckFloatEnd(&data, sums, outputs,
                  [&](const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                      int64_t stride) {
                    path().dual.dense_to_float(first.data(), second.data(), scales.data(), rows,
                                               weights, end, residual, out, signs, stride);
                  });
    ASSERT_TRUE(first.intact() && second.intact() && scales.intact());
  }
}

TEST_P(KernelsTest, FloatConvolutionOfEveryShape) {
  TestData data(11);
  for (int round = 0; round < 60; ++round) {
    FloatConvShape s;
    const bool stem = round % 3 == 0;  // the network's own kernel and stride
    s.kernel_h = stem ? 5 : data.Int(1, 6), s.kernel_w = stem ? 5 : data.Int(1, 6);
    s.stride_h = stem ? 2 : data.Int(1, 3), s.stride_w = stem ? 2 : data.Int(1, 3);
    s.out_h = data.Int(1, 5), s.out_w = data.Int(1, 40), s.outputs = data.Int(1, 40);
    if (round % 6 == 0) s.out_h = 16, s.out_w = 16 * data.Int(1, 2);
    const int64_t height = (s.out_h - 1) * s.stride_h + s.kernel_h;
    const int64_t width = (s.out_w - 1) * s.stride_w + s.kernel_w;
    const bool transpose = data.Int(0, 1) == 1;
    s.down = transpose ? 1 : width, s.right = transpose ? height : 1;
    Guarded<float> x(data.Floats(height * width), data.AnyPlace());
    const int64_t taps = int64_t{s.kernel_h} * s.kernel_w;
    const int64_t padded = (s.outputs + 15) / 16 * 16;
    Guarded<float> w(data.Floats(taps * padded), data.AlignedPlace());
    Guarded<float> bias(data.Floats(padded), data.AlignedPlace());
    Guarded<float> threshold(data.Floats(padded), data.AlignedPlace());
    const float slope = round % 2 == 0 ? 0.25f : round % 5 == 0 ? -0.5f : 1.0f;
    const bool with_thresholds = round % 4 < 2;
    const FloatConvEnd end = {bias.data(), slope, with_thresholds ? threshold.data() : nullptr};
    const int64_t positions = int64_t{s.out_h} * s.out_w;
    const int64_t stride = WordsFor(s.outputs) + data.Int(0, 3);
    Guarded<float> out(positions * s.outputs, data.AnyPlace());
    Guarded<uint32_t> signs(positions * stride, data.AnyPlace()), alone(positions * stride);
    path().float_conv(x.data(), s, w.data(), end, out.data(), signs.data(), stride);
    path().float_conv(x.data(), s, w.data(), end, nullptr, alone.data(), stride);
    ASSERT_TRUE(out.intact() && signs.intact() && alone.intact());
    ASSERT_EQ(signs.values(), alone.values());
    for (int64_t p = 0; p < positions; ++p) {
      const int64_t h = p / s.out_w * s.stride_h, v = p % s.out_w * s.stride_w;
      for (int n = 0; n < s.outputs; ++n) {
        double sum = bias[n], size = std::fabs(bias[n]);
        for (int i = 0; i < s.kernel_h; ++i) {
          for (int j = 0; j < s.kernel_w; ++j) {
            const double term = double{x[(h + i) * s.down + (v + j) * s.right]} *
                                w[(int64_t{i} * s.kernel_w + j) * padded + n];
            sum += term;
            size += std::fabs(term);
          }
        }
        const float actual = out[p * s.outputs + n];
        ASSERT_NEAR(actual, sum >= 0 ? sum : sum * slope, 1e-5 * size) << round << " " << n;
        ASSERT_EQ(BitAt(signs.data() + p * stride, n),
                  actual >= (with_thresholds ? threshold[n] : 0.0f));
      }
      for (int64_t bit = s.outputs; bit < stride * kWordBits; ++bit) {
        ASSERT_FALSE(BitAt(signs.data() + p * stride, bit)) << "unused bit " << bit;
      }
    }
  }
}

TEST_P(KernelsTest, FloatMatrixTimesVector) {
  TestData data(12);
  for (const int inputs : {1, 3, 15, 16, 17, 100, 1024}) {
    for (const int outputs : {1, 2, 4, 5, 12, 35}) {
      Guarded<float> x(data.Floats(inputs), data.AnyPlace());
      Guarded<float> w(data.Floats(int64_t{inputs} * outputs), data.AnyPlace());
      Guarded<float> bias(data.Floats(outputs), data.AnyPlace()), y(outputs, data.AnyPlace());
      path().float_matvec(x.data(), w.data(), bias.data(), outputs, inputs, y.data());
      ASSERT_TRUE(y.intact());
      for (int n = 0; n < outputs; ++n) {
        double sum = bias[n], size = std::fabs(bias[n]);
        for (int k = 0; k < inputs; ++k) {
          sum += double{x[k]} * w[int64_t{n} * inputs + k];
          size += std::fabs(double{x[k]} * w[int64_t{n} * inputs + k]);
        }
        ASSERT_NEAR(y[n], sum, 1e-5 * size) << outputs << " x " << inputs;
      }
    }
  }
}

TEST(PathTest, NamesDifferAndPortableComesFirst) {
  std::vector<std::string> names;
  for (const KernelPath* path : AvailablePaths()) {
    for (const std::string& other : names) EXPECT_NE(other, path->name);
    names.push_back(path->name);
  }
  EXPECT_EQ(names[0], "portable");
  std::string error;
  EXPECT_NE(ChosenPath(&error), nullptr) << error;
}

TEST(BitsTest, AppendBitsAtEveryAlignment) {
  TestData data(10);
  Guarded<uint32_t> source(data.Bits(1, 320));
  for (int from = 0; from < 66; from += 3) {
    for (int to = 0; to < 66; to += 5) {
      for (const int count : {0, 1, 7, 31, 32, 33, 64, 96, 100}) {
        Guarded<uint32_t> target(std::vector<uint32_t>(8, 0));
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
