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

// What the AVX2 kernels share. A pragma instead of compiler flags: see avx512_common.h. Include
// this header last.

#ifndef BIFSMN_KERNELS_AVX2_COMMON_H_
#define BIFSMN_KERNELS_AVX2_COMMON_H_

#include <immintrin.h>

#include <cstdint>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/path.h"

namespace bifsmn {
namespace avx2 {

// The network's real-valued ends.
void FloatConv(const float* x, const FloatConvShape& shape, const float* weights,
               const FloatConvEnd& end, float* out, uint32_t* signs, int64_t stride);
void FloatMatvec(const float* x, const float* w, const float* bias, int64_t outputs,
                 int64_t inputs, float* y);

}  // namespace avx2
}  // namespace bifsmn

#pragma GCC push_options
#pragma GCC target("avx2,popcnt")

namespace bifsmn {
namespace avx2 {

#define BIFSMN_INLINE inline __attribute__((always_inline))

constexpr int kLanes = 8;

// All ones in the first `count` lanes.
BIFSMN_INLINE __m256i LaneMask(int64_t count) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count < kLanes ? static_cast<int>(count) : kLanes),
                            lane);
}

// Eight lanes, or those of the mask: AMD's processors take many times longer for a store by mask.
BIFSMN_INLINE __m256 LoadLanes(const float* x, bool full, __m256i mask) {
  return full ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, mask);
}
BIFSMN_INLINE void StoreLanes(float* x, bool full, __m256i mask, __m256 v) {
  if (full) {
    _mm256_storeu_ps(x, v);
  } else {
    _mm256_maskstore_ps(x, mask, v);
  }
}

// What the signs of the outputs n .. n + 7 are compared with.
BIFSMN_INLINE __m256 ThresholdsAt(const float* sign_threshold, int64_t n) {
  return sign_threshold == nullptr ? _mm256_setzero_ps() : _mm256_load_ps(sign_threshold + n);
}

// Writes the bits of the outputs n .. n + 7 of a packed row. Blocks come in ascending order: the
// first byte of a word clears the others.
BIFSMN_INLINE void StoreByte(uint32_t* row, int64_t n, unsigned bits) {
  if (n % kWordBits == 0) {
    row[n / kWordBits] = bits;
  } else {
    row[n / kWordBits] |= bits << (n % kWordBits);
  }
}

inline void ClearTails(uint32_t* rows, int64_t count, int outputs, int64_t stride) {
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t w = WordsFor(outputs); w < stride; ++w) rows[r * stride + w] = 0;
  }
}

}  // namespace avx2
}  // namespace bifsmn

#pragma GCC pop_options

#endif  // BIFSMN_KERNELS_AVX2_COMMON_H_
