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

// Layers of two bits with AVX2, 8 floats at a time. As avx512_dual.cc, with
// four registers of sums and VMOVMSKPS for the bits.

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/path_x86.h"
#include "custom_ops/kernels/avx2_common.h"

// A pragma instead of compiler flags: see avx512_common.h.
#pragma GCC push_options
#pragma GCC target("avx2,popcnt")

namespace bifsmn {
namespace avx2 {
namespace {

constexpr int kGroups = kWordBits / kLanes;

BIFSMN_INLINE unsigned Bits(__m256 mask) { return static_cast<unsigned>(_mm256_movemask_ps(mask)); }

BIFSMN_INLINE __m256i LoadInts(const int32_t* p) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
}

BIFSMN_INLINE __m256 AtLeast(__m256 x, __m256 y) { return _mm256_cmp_ps(x, y, _CMP_GE_OQ); }

struct Byte {
  unsigned first, second;
};

// At most 8 values, a byte of a word.
BIFSMN_INLINE Byte SplitByte(const float* x, int64_t count, __m256 shift0, __m256 shift1,
                             __m256* sums) {
  const __m256i mask = LaneMask(count);
  const unsigned lanes = Bits(_mm256_castsi256_ps(mask));
  const __m256 value = _mm256_maskload_ps(x, mask);
  const __m256 first = AtLeast(value, shift0);
  const __m256 one = _mm256_blendv_ps(_mm256_set1_ps(-1.0f), _mm256_set1_ps(1.0f), first);
  const __m256 r = _mm256_sub_ps(_mm256_sub_ps(value, one), shift1);
  const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), r);
  *sums = _mm256_add_ps(*sums, _mm256_and_ps(magnitude, _mm256_castsi256_ps(mask)));
  return {Bits(first) & lanes, Bits(AtLeast(r, _mm256_setzero_ps())) & lanes};
}

// At most 32 values, a word.
BIFSMN_INLINE void SplitWord(const float* x, int64_t count, const float* shift0,
                             const float* shift1, uint32_t* first, uint32_t* second,
                             __m256* sums) {
  uint32_t word0 = 0, word1 = 0;
  for (int g = 0; g < kGroups && g * kLanes < count; ++g) {
    const int at = g * kLanes;
    const Byte byte = SplitByte(x + at, count - at, _mm256_load_ps(shift0 + at),
                                _mm256_load_ps(shift1 + at), sums + g);
    word0 |= byte.first << at;
    word1 |= byte.second << at;
  }
  *first = word0;
  *second = word1;
}

void PackShifted(const float* x, int64_t rows, int channels, const float* shift, uint32_t* out,
                 int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, x += channels, out += stride) {
    std::memset(out, 0, stride * sizeof(uint32_t));
    for (int64_t c = 0; c < channels; c += kLanes) {
      const __m256i mask = LaneMask(channels - c);
      const __m256 above = AtLeast(_mm256_maskload_ps(x + c, mask), _mm256_load_ps(shift + c));
      out[c / kWordBits] |= (Bits(above) & Bits(_mm256_castsi256_ps(mask))) << (c % kWordBits);
    }
  }
}

void Split(const float* x, int64_t count, const float* shift0, const float* shift1,
           uint32_t* first, uint32_t* second, float* sums) {
  __m256 sum[kGroups];
  for (int g = 0; g < kGroups; ++g) sum[g] = _mm256_load_ps(sums + g * kLanes);
  for (int64_t i = 0; i < count; i += kWordBits) {
    SplitWord(x + i, count - i, shift0 + i, shift1 + i, first + i / kWordBits,
              second + i / kWordBits, sum);
  }
  for (int g = 0; g < kGroups; ++g) _mm256_store_ps(sums + g * kLanes, sum[g]);
}

void SplitOverTime(const float* x, int64_t frames, int channels, const float* shift0,
                   const float* shift1, uint32_t* first, uint32_t* second, int64_t stride,
                   float* sums) {
  for (int64_t t = 0; t < frames; ++t) {
    for (int64_t w = WordsFor(channels); w < stride; ++w) {
      first[t * stride + w] = second[t * stride + w] = 0;
    }
  }
  for (int64_t c = 0; c < channels; c += kWordBits) {
    __m256 sum[kGroups];
    for (int g = 0; g < kGroups; ++g) sum[g] = _mm256_load_ps(sums + c + g * kLanes);
    for (int64_t t = 0; t < frames; ++t) {
      const int64_t at = t * stride + c / kWordBits;
      SplitWord(x + t * channels + c, channels - c, shift0 + c, shift1 + c, first + at,
                second + at, sum);
    }
    for (int g = 0; g < kGroups; ++g) _mm256_store_ps(sums + c + g * kLanes, sum[g]);
  }
}

void SplitLevels(const float* x, int64_t rows, int channels, const float* low,
                 const float* middle, const float* high, uint32_t* first, uint32_t* second,
                 int64_t stride) {
  ClearTails(first, rows, channels, stride);
  ClearTails(second, rows, channels, stride);
  for (int64_t r = 0; r < rows; ++r, x += channels, first += stride, second += stride) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const __m256i mask = LaneMask(channels - c);
      const unsigned lanes = Bits(_mm256_castsi256_ps(mask));
      const __m256 value = _mm256_maskload_ps(x + c, mask);
      const __m256 above = AtLeast(value, _mm256_load_ps(middle + c));
      const __m256 limit =
          _mm256_blendv_ps(_mm256_load_ps(low + c), _mm256_load_ps(high + c), above);
      StoreByte(first, c, Bits(above) & lanes);
      StoreByte(second, c, Bits(AtLeast(value, limit)) & lanes);
    }
  }
}

// Finishes value(row, index, mask), 8 sums at a time.
template <typename Value>
BIFSMN_INLINE void Ends(const Value& value, int64_t rows, int outputs, const FloatEnd& end,
                        const float* residual, float* out, uint32_t* signs, int64_t stride) {
  if (signs != nullptr) std::memset(signs, 0, rows * stride * sizeof(uint32_t));
  const __m256 slope = _mm256_set1_ps(end.slope);
  for (int64_t n = 0; n < outputs; n += kLanes) {
    const __m256i mask = LaneMask(outputs - n);
    const __m256 multiplier = _mm256_load_ps(end.multiplier + n);
    const __m256 bias = _mm256_load_ps(end.bias + n);
    const __m256 threshold = ThresholdsAt(end.sign_threshold, n);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t at = r * outputs + n;
      __m256 add = _mm256_setzero_ps();
      if (residual != nullptr) add = _mm256_maskload_ps(residual + at, mask);
      __m256 v = _mm256_add_ps(_mm256_mul_ps(value(r, at, mask), multiplier), bias);
      if (residual != nullptr && end.residual_first) v = _mm256_add_ps(v, add);
      // A slope of 1 changes nothing, so it needs no branch.
      v = _mm256_blendv_ps(_mm256_mul_ps(v, slope), v, AtLeast(v, _mm256_setzero_ps()));
      if (residual != nullptr && !end.residual_first) v = _mm256_add_ps(v, add);
      _mm256_maskstore_ps(out + at, mask, v);
      if (signs != nullptr) {
        const unsigned bits =
            Bits(AtLeast(v, threshold)) & Bits(_mm256_castsi256_ps(mask));
        signs[r * stride + n / kWordBits] |= bits << (n % kWordBits);
      }
    }
  }
}

void DualDotsToFloat(const int32_t* first, const int32_t* second, const float* scale,
                     int64_t rows, int outputs, const FloatEnd& end, const float* residual,
                     float* out, uint32_t* signs, int64_t stride) {
  const auto sum = [&](int64_t row, int64_t at, __m256i mask) __attribute__((always_inline)) {
    const __m256 a = _mm256_cvtepi32_ps(_mm256_maskload_epi32(first + at, mask));
    const __m256 b = _mm256_cvtepi32_ps(_mm256_maskload_epi32(second + at, mask));
    return _mm256_add_ps(a, _mm256_mul_ps(_mm256_set1_ps(scale[row]), b));
  };
  Ends(sum, rows, outputs, end, residual, out, signs, stride);
}

void DotsToLevels(const int32_t* first, const int32_t* second, int64_t rows, int outputs,
                  const LevelsEnd& end, uint32_t* out_first, uint32_t* out_second,
                  int64_t stride) {
  ClearTails(out_first, rows, outputs, stride);
  ClearTails(out_second, rows, outputs, stride);
  for (int64_t n = 0; n < outputs; n += kLanes) {
    const __m256i mask = LaneMask(outputs - n);
    const unsigned lanes = Bits(_mm256_castsi256_ps(mask));
    __m256i from[3], to[3];
    for (int i = 0; i < 3; ++i) {
      from[i] = LoadInts(end.threshold[i] + n), to[i] = LoadInts(end.reverse[i] + n);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const __m256i a = _mm256_maskload_epi32(first + r * outputs + n, mask);
      const __m256i b = _mm256_maskload_epi32(second + r * outputs + n, mask);
      const __m256i d = _mm256_add_epi32(_mm256_add_epi32(a, a), b);
      unsigned is[3];
      for (int i = 0; i < 3; ++i) {
        const __m256i no = _mm256_and_si256(_mm256_cmpgt_epi32(from[i], d),
                                            _mm256_cmpgt_epi32(d, to[i]));
        is[i] = ~Bits(_mm256_castsi256_ps(no));
      }
      StoreByte(out_first + r * stride, n, is[1] & lanes);
      StoreByte(out_second + r * stride, n, ((is[1] & is[2]) | (~is[1] & is[0])) & lanes);
    }
  }
}

void ValuesToFloat(const float* values, int64_t rows, int outputs, const FloatEnd& end,
                   const float* residual, float* out, uint32_t* signs, int64_t stride) {
  const auto value = [&](int64_t, int64_t at, __m256i mask) __attribute__((always_inline)) {
    return _mm256_maskload_ps(values + at, mask);
  };
  Ends(value, rows, outputs, end, residual, out, signs, stride);
}

}  // namespace
}  // namespace avx2

const DualKernels& Avx2Dual() {
  static const DualKernels kernels = {avx2::PackShifted, avx2::Split, avx2::SplitOverTime,
                                      avx2::SplitLevels, avx2::DualDotsToFloat,
                                      avx2::DotsToLevels, avx2::ValuesToFloat};
  return kernels;
}

}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
