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

// Layers of two bits with AVX-512. Of dual scale, two bits and |r| of 32 floats at a time:
//
//   first  = x >= shift0                                  a mask of 16 finished bits
//   r      = (x - (first ? 1 : -1)) - shift1
//   second = r >= 0;   sums += |r|
//
// Why so: the sums of value i go to lane i % 32, so two registers add up a whole row in the order
// that every path keeps. Over time the sums are one per channel: the channels are the outer loop,
// and sums and shifts stay in registers. Four levels need no sums: two comparisons, of which the
// mask of the first blends the other side of the second.

#if defined(__x86_64__)

#include "custom_ops/kernels/path_x86.h"
#include "custom_ops/kernels/avx512_common.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,popcnt")

namespace bifsmn {
namespace avx512 {
namespace {

BIFSMN_INLINE __mmask16 AtLeast(__m512 x, __m512 y) {
  return _mm512_cmp_ps_mask(x, y, _CMP_GE_OQ);
}

struct Half {
  uint16_t first, second;
};

// The lanes of `mask`, one half of a word.
BIFSMN_INLINE Half SplitHalf(const float* x, __mmask16 mask, __m512 shift0, __m512 shift1,
                             __m512* sums) {
  const __m512 value = _mm512_maskz_loadu_ps(mask, x);
  const __mmask16 first = AtLeast(value, shift0);
  const __m512 one =
      _mm512_mask_blend_ps(first, _mm512_set1_ps(-1.0f), _mm512_set1_ps(1.0f));
  const __m512 r = _mm512_sub_ps(_mm512_sub_ps(value, one), shift1);
  *sums = _mm512_mask_add_ps(*sums, mask, *sums, _mm512_abs_ps(r));
  return {static_cast<uint16_t>(first & mask),
          static_cast<uint16_t>(AtLeast(r, _mm512_setzero_ps()) & mask)};
}

void PackShifted(const float* x, int64_t rows, int channels, const float* shift, uint32_t* out,
                 int64_t stride) {
  ClearTails(out, rows, channels, stride);
  for (int64_t r = 0; r < rows; ++r, x += channels, out += stride) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const __mmask16 mask = LaneMask(channels - c);
      const __m512 value = _mm512_maskz_loadu_ps(mask, x + c);
      StoreHalf(out, c, AtLeast(value, _mm512_load_ps(shift + c)) & mask);
    }
  }
}

void Split(const float* x, int64_t count, const float* shift0, const float* shift1,
           uint32_t* first, uint32_t* second, float* sums) {
  __m512 low = _mm512_load_ps(sums), high = _mm512_load_ps(sums + kLanes);
  for (int64_t i = 0; i < count; i += 2 * kLanes) {
    const int64_t j = i + kLanes;
    const __mmask16 rest = j < count ? LaneMask(count - j) : 0;
    const Half a = SplitHalf(x + i, LaneMask(count - i), _mm512_load_ps(shift0 + i),
                             _mm512_load_ps(shift1 + i), &low);
    const Half b = SplitHalf(x + j, rest, _mm512_load_ps(shift0 + j),
                             _mm512_load_ps(shift1 + j), &high);
    first[i / kWordBits] = a.first | static_cast<uint32_t>(b.first) << kLanes;
    second[i / kWordBits] = a.second | static_cast<uint32_t>(b.second) << kLanes;
  }
  _mm512_store_ps(sums, low);
  _mm512_store_ps(sums + kLanes, high);
}

void SplitOverTime(const float* x, int64_t frames, int channels, const float* shift0,
                   const float* shift1, uint32_t* first, uint32_t* second, int64_t stride,
                   float* sums) {
  ClearTails(first, frames, channels, stride);
  ClearTails(second, frames, channels, stride);
  for (int64_t c = 0; c < channels; c += kLanes) {
    const __mmask16 mask = LaneMask(channels - c);
    const __m512 s0 = _mm512_load_ps(shift0 + c), s1 = _mm512_load_ps(shift1 + c);
    __m512 sum = _mm512_load_ps(sums + c);
    for (int64_t t = 0; t < frames; ++t) {
      const Half half = SplitHalf(x + t * channels + c, mask, s0, s1, &sum);
      StoreHalf(first + t * stride, c, half.first);
      StoreHalf(second + t * stride, c, half.second);
    }
    _mm512_store_ps(sums + c, sum);
  }
}

void SplitLevels(const float* x, int64_t rows, int channels, const float* low,
                 const float* middle, const float* high, uint32_t* first, uint32_t* second,
                 int64_t stride) {
  ClearTails(first, rows, channels, stride);
  ClearTails(second, rows, channels, stride);
  for (int64_t r = 0; r < rows; ++r, x += channels, first += stride, second += stride) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const __mmask16 mask = LaneMask(channels - c);
      const __m512 value = _mm512_maskz_loadu_ps(mask, x + c);
      const __mmask16 above = AtLeast(value, _mm512_load_ps(middle + c));
      const __m512 limit =
          _mm512_mask_blend_ps(above, _mm512_load_ps(low + c), _mm512_load_ps(high + c));
      StoreHalf(first, c, above & mask);
      StoreHalf(second, c, AtLeast(value, limit) & mask);
    }
  }
}

// Calls value(row, index of the first of 16 outputs, mask) for the sums to finish.
template <typename Value>
struct Ends {
  template <Residual kResidual, bool kSigns>
  static void Do(const Value& value, int64_t rows, int outputs, const FloatEnd& end,
                 const float* residual, float* out, uint32_t* signs, int64_t stride) {
    if (kSigns) ClearTails(signs, rows, outputs, stride);
    for (int64_t n = 0; n < outputs; n += kLanes) {
      const __mmask16 mask = LaneMask(outputs - n);
      const Lanes lanes(end, n);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * outputs + n;
        uint16_t half = 0;
        FinishAndStore<kResidual, kSigns>(
            lanes, value(r, at, mask), mask,
            kResidual == Residual::kNone ? nullptr : residual + at, out + at, &half);
        if (kSigns) StoreHalf(signs + r * stride, n, half);
      }
    }
  }
};

struct DualDots {
  BIFSMN_INLINE __m512 operator()(int64_t row, int64_t at, __mmask16 mask) const {
    const __m512i a = _mm512_maskz_loadu_epi32(mask, first + at);
    const __m512i b = _mm512_maskz_loadu_epi32(mask, second + at);
    const __m512 term = _mm512_mul_ps(_mm512_set1_ps(scale[row]), _mm512_cvtepi32_ps(b));
    return _mm512_add_ps(_mm512_cvtepi32_ps(a), term);
  }
  const int32_t *first, *second;
  const float* scale;
};

struct Values {
  BIFSMN_INLINE __m512 operator()(int64_t, int64_t at, __mmask16 mask) const {
    return _mm512_maskz_loadu_ps(mask, values + at);
  }
  const float* values;
};

void DualDotsToFloat(const int32_t* first, const int32_t* second, const float* scale,
                     int64_t rows, int outputs, const FloatEnd& end, const float* residual,
                     float* out, uint32_t* signs, int64_t stride) {
  const DualDots dots = {first, second, scale};
  ChooseEnd<Ends<DualDots>>(residual != nullptr, end.residual_first, signs != nullptr, dots, rows,
                            outputs, end, residual, out, signs, stride);
}

void DotsToLevels(const int32_t* first, const int32_t* second, int64_t rows, int outputs,
                  const LevelsEnd& end, uint32_t* out_first, uint32_t* out_second,
                  int64_t stride) {
  ClearTails(out_first, rows, outputs, stride);
  ClearTails(out_second, rows, outputs, stride);
  for (int64_t n = 0; n < outputs; n += kLanes) {
    const __mmask16 mask = LaneMask(outputs - n);
    __m512i from[3], to[3];
    for (int i = 0; i < 3; ++i) {
      from[i] = _mm512_load_si512(end.threshold[i] + n);
      to[i] = _mm512_load_si512(end.reverse[i] + n);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const __m512i a = _mm512_maskz_loadu_epi32(mask, first + r * outputs + n);
      const __m512i b = _mm512_maskz_loadu_epi32(mask, second + r * outputs + n);
      const __m512i d = _mm512_add_epi32(_mm512_add_epi32(a, a), b);
      __mmask16 is[3];
      for (int i = 0; i < 3; ++i) {
        is[i] = _mm512_cmpge_epi32_mask(d, from[i]) | _mm512_cmple_epi32_mask(d, to[i]);
      }
      StoreHalf(out_first + r * stride, n, is[1] & mask);
      StoreHalf(out_second + r * stride, n, ((is[1] & is[2]) | (~is[1] & is[0])) & mask);
    }
  }
}

void ValuesToFloat(const float* values, int64_t rows, int outputs, const FloatEnd& end,
                   const float* residual, float* out, uint32_t* signs, int64_t stride) {
  const Values v = {values};
  ChooseEnd<Ends<Values>>(residual != nullptr, end.residual_first, signs != nullptr, v, rows,
                          outputs, end, residual, out, signs, stride);
}

}  // namespace
}  // namespace avx512

const DualKernels& Avx512Dual() {
  static const DualKernels kernels = {avx512::PackShifted, avx512::Split, avx512::SplitOverTime,
                                      avx512::SplitLevels, avx512::DualDotsToFloat,
                                      avx512::DotsToLevels, avx512::ValuesToFloat};
  return kernels;
}

}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
