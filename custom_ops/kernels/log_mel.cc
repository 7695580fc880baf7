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
#include <cstring>

#include "custom_ops/kernels/log_mel_lanes.h"

namespace bifsmn {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kPowerFloor = 1e-10;

// Writes where a decimation in frequency leaves the points k, of which there are `length`.
void FindPlaces(int length, int first, int k, int step, int32_t* places) {
  if (length == 1) {
    places[k] = first;
    return;
  }
  const int radix = length % 4 == 0 ? 4 : 2;
  for (int r = 0; r < radix; ++r) {
    FindPlaces(length / radix, first + r * (length / radix), k + r * step, step * radix, places);
  }
}

}  // namespace

void LogMelPlan::Assign(int fft_length, int hop_length, int mels, int sample_rate,
                        int64_t samples) {
  this->fft_length = fft_length;
  this->hop_length = hop_length;
  this->mels = mels;
  this->samples = samples;
  frames = 1 + samples / hop_length;

  double energy = 0.0;
  window.Assign(fft_length);
  for (int i = 0; i < fft_length; ++i) {
    const double value = 0.5 - 0.5 * std::cos(2.0 * kPi * i / fft_length);
    window[i] = static_cast<float>(value);
    energy += value * value;
  }

  const int points = fft_length / 2;
  twiddles.Assign(2 * points);
  float* twiddle = twiddles.data();
  for (int length = points; length > 4; length /= 4) {
    for (int j = 0; j < length / 4; ++j) {
      for (int power = 1; power <= 3; ++power) {
        const double angle = -2.0 * kPi * j * power / length;
        *twiddle++ = static_cast<float>(std::cos(angle));
        *twiddle++ = static_cast<float>(std::sin(angle));
      }
    }
  }
  places.Assign(points);
  FindPlaces(points, 0, 0, 1, places.data());
  halves.Assign(2 * (points / 2 + 1));
  for (int k = 0; k <= points / 2; ++k) {
    const double angle = kPi * k / points;
    halves[2 * k] = static_cast<float>(-std::sin(angle));
    halves[2 * k + 1] = static_cast<float>(-std::cos(angle));
  }

  // mel(f) is a multiple of log(1 + f / 700), so that the corners of the triangles are
  const double nyquist = sample_rate / 2.0;
  const auto corner = [&](int i) {
    return 700.0 * std::expm1(std::log1p(nyquist / 700.0) * i / (mels + 1));
  };
  bands.assign(mels, Band());
  std::vector<float> all;
  for (int m = 0; m < mels; ++m) {
    const double low = corner(m), centre = corner(m + 1), high = corner(m + 2);
    Band& band = bands[m];
    band.weights = static_cast<int64_t>(all.size());
    for (int k = 0; k <= points; ++k) {
      const double bin = nyquist * k / points;
      const double weight = std::min((bin - low) / (centre - low), (high - bin) / (high - centre));
      if (!(weight > 0.0)) continue;
      if (band.count++ == 0) band.first = k;
      all.push_back(static_cast<float>(weight / (4.0 * kPowerFloor * energy)));
    }
  }
  weights.Assign(static_cast<int64_t>(all.size()));
  std::copy(all.begin(), all.end(), weights.data());

  padded.Assign(samples + fft_length);
  spectrum.Assign(int64_t{fft_length} * kMaxLanes);
  power.Assign(int64_t{points + 1} * kMaxLanes);
}

void LogMelPlan::Pad(const float* audio) {
  const int half = fft_length / 2;
  float* middle = padded.data() + half;
  std::memcpy(middle, audio, samples * sizeof(float));
  for (int i = 1; i <= half; ++i) {
    middle[-i] = audio[i];
    middle[samples - 1 + i] = audio[samples - 1 - i];
  }
}

void LogMelPortable(const float* audio, LogMelPlan* plan, float* out) {
  LogMelOfLanes<4>(audio, plan, out);
}

}  // namespace bifsmn
