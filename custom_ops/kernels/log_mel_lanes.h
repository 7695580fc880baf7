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

// The log-mel spectrogram of as many frames at once as a vector has lanes. In an unnamed namespace:
// each file that includes it compiles it for its own processor.

#ifndef BIFSMN_KERNELS_LOG_MEL_LANES_H_
#define BIFSMN_KERNELS_LOG_MEL_LANES_H_

#include <cfloat>
#include <cstdint>
#include <cstring>

#include "custom_ops/kernels/log_mel.h"

namespace bifsmn {
namespace {

#define BIFSMN_LOG_MEL_INLINE inline __attribute__((always_inline))

template <int kLanes>
struct Lanes;

template <>
struct Lanes<4> {
  typedef float Floats __attribute__((vector_size(16)));
  typedef int32_t Ints __attribute__((vector_size(16)));
  // The halves of two vectors, interleaved.
  static BIFSMN_LOG_MEL_INLINE void Interleave(Floats* a, Floats* b) {
    const Floats low = __builtin_shuffle(*a, *b, Ints{0, 4, 1, 5});
    *b = __builtin_shuffle(*a, *b, Ints{2, 6, 3, 7});
    *a = low;
  }
};

template <>
struct Lanes<8> {
  typedef float Floats __attribute__((vector_size(32)));
  typedef int32_t Ints __attribute__((vector_size(32)));
  static BIFSMN_LOG_MEL_INLINE void Interleave(Floats* a, Floats* b) {
    const Floats low = __builtin_shuffle(*a, *b, Ints{0, 8, 1, 9, 2, 10, 3, 11});
    *b = __builtin_shuffle(*a, *b, Ints{4, 12, 5, 13, 6, 14, 7, 15});
    *a = low;
  }
};

// Interleaving the rows i and i + kLanes / 2 rotates the bits of (row, lane) by one; after as many
// rounds as a row number has bits, rows are lanes.
template <int kLanes>
BIFSMN_LOG_MEL_INLINE void Transpose(typename Lanes<kLanes>::Floats* rows) {
#pragma GCC unroll 4
  for (int round = 1; round < kLanes; round *= 2) {
    typename Lanes<kLanes>::Floats next[kLanes];
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = rows[i];
      next[2 * i + 1] = rows[i + kLanes / 2];
      Lanes<kLanes>::Interleave(&next[2 * i], &next[2 * i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

// Windowed frames, one per lane. Lanes behind the last frame repeat it.
template <int kLanes>
BIFSMN_LOG_MEL_INLINE void LoadFrames(const LogMelPlan& plan, int64_t first,
                                      typename Lanes<kLanes>::Floats* z) {
  using Floats = typename Lanes<kLanes>::Floats;
  const float* frame[kLanes];
  for (int r = 0; r < kLanes; ++r) {
    const int64_t at = first + r < plan.frames ? first + r : plan.frames - 1;
    frame[r] = plan.padded.data() + at * plan.hop_length;
  }
  for (int n = 0; n < plan.fft_length; n += kLanes, z += kLanes) {
    Floats window, rows[kLanes];
    std::memcpy(&window, plan.window.data() + n, sizeof(window));
#pragma GCC unroll 8
    for (int r = 0; r < kLanes; ++r) {
      std::memcpy(&rows[r], frame[r] + n, sizeof(Floats));
      rows[r] *= window;
    }
    Transpose<kLanes>(rows);
#pragma GCC unroll 8
    for (int r = 0; r < kLanes; ++r) z[r] = rows[r];
  }
}

// Four points of a step, `quarter` complex numbers apart; sums a + i b are (a, b) pairs.
template <bool kTwiddle, typename Floats>
BIFSMN_LOG_MEL_INLINE void Butterfly(Floats* z, int64_t quarter, const float* twiddle) {
  Floats *p0 = z, *p1 = z + 2 * quarter, *p2 = z + 4 * quarter, *p3 = z + 6 * quarter;
  const Floats sum02_r = p0[0] + p2[0], sum02_i = p0[1] + p2[1];
  const Floats dif02_r = p0[0] - p2[0], dif02_i = p0[1] - p2[1];
  const Floats sum13_r = p1[0] + p3[0], sum13_i = p1[1] + p3[1];
  const Floats dif13_r = p1[0] - p3[0], dif13_i = p1[1] - p3[1];
  p0[0] = sum02_r + sum13_r;
  p0[1] = sum02_i + sum13_i;
  const auto store = [twiddle](int w, const Floats& real, const Floats& imaginary, Floats* to) {
    if (kTwiddle) {
      const float c = twiddle[2 * w], s = twiddle[2 * w + 1];
      to[0] = real * c - imaginary * s;
      to[1] = real * s + imaginary * c;
    } else {
      to[0] = real;
      to[1] = imaginary;
    }
  };
  store(0, dif02_r + dif13_i, dif02_i - dif13_r, p1);
  store(1, sum02_r - sum13_r, sum02_i - sum13_i, p2);
  store(2, dif02_r - dif13_i, dif02_i + dif13_r, p3);
}

// The complex transform, in place, its points left at plan.places.
template <typename Floats>
BIFSMN_LOG_MEL_INLINE void Transform(const LogMelPlan& plan, Floats* z) {
  const int64_t points = plan.fft_length / 2;
  const float* twiddles = plan.twiddles.data();
  int64_t length = points;
  for (; length > 4; length /= 4) {
    const int64_t quarter = length / 4;
    for (int64_t first = 0; first < points; first += length) {
      for (int64_t j = 0; j < quarter; ++j) {
        Butterfly<true>(z + 2 * (first + j), quarter, twiddles + 6 * j);
      }
    }
    twiddles += 6 * quarter;
  }
  if (length == 4) {
    for (int64_t first = 0; first < points; first += 4) Butterfly<false>(z + 2 * first, 1, nullptr);
  } else if (length == 2) {
    for (Floats* pair = z; pair < z + 2 * points; pair += 4) {
      const Floats real = pair[0] - pair[2], imaginary = pair[1] - pair[3];
      pair[0] += pair[2];
      pair[1] += pair[3];
      pair[2] = real;
      pair[3] = imaginary;
    }
  }
}

// Four times the power of the real transform: |2 X[k]|^2, where 2 X[k] and the conjugate of
// 2 X[N - k] are e + t and e - t with e = Z[k] + conj Z[N - k] and t = (Z[k] - conj Z[N - k]) u[k].
template <typename Floats>
BIFSMN_LOG_MEL_INLINE void Power(const LogMelPlan& plan, const Floats* z, Floats* power) {
  const int64_t points = plan.fft_length / 2;
  const Floats first = z[0] + z[1], last = z[0] - z[1];
  power[0] = 4.0f * first * first;
  power[points] = 4.0f * last * last;
  for (int64_t k = 1; k <= points / 2; ++k) {
    const Floats* a = z + 2 * int64_t{plan.places[k]};
    const Floats* b = z + 2 * int64_t{plan.places[points - k]};
    const float c = plan.halves[2 * k], s = plan.halves[2 * k + 1];
    const Floats even_r = a[0] + b[0], even_i = a[1] - b[1];
    const Floats odd_r = a[0] - b[0], odd_i = a[1] + b[1];
    const Floats t_r = odd_r * c - odd_i * s, t_i = odd_r * s + odd_i * c;
    const Floats plus_r = even_r + t_r, plus_i = even_i + t_i;
    const Floats minus_r = even_r - t_r, minus_i = even_i - t_i;
    power[k] = plus_r * plus_r + plus_i * plus_i;
    power[points - k] = minus_r * minus_r + minus_i * minus_i;
  }
}

// 10 log10(max(x, 1)) - 100, and NaN and infinity as they are.
template <int kLanes>
BIFSMN_LOG_MEL_INLINE void Decibels(typename Lanes<kLanes>::Floats* x) {
  using Floats = typename Lanes<kLanes>::Floats;
  using Ints = typename Lanes<kLanes>::Ints;
  const Floats one = Floats{} + 1.0f;
  const Floats value = *x < one ? one : *x;
  // value = 2^exponent m with m between sqrt(1/2) and sqrt(2), whose logarithm is the series of
  // 2 artanh((m - 1) / (m + 1)); 1 gives exactly 0.
  const Ints bits = (Ints)value;  // as bits, not as numbers
  const Ints exponent = (bits - 0x3f3504f3) >> 23;
  const Ints mantissa = bits - (exponent << 23);
  const Floats m = (Floats)mantissa;
  const Floats s = (m - 1.0f) / (m + 1.0f), q = s * s;
  const Floats series = ((((q / 9.0f + 1.0f / 7.0f) * q + 1.0f / 5.0f) * q + 1.0f / 3.0f) * q) * s;
  constexpr float kLn2 = 0.693147180559945f, kScale = 4.34294481903252f;  // 10 / ln 10
  const Floats log = __builtin_convertvector(exponent, Floats) * kLn2 + 2.0f * (s + series);
  *x = value <= FLT_MAX ? log * kScale - 100.0f : value;
}

template <int kLanes>
BIFSMN_LOG_MEL_INLINE void Bands(const LogMelPlan& plan,
                                 const typename Lanes<kLanes>::Floats* power, int64_t count,
                                 float* out) {
  using Floats = typename Lanes<kLanes>::Floats;
  for (int m = 0; m < plan.mels; ++m) {
    const LogMelPlan::Band& band = plan.bands[m];
    const float* w = plan.weights.data() + band.weights;
    const Floats* p = power + band.first;
    Floats sum = {}, sum1 = {}, sum2 = {}, sum3 = {};
    int k = 0;
    for (; k + 4 <= band.count; k += 4) {
      sum += p[k] * w[k];
      sum1 += p[k + 1] * w[k + 1];
      sum2 += p[k + 2] * w[k + 2];
      sum3 += p[k + 3] * w[k + 3];
    }
    for (; k < band.count; ++k) sum += p[k] * w[k];
    sum = (sum + sum1) + (sum2 + sum3);
    Decibels<kLanes>(&sum);
    for (int64_t r = 0; r < count; ++r) out[r * plan.mels + m] = sum[r];
  }
}

template <int kLanes>
BIFSMN_LOG_MEL_INLINE void LogMelOfLanes(const float* audio, LogMelPlan* plan, float* out) {
  using Floats = typename Lanes<kLanes>::Floats;
  auto* z = reinterpret_cast<Floats*>(plan->spectrum.data());
  auto* power = reinterpret_cast<Floats*>(plan->power.data());
  plan->Pad(audio);
  for (int64_t first = 0; first < plan->frames; first += kLanes) {
    LoadFrames<kLanes>(*plan, first, z);
    Transform(*plan, z);
    Power(*plan, z, power);
    const int64_t left = plan->frames - first;
    Bands<kLanes>(*plan, power, left < kLanes ? left : kLanes, out + first * plan->mels);
  }
}

#undef BIFSMN_LOG_MEL_INLINE

}  // namespace
}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_LOG_MEL_LANES_H_
