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

// The three operators, one scalar step at a time: the oracle that every kernel is compared with.
// Written for reading, never for speed.

#ifndef BIFSMN_KERNELS_REFERENCE_H_
#define BIFSMN_KERNELS_REFERENCE_H_

#include <cmath>
#include <cstdint>

#include "custom_ops/kernels/bits.h"

namespace bifsmn {
namespace reference {

// +1 for x >= 0, which includes -0.0; -1 otherwise, which includes NaN.
inline int Sign(float x) { return x >= 0.0f ? 1 : -1; }

inline int SignAt(const uint32_t* words, int64_t index) { return BitAt(words, index) ? 1 : -1; }

inline void Pack(const float* x, int64_t rows, int channels, uint32_t* words) {
  for (int64_t r = 0; r < rows; ++r) {
    uint32_t* row = words + r * WordsFor(channels);
    for (int64_t w = 0; w < WordsFor(channels); ++w) row[w] = 0;
    for (int c = 0; c < channels; ++c) {
      if (Sign(x[r * channels + c]) > 0) row[c / kWordBits] |= uint32_t{1} << (c % kWordBits);
    }
  }
}

// dots[r][n] = sum_k x[r][k] * w[n][k]
inline void Dense(const uint32_t* x, int64_t rows, int reduction, const uint32_t* weights,
                  int outputs, int32_t* dots) {
  const int64_t words = WordsFor(reduction);
  for (int64_t r = 0; r < rows; ++r) {
    for (int n = 0; n < outputs; ++n) {
      int32_t dot = 0;
      for (int k = 0; k < reduction; ++k) {
        dot += SignAt(x + r * words, k) * SignAt(weights + n * words, k);
      }
      dots[r * outputs + n] = dot;
    }
  }
}

struct ConvShape {
  int batch, height, width, channels;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;

  int out_h() const { return (height + 2 * pad_h - kernel_h) / stride_h + 1; }
  int out_w() const { return (width + 2 * pad_w - kernel_w) / stride_w + 1; }
};

// dots[b][oh][ow][n], NHWC. Taps outside the picture add 0.
inline void Conv2D(const uint32_t* x, const ConvShape& s, const uint32_t* weights, int outputs,
                   int32_t* dots) {
  const int64_t pixel_words = WordsFor(s.channels);
  const int64_t row_words = WordsFor(int64_t{s.kernel_h} * s.kernel_w * s.channels);
  for (int b = 0; b < s.batch; ++b) {
    for (int oh = 0; oh < s.out_h(); ++oh) {
      for (int ow = 0; ow < s.out_w(); ++ow) {
        for (int n = 0; n < outputs; ++n) {
          int32_t dot = 0;
          for (int i = 0; i < s.kernel_h; ++i) {
            for (int j = 0; j < s.kernel_w; ++j) {
              const int h = oh * s.stride_h - s.pad_h + i;
              const int w = ow * s.stride_w - s.pad_w + j;
              if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
              const uint32_t* pixel = x + ((int64_t{b} * s.height + h) * s.width + w) * pixel_words;
              for (int c = 0; c < s.channels; ++c) {
                const int k = (i * s.kernel_w + j) * s.channels + c;
                dot += SignAt(pixel, c) * SignAt(weights + n * row_words, k);
              }
            }
          }
          *dots++ = dot;
        }
      }
    }
  }
}

struct MemoryShape {
  int batch, frames, channels, outputs;
  int taps, look_back, stride_back, stride_ahead;

  // How far from the present frame tap i reads.
  int64_t offset(int i) const {
    const int64_t steps = int64_t{i} - look_back;
    return steps * (steps < 0 ? stride_back : stride_ahead);
  }
};

// dots[b][t][n] = sum_i x[b][t + offset(i)][n / m] * w[i][n], m = outputs / channels.
inline void Memory(const uint32_t* x, const MemoryShape& s, const uint32_t* weights,
                   int32_t* dots) {
  const int multiple = s.outputs / s.channels;
  for (int b = 0; b < s.batch; ++b) {
    for (int t = 0; t < s.frames; ++t) {
      for (int n = 0; n < s.outputs; ++n) {
        int32_t dot = 0;
        for (int i = 0; i < s.taps; ++i) {
          const int64_t frame = t + s.offset(i);
          if (frame < 0 || frame >= s.frames) continue;
          const uint32_t* row = x + (int64_t{b} * s.frames + frame) * WordsFor(s.channels);
          dot += SignAt(row, n / multiple) * SignAt(weights + i * WordsFor(s.outputs), n);
        }
        *dots++ = dot;
      }
    }
  }
}

// The two bits that a value is read as, and what a dual scale layer is off by.
struct Split {
  bool first, second;
  float magnitude;
};

inline Split SplitOf(float x, float shift0, float shift1) {
  const bool first = x >= shift0;
  float r = x - (first ? 1.0f : -1.0f);
  r = r - shift1;
  return {first, r >= 0.0f, std::fabs(r)};
}

// The two bits of a layer of four levels.
inline Split LevelOf(float x, float low, float middle, float high) {
  const bool first = x >= middle;
  return {first, x >= (first ? high : low), 0.0f};
}

// What the second sum of a layer of four levels is multiplied by.
constexpr float kLevelScale = 0.5f;

// Mean magnitude in the order of sums that all kernels keep: value i to sum i % 32, then the sums
// folded in halves.
inline float DualScale(const float* magnitudes, int64_t count) {
  float sums[32] = {};
  for (int64_t i = 0; i < count; ++i) sums[i % 32] += magnitudes[i];
  for (int l = 0; l < 16; ++l) sums[l] += sums[l + 16];
  for (int l = 0; l < 8; ++l) sums[l] += sums[l + 8];
  for (int l = 0; l < 4; ++l) sums[l] += sums[l + 4];
  for (int l = 0; l < 2; ++l) sums[l] += sums[l + 2];
  return (sums[0] + sums[1]) / static_cast<float>(count);
}

// The sum of a layer of two bits.
inline float Combine(int32_t first, int32_t second, float scale) {
  const float term = scale * static_cast<float>(second);
  return static_cast<float>(first) + term;
}

// One output value of the float epilogue; `dot` is whole but in dual scale layers. Each operation
// is rounded on its own.
inline float FloatEpilogue(float dot, float multiplier, float bias, const float* residual,
                           float slope, bool residual_first) {
  float v = dot * multiplier;
  v = v + bias;
  if (residual != nullptr && residual_first) v = v + *residual;
  if (slope != 1.0f && !(v >= 0.0f)) v = v * slope;
  if (residual != nullptr && !residual_first) v = v + *residual;
  return v;
}

// One output bit of the bits epilogue.
inline bool BitsEpilogue(int32_t dot, int16_t threshold) { return dot >= threshold; }

}  // namespace reference
}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_REFERENCE_H_
