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

#include "custom_ops/kernels/log_mel.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "custom_ops/kernels/path.h"
#include "custom_ops/tests/test_data.h"
#include "gtest/gtest.h"

namespace bifsmn {
namespace {

struct Geometry {
  int fft_length, hop_length, mels, sample_rate;
  int64_t samples;
};

// Powers of two and of four, a frame alone and one more than a vector holds, bands between bins.
const Geometry kGeometries[] = {
    {2048, 512, 32, 16000, 16000}, {32, 16, 3, 1000, 17},    {64, 10, 40, 8000, 89},
    {128, 100, 7, 16000, 300},     {256, 256, 8, 44100, 200}, {512, 128, 20, 8000, 1024},
};

// By definition, in double precision.
std::vector<double> Expected(const Geometry& g, const std::vector<float>& audio) {
  const double pi = std::acos(-1.0);
  const auto hertz = [&](int i) {
    const double mel = 2595.0 * std::log10(1.0 + g.sample_rate / 2.0 / 700.0) * i / (g.mels + 1);
    return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0);
  };
  std::vector<double> decibels;
  for (int64_t start = -g.fft_length / 2; start <= g.samples - g.fft_length / 2;
       start += g.hop_length) {
    std::vector<double> power;
    double energy = 0.0;
    for (int k = 0; k <= g.fft_length / 2; ++k) {
      double real = 0.0, imaginary = 0.0;
      energy = 0.0;
      for (int n = 0; n < g.fft_length; ++n) {
        int64_t at = std::abs(start + n);
        if (at >= g.samples) at = 2 * (g.samples - 1) - at;
        const double window = 0.5 - 0.5 * std::cos(2.0 * pi * n / g.fft_length);
        const double angle = 2.0 * pi * (int64_t{k} * n % g.fft_length) / g.fft_length;
        real += window * audio[at] * std::cos(angle);
        imaginary -= window * audio[at] * std::sin(angle);
        energy += window * window;
      }
      power.push_back(real * real + imaginary * imaginary);
    }
    for (int m = 0; m < g.mels; ++m) {
      double sum = 0.0;
      for (int k = 0; k <= g.fft_length / 2; ++k) {
        const double f = static_cast<double>(g.sample_rate) * k / g.fft_length;
        const double rising = (f - hertz(m)) / (hertz(m + 1) - hertz(m));
        const double falling = (hertz(m + 2) - f) / (hertz(m + 2) - hertz(m + 1));
        sum += std::max(0.0, std::min(rising, falling)) * power[k] / energy;
      }
      decibels.push_back(10.0 * std::log10(std::max(sum, 1e-10)));
    }
  }
  return decibels;
}

TEST(LogMelTest, IsItsDefinition) {
  for (const Geometry& g : kGeometries) {
    if (g.fft_length > 512) continue;  // the slow transform above
    TestData data(g.fft_length);
    const std::vector<float> audio = data.Floats(g.samples);
    LogMelPlan plan;
    plan.Assign(g.fft_length, g.hop_length, g.mels, g.sample_rate, g.samples);
    std::vector<float> out(plan.frames * g.mels);
    LogMelPortable(audio.data(), &plan, out.data());
    const std::vector<double> expected = Expected(g, audio);
    ASSERT_EQ(out.size(), expected.size());
    for (size_t i = 0; i < out.size(); ++i) {
      ASSERT_NEAR(out[i], expected[i], 1e-3) << g.fft_length << " " << i;
    }
  }
}

TEST(LogMelTest, EveryPathGivesTheSameBits) {
  for (const Geometry& g : kGeometries) {
    TestData data(g.samples);
    const std::vector<float> audio = data.Floats(g.samples);
    LogMelPlan plan;
    plan.Assign(g.fft_length, g.hop_length, g.mels, g.sample_rate, g.samples);
    std::vector<float> expected(plan.frames * g.mels), out(expected.size() + 1, 7.0f);
    LogMelPortable(audio.data(), &plan, expected.data());
    for (const KernelPath* path : AvailablePaths()) {
      path->log_mel(audio.data(), &plan, out.data());
      EXPECT_EQ(std::memcmp(out.data(), expected.data(), expected.size() * sizeof(float)), 0)
          << path->name << " " << g.fft_length;
      EXPECT_EQ(out.back(), 7.0f);
    }
  }
}

}  // namespace
}  // namespace bifsmn
