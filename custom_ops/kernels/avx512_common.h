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

// What the AVX-512 kernels share: the float epilogue of 16 outputs, and their signs.
//
// A pragma instead of compiler flags: inline functions of other headers stay free of instructions
// that the linker might otherwise spread to processors without them. Include this header last.

#ifndef BIFSMN_KERNELS_AVX512_COMMON_H_
#define BIFSMN_KERNELS_AVX512_COMMON_H_

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/path.h"

// GCC 12 takes the undefined operands inside its own intrinsics for a mistake.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,popcnt")

namespace bifsmn {
namespace avx512 {

#define BIFSMN_INLINE inline __attribute__((always_inline))

constexpr int kLanes = 16;

enum class Residual { kNone, kFirst, kLast };

// The first `count` lanes.
BIFSMN_INLINE __mmask16 LaneMask(int64_t count) {
  return count >= kLanes ? 0xffff : static_cast<__mmask16>((1u << count) - 1);
}

// x >= 0 by the bits of x, whether or not the thread takes subnormal numbers for zeros.
BIFSMN_INLINE __mmask16 Signs(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x);
  return _mm512_cmple_epu32_mask(bits, _mm512_set1_epi32(0x7f800000)) |
         _mm512_cmpeq_epi32_mask(bits, _mm512_set1_epi32(INT32_MIN));
}

// What the signs of the outputs n .. n + 15 are compared with.
BIFSMN_INLINE __m512 ThresholdsAt(const float* sign_threshold, int64_t n) {
  return sign_threshold == nullptr ? _mm512_setzero_ps() : _mm512_load_ps(sign_threshold + n);
}

// The epilogue of the outputs n .. n + 15.
struct Lanes {
  BIFSMN_INLINE Lanes(const FloatEnd& end, int64_t n)
      : multiplier(_mm512_load_ps(end.multiplier + n)),
        bias(_mm512_load_ps(end.bias + n)),
        slope(_mm512_set1_ps(end.slope)),
        threshold(ThresholdsAt(end.sign_threshold, n)),
        zero_threshold(end.sign_threshold == nullptr) {}

  // A slope of 1 changes nothing, so it needs no branch.
  template <Residual kResidual>
  BIFSMN_INLINE __m512 Finish(__m512i dots, __m512 residual) const {
    return Finish<kResidual>(_mm512_cvtepi32_ps(dots), residual);
  }

  template <Residual kResidual>
  BIFSMN_INLINE __m512 Finish(__m512 v, __m512 residual) const {
    v = _mm512_mul_ps(v, multiplier);
    v = _mm512_add_ps(v, bias);
    if (kResidual == Residual::kFirst) v = _mm512_add_ps(v, residual);
    const __mmask16 below = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NGE_UQ);
    v = _mm512_mask_mul_ps(v, below, v, slope);
    if (kResidual == Residual::kLast) v = _mm512_add_ps(v, residual);
    return v;
  }

  BIFSMN_INLINE __mmask16 SignsOf(__m512 v) const {
    return zero_threshold ? Signs(v) : _mm512_cmp_ps_mask(v, threshold, _CMP_GE_OQ);
  }

  __m512 multiplier, bias, slope, threshold;
  bool zero_threshold;
};

// Finishes 16 dots and stores floats and signs; the pointers are to the first of the outputs.
template <Residual kResidual, bool kSigns, typename Dots>
BIFSMN_INLINE void FinishAndStore(const Lanes& lanes, Dots dots, __mmask16 mask,
                                  const float* residual, float* out, uint16_t* signs) {
  __m512 add = _mm512_setzero_ps();
  if (kResidual != Residual::kNone) add = _mm512_maskz_loadu_ps(mask, residual);
  const __m512 v = lanes.Finish<kResidual>(dots, add);
  _mm512_mask_storeu_ps(out, mask, v);
  if (kSigns) *signs = static_cast<uint16_t>(lanes.SignsOf(v) & mask);
}

// Writes the bits of the outputs n .. n + 15 of a packed row. Blocks come in ascending order: the
// first half of a word clears the second.
BIFSMN_INLINE void StoreHalf(uint32_t* row, int64_t n, uint16_t half) {
  if (n % 32 == 0) {
    row[n / 32] = half;
  } else {
    std::memcpy(reinterpret_cast<char*>(row) + n / 8, &half, sizeof(half));
  }
}

// Clears the words of packed rows behind the outputs.
BIFSMN_INLINE void ClearTails(uint32_t* rows, int64_t count, int outputs, int64_t stride) {
  const int64_t words = WordsFor(outputs);
  if (words == stride) return;
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t w = words; w < stride; ++w) rows[r * stride + w] = 0;
  }
}

// Calls run(kResidual, kSigns) as template arguments of `Run::Do`.
template <typename Run, typename... Args>
BIFSMN_INLINE void ChooseEnd(bool residual, bool first, bool signs, const Args&... args) {
  if (!residual) {
    signs ? Run::template Do<Residual::kNone, true>(args...)
          : Run::template Do<Residual::kNone, false>(args...);
  } else if (first) {
    signs ? Run::template Do<Residual::kFirst, true>(args...)
          : Run::template Do<Residual::kFirst, false>(args...);
  } else {
    signs ? Run::template Do<Residual::kLast, true>(args...)
          : Run::template Do<Residual::kLast, false>(args...);
  }
}

}  // namespace avx512
}  // namespace bifsmn

#pragma GCC pop_options

#endif  // BIFSMN_KERNELS_AVX512_COMMON_H_
