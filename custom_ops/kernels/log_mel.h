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

// The log-mel spectrogram of a waveform, in decibels: frames centred by reflection, a periodic Hann
// window, the power spectrum divided by the window's energy, triangular bands of the HTK mel scale,
// and 10 log10(max(band, 1e-10)).

#ifndef BIFSMN_KERNELS_LOG_MEL_H_
#define BIFSMN_KERNELS_LOG_MEL_H_

#include <cstdint>
#include <vector>

#include "custom_ops/kernels/aligned_buffer.h"

namespace bifsmn {

// What of a spectrogram depends on its geometry alone, and the memory to compute it in.
//
// The real transform of `fft_length` = 2 N samples is a complex one of N points, whose real and
// imaginary parts are the even and the odd samples, and a step that separates them. Several frames
// are transformed at once, one per lane of a vector: no step then moves values across lanes.
struct LogMelPlan {
  // The most frames at once.
  static constexpr int kMaxLanes = 8;
  // What every kernel can do: a power of two in this range.
  static constexpr int kMinFftLength = 32, kMaxFftLength = 16384;

  int fft_length = 0, hop_length = 0, mels = 0;
  int64_t samples = 0, frames = 0;

  // A band is a weighted sum of the bins first .. first + count - 1.
  struct Band {
    int first = 0, count = 0;
    int64_t weights = 0;  // of the first bin
  };

  AlignedBuffer<float> window;    // (fft_length)
  // For each step of four, from N points to 4: (w^j, w^2j, w^3j) as real and imaginary parts.
  AlignedBuffer<float> twiddles;
  AlignedBuffer<int32_t> places;  // where the transform leaves point k
  AlignedBuffer<float> halves;    // -i exp(-i pi k / N), k <= N / 2, real and imaginary parts
  std::vector<Band> bands;
  AlignedBuffer<float> weights;   // 1e10 / (4 * energy of the window) included

  AlignedBuffer<float> padded;    // (samples + fft_length)
  AlignedBuffer<float> spectrum;  // (fft_length, lanes): real, imaginary, real, ...
  AlignedBuffer<float> power;     // (N + 1, lanes), times 4

  // `samples` is more than fft_length / 2, and every number positive.
  void Assign(int fft_length, int hop_length, int mels, int sample_rate, int64_t samples);

  // The waveform with half a transform of reflection at either end.
  void Pad(const float* audio);
};

// One clip: `audio` is (samples), `out` (frames, mels). Every lane computes the same, whatever the
// width of the vectors: results are equal to the last bit on all processors.
void LogMelPortable(const float* audio, LogMelPlan* plan, float* out);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_LOG_MEL_H_
