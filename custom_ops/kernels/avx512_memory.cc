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

// Memory filter and packing with AVX-512. Tile: one frame x 128 channels, then 16 at a time.
//
//   for every 128 channels, for every frame:
//     plane[0 .. 3) = 0                                  bit planes of the counts, one xmm each
//     for every two taps d, e inside the clip (agreeing bits, XNOR as one ternary operation):
//       carry = majority(plane[0], d, e);  plane[0] ^= d ^ e
//       higher planes: half adders
//     for every 16 channels: dot = -valid + 2 plane[0] + 4 plane[1] + 8 plane[2]
//       by masked additions, a plane's 16 bits being the mask; epilogue
//
// Why so: the adders work on 128 channels at once and need no popcount; a mask register turns
// bits into lanes for nothing. Five taps cost 5 XNOR and 12 adder operations per 128 channels; the
// rest is epilogue. Up to 7 taps need 3 planes; any number runs with 15.

#if defined(__x86_64__)

#include <algorithm>
#include <cstring>

#include "custom_ops/kernels/avx512_path.h"
#include "custom_ops/kernels/path_x86.h"
#include "custom_ops/kernels/avx512_common.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,popcnt")

namespace bifsmn {
namespace avx512 {
namespace {

constexpr int kGroup = 128;
constexpr int kMaxPlanes = 15;

// a XOR b XOR c; the majority; NOT (a XOR b).
BIFSMN_INLINE __m128i Xor3(__m128i a, __m128i b, __m128i c) {
  return _mm_ternarylogic_epi32(a, b, c, 0x96);
}
BIFSMN_INLINE __m128i Majority(__m128i a, __m128i b, __m128i c) {
  return _mm_ternarylogic_epi32(a, b, c, 0xe8);
}
BIFSMN_INLINE __m128i Agree(const uint32_t* a, const uint32_t* b) {
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
  const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
  return _mm_ternarylogic_epi32(x, y, y, 0xc3);
}

template <int kPlanes, typename End>
BIFSMN_INLINE void Filter(const uint32_t* x, int64_t x_stride, int64_t frames,
                          const MemoryWeights& w, const End& end) {
  const int taps = static_cast<int>(w.offsets.size());
  const int64_t* offsets = w.offsets.data();
  int begin = taps, last = taps;
  for (int64_t t = 0; t < frames; ++t) {
    // Offsets ascend: the taps inside the clip are neighbours, and both ends only move back.
    while (begin > 0 && t + offsets[begin - 1] >= 0) --begin;
    while (last > 0 && t + offsets[last - 1] >= frames) --last;
    const int first = std::min(begin, last);
    const __m512i base = _mm512_set1_epi32(first - last);
    for (int64_t g = 0; g < w.outputs; g += kGroup) {
      const uint32_t* frame = x + t * x_stride + g / 32;
      const uint32_t* signs = w.signs.data() + g / 32;
      __m128i plane[kPlanes] = {};
      int i = first;
      for (; i < last; i += 2) {
        const __m128i d = Agree(frame + offsets[i] * x_stride, signs + i * w.stride);
        __m128i e = _mm_setzero_si128();
        if (i + 1 < last) e = Agree(frame + offsets[i + 1] * x_stride, signs + (i + 1) * w.stride);
        __m128i carry = Majority(plane[0], d, e);
        plane[0] = Xor3(plane[0], d, e);
#pragma GCC unroll 15
        for (int p = 1; p < kPlanes; ++p) {
          const __m128i next = _mm_and_si128(plane[p], carry);
          plane[p] = _mm_xor_si128(plane[p], carry);
          carry = next;
        }
      }
      alignas(16) uint16_t masks[kPlanes][kGroup / kLanes];
#pragma GCC unroll 15
      for (int p = 0; p < kPlanes; ++p) {
        _mm_store_si128(reinterpret_cast<__m128i*>(masks[p]), plane[p]);
      }
      const int64_t left = std::min<int64_t>(w.outputs - g, kGroup);
      for (int64_t c = 0; c < left; c += kLanes) {
        __m512i dots = base;
#pragma GCC unroll 15
        for (int p = 0; p < kPlanes; ++p) {
          dots = _mm512_mask_add_epi32(dots, masks[p][c / kLanes], dots,
                                       _mm512_set1_epi32(2 << p));
        }
        end(t, g + c, dots);
      }
    }
  }
}

template <int kPlanes>
struct MemoryFloats {
  template <Residual kResidual, bool kSigns>
  static void Do(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                 const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                 int64_t stride) {
    if (kSigns) ClearTails(signs, frames, w.outputs, stride);
    Filter<kPlanes>(x, x_stride, frames, w, [&](int64_t t, int64_t n, __m512i dots)
                                                __attribute__((always_inline)) {
      const int64_t at = t * w.outputs + n;
      uint16_t half = 0;
      FinishAndStore<kResidual, kSigns>(
          Lanes(end, n), dots, LaneMask(w.outputs - n),
          kResidual == Residual::kNone ? nullptr : residual + at, out + at, &half);
      if (kSigns) StoreHalf(signs + t * stride, n, half);
    });
  }
};

template <int kPlanes>
void Bits(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
          const int16_t* threshold, uint32_t* out, int64_t stride) {
  ClearTails(out, frames, w.outputs, stride);
  Filter<kPlanes>(x, x_stride, frames, w, [&](int64_t t, int64_t n, __m512i dots)
                                              __attribute__((always_inline)) {
    const __m512i least = _mm512_cvtepi16_epi32(
        _mm256_load_si256(reinterpret_cast<const __m256i*>(threshold + n)));
    const uint16_t half = _mm512_cmpge_epi32_mask(dots, least) & LaneMask(w.outputs - n);
    StoreHalf(out + t * stride, n, half);
  });
}

}  // namespace

void Pack(const float* x, int64_t rows, int channels, uint32_t* out, int64_t stride) {
  ClearTails(out, rows, channels, stride);
  for (int64_t r = 0; r < rows; ++r, x += channels, out += stride) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const __mmask16 mask = LaneMask(channels - c);
      const uint16_t half = Signs(_mm512_maskz_loadu_ps(mask, x + c)) & mask;
      StoreHalf(out, c, half);
    }
  }
}

void MemoryToFloat(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                   const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                   int64_t stride) {
  if (w.planes <= 3) {
    ChooseEnd<MemoryFloats<3>>(residual != nullptr, end.residual_first, signs != nullptr, x,
                               x_stride, frames, w, end, residual, out, signs, stride);
  } else {
    ChooseEnd<MemoryFloats<kMaxPlanes>>(residual != nullptr, end.residual_first, signs != nullptr,
                                        x, x_stride, frames, w, end, residual, out, signs, stride);
  }
}

void MemoryToBits(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                  const int16_t* threshold, uint32_t* out, int64_t stride) {
  if (w.planes <= 3) {
    Bits<3>(x, x_stride, frames, w, threshold, out, stride);
  } else {
    Bits<kMaxPlanes>(x, x_stride, frames, w, threshold, out, stride);
  }
}

}  // namespace avx512

const KernelPath& Avx512Path() {
  static const KernelPath path = {
      "avx512_vpopcntdq",   avx512::Pack,         avx512::DensePrepare,
      avx512::DenseDots,    avx512::DenseToBits,  avx512::DenseToFloat,
      avx512::DotsToFloat,  avx512::MemoryToFloat, avx512::MemoryToBits,
      avx512::FloatConv,    avx512::FloatMatvec,  Avx512Dual(),
      nullptr,              LogMelAvx2,
  };
  return path;
}

}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
