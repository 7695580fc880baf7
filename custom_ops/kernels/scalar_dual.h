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

// Bodies of the scalar kernels of layers of two bits.

#ifndef BIFSMN_KERNELS_SCALAR_DUAL_H_
#define BIFSMN_KERNELS_SCALAR_DUAL_H_

#include <cmath>
#include <cstdint>

#include "custom_ops/kernels/scalar.h"

namespace bifsmn {
namespace scalar {

BIFSMN_INLINE void PackShifted(const float* x, int64_t rows, int channels, const float* shift,
                               uint32_t* out, int64_t out_stride) {
  for (int64_t r = 0; r < rows; ++r, x += channels, out += out_stride) {
    for (int c = 0; c < channels; c += kWordBits) {
      uint32_t word = 0;
      for (int i = 0; i < Least(channels - c, kWordBits); ++i) {
        word |= static_cast<uint32_t>(x[c + i] >= shift[c + i]) << i;
      }
      out[c / kWordBits] = word;
    }
    ClearTail(out, channels, out_stride);
  }
}

// At most 32 values, which make one word of either bits.
BIFSMN_INLINE void SplitWord(const float* x, int count, const float* shift0, const float* shift1,
                             uint32_t* first, uint32_t* second, float* sums) {
  uint32_t word0 = 0, word1 = 0;
  for (int i = 0; i < count; ++i) {
    const bool positive = x[i] >= shift0[i];
    const float r = (x[i] - (positive ? 1.0f : -1.0f)) - shift1[i];
    word0 |= static_cast<uint32_t>(positive) << i;
    word1 |= static_cast<uint32_t>(r >= 0.0f) << i;
    sums[i] += std::fabs(r);
  }
  *first = word0;
  *second = word1;
}

BIFSMN_INLINE void Split(const float* x, int64_t count, const float* shift0, const float* shift1,
                         uint32_t* first, uint32_t* second, float* sums) {
  for (int64_t i = 0; i < count; i += kWordBits) {
    SplitWord(x + i, Least(count - i, kWordBits), shift0 + i, shift1 + i, first + i / kWordBits,
              second + i / kWordBits, sums);
  }
}

BIFSMN_INLINE void SplitOverTime(const float* x, int64_t frames, int channels,
                                 const float* shift0, const float* shift1, uint32_t* first,
                                 uint32_t* second, int64_t stride, float* sums) {
  for (int64_t t = 0; t < frames; ++t, x += channels, first += stride, second += stride) {
    for (int c = 0; c < channels; c += kWordBits) {
      SplitWord(x + c, Least(channels - c, kWordBits), shift0 + c, shift1 + c,
                first + c / kWordBits, second + c / kWordBits, sums + c);
    }
    ClearTail(first, channels, stride);
    ClearTail(second, channels, stride);
  }
}

BIFSMN_INLINE void SplitLevels(const float* x, int64_t rows, int channels, const float* low,
                               const float* middle, const float* high, uint32_t* first,
                               uint32_t* second, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, x += channels, first += stride, second += stride) {
    for (int c = 0; c < channels; c += kWordBits) {
      uint32_t word0 = 0, word1 = 0;
      for (int i = 0; i < Least(channels - c, kWordBits); ++i) {
        const bool above = x[c + i] >= middle[c + i];
        word0 |= static_cast<uint32_t>(above) << i;
        word1 |= static_cast<uint32_t>(x[c + i] >= (above ? high : low)[c + i]) << i;
      }
      first[c / kWordBits] = word0;
      second[c / kWordBits] = word1;
    }
    ClearTail(first, channels, stride);
    ClearTail(second, channels, stride);
  }
}

BIFSMN_INLINE void DualDotsToFloat(const int32_t* first, const int32_t* second,
                                   const float* scale, int64_t rows, int outputs,
                                   const FloatEnd& end, const float* residual, float* out,
                                   uint32_t* signs, int64_t signs_stride) {
  for (int64_t r = 0; r < rows; ++r, first += outputs, second += outputs, out += outputs) {
    for (int n = 0; n < outputs; n += kEndBlock) {
      const int count = Least(outputs - n, kEndBlock);
      float values[kEndBlock];
      for (int i = 0; i < count; ++i) {
        const float term = scale[r] * static_cast<float>(second[n + i]);
        values[i] = static_cast<float>(first[n + i]) + term;
      }
      FloatBlock(values, n, count, end, residual == nullptr ? nullptr : residual + r * outputs,
                 out, signs == nullptr ? nullptr : signs + r * signs_stride);
    }
    if (signs != nullptr) ClearTail(signs + r * signs_stride, outputs, signs_stride);
  }
}

BIFSMN_INLINE void DotsToLevels(const int32_t* first, const int32_t* second, int64_t rows,
                                int outputs, const LevelsEnd& end, uint32_t* out_first,
                                uint32_t* out_second, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, first += outputs, second += outputs) {
    uint32_t *row0 = out_first + r * stride, *row1 = out_second + r * stride;
    for (int n = 0; n < outputs; n += kWordBits) {
      uint32_t word0 = 0, word1 = 0;
      for (int i = 0; i < Least(outputs - n, kWordBits); ++i) {
        const int32_t d = 2 * first[n + i] + second[n + i];
        const auto is = [&](int level) {
          return d >= end.threshold[level][n + i] || d <= end.reverse[level][n + i];
        };
        const bool above = is(1);
        word0 |= static_cast<uint32_t>(above) << i;
        word1 |= static_cast<uint32_t>(is(above ? 2 : 0)) << i;
      }
      row0[n / kWordBits] = word0;
      row1[n / kWordBits] = word1;
    }
    ClearTail(row0, outputs, stride);
    ClearTail(row1, outputs, stride);
  }
}

BIFSMN_INLINE void ValuesToFloat(const float* values, int64_t rows, int outputs,
                                 const FloatEnd& end, const float* residual, float* out,
                                 uint32_t* signs, int64_t signs_stride) {
  for (int64_t r = 0; r < rows; ++r, values += outputs, out += outputs) {
    for (int n = 0; n < outputs; n += kEndBlock) {
      FloatBlock(values + n, n, Least(outputs - n, kEndBlock), end,
                 residual == nullptr ? nullptr : residual + r * outputs, out,
                 signs == nullptr ? nullptr : signs + r * signs_stride);
    }
    if (signs != nullptr) ClearTail(signs + r * signs_stride, outputs, signs_stride);
  }
}

}  // namespace scalar
}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_SCALAR_DUAL_H_
