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

// Binary matrix product with AVX-512 VPOPCNTDQ. Tile: 16 outputs x any number of rows, all of K.
//
//   for every 16 outputs:
//     w[0 .. K/32) = their weights, one 32-bit word of K of all outputs per register
//     for every row:
//       count = sum over k of popcount(w[k] ^ broadcast(row[k]))
//       epilogue of 16 outputs
//
//   registers, K = 128 / 256 / 400 / 512: weights zmm 4 / 8 / 13 / 16, two counters, multiplier,
//   bias, slope, threshold, two constants of the sign test, temporaries.
//
// Why so: a lane is an output, so no sum ever crosses lanes, a count leaves the loop ready for a
// compare with a limit (a mask of 16 finished bits) or a conversion to float. Weights stay in
// registers, so each is loaded once for all rows; the broadcast of an activation word is part of
// the XOR's memory operand. 3 operations per 512 bits. Longer reductions walk over K with four
// rows at a time, each weight register serving four XORs.

#if defined(__x86_64__)

#include <cstring>

#include "custom_ops/kernels/path.h"
#include "custom_ops/kernels/avx512_path.h"
#include "custom_ops/kernels/avx512_common.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,popcnt")

namespace bifsmn {
namespace avx512 {
namespace {

// data[outputs / 16][a_stride][16] 32-bit words.
BIFSMN_INLINE const __m512i* BlockOf(const DenseWeights& w, int64_t n) {
  return reinterpret_cast<const __m512i*>(w.data.data()) + n / kLanes * w.a_stride;
}

BIFSMN_INLINE __m512i Differing(__m512i w, const uint32_t* a) {
  return _mm512_popcnt_epi32(_mm512_xor_si512(w, _mm512_set1_epi32(static_cast<int>(*a))));
}

// Counts of differing bits of 16 outputs for every row, to row(r, counts).
template <int kWords, typename Row>
BIFSMN_INLINE void CountRows(const uint32_t* a, int64_t rows, const DenseWeights& weights,
                             int64_t n, const Row& row) {
  const __m512i* block = BlockOf(weights, n);
  const int64_t stride = weights.a_stride;
  if (kWords > 0) {
    constexpr int kCount = kWords > 0 ? kWords : 1;
    __m512i w[kCount];
#pragma GCC unroll 16
    for (int k = 0; k < kWords; ++k) w[k] = _mm512_load_si512(block + k);
    for (int64_t r = 0; r < rows; ++r, a += stride) {
      __m512i even = Differing(w[0], a);
      __m512i odd = _mm512_setzero_si512();
#pragma GCC unroll 16
      for (int k = 1; k < kWords; ++k) {
        __m512i& sum = k % 2 == 0 ? even : odd;
        sum = _mm512_add_epi32(sum, Differing(w[k], a + k));
      }
      row(r, _mm512_add_epi32(even, odd));
    }
    return;
  }
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, a += 4 * stride) {
    __m512i sum[4] = {};
    for (int64_t k = 0; k < weights.words; ++k) {
      const __m512i w = _mm512_load_si512(block + k);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        sum[i] = _mm512_add_epi32(sum[i], Differing(w, a + i * stride + k));
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) row(r + i, sum[i]);
  }
  for (; r < rows; ++r, a += stride) {
    __m512i sum = _mm512_setzero_si512();
    for (int64_t k = 0; k < weights.words; ++k) {
      sum = _mm512_add_epi32(sum, Differing(_mm512_load_si512(block + k), a + k));
    }
    row(r, sum);
  }
}

BIFSMN_INLINE __m512i ToDots(__m512i reduction, __m512i counts) {
  return _mm512_sub_epi32(reduction, _mm512_add_epi32(counts, counts));
}

template <int kWords>
struct Kernels {
  static void Dots(const uint32_t* a, int64_t rows, const DenseWeights& w, int32_t* dots) {
    const __m512i reduction = _mm512_set1_epi32(w.reduction);
    for (int64_t n = 0; n < w.outputs; n += kLanes) {
      const __mmask16 mask = LaneMask(w.outputs - n);
      CountRows<kWords>(a, rows, w, n, [&](int64_t r, __m512i counts)
                                           __attribute__((always_inline)) {
        _mm512_mask_storeu_epi32(dots + r * w.outputs + n, mask, ToDots(reduction, counts));
      });
    }
  }

  static void ToBits(const uint32_t* a, int64_t rows, const DenseWeights& w, const BitsEnd& end,
                     uint32_t* out, int64_t stride) {
    ClearTails(out, rows, w.outputs, stride);
    for (int64_t n = 0; n < w.outputs; n += kLanes) {
      const __m512i limit = _mm512_cvtepi16_epi32(
          _mm256_load_si256(reinterpret_cast<const __m256i*>(end.limit + n)));
      CountRows<kWords>(a, rows, w, n, [&](int64_t r, __m512i counts)
                                           __attribute__((always_inline)) {
        StoreHalf(out + r * stride, n, _mm512_cmple_epi32_mask(counts, limit));
      });
    }
  }

  template <Residual kResidual, bool kSigns>
  static void Do(const uint32_t* a, int64_t rows, const DenseWeights& w, const FloatEnd& end,
                 const float* residual, float* out, uint32_t* signs, int64_t stride) {
    const __m512i reduction = _mm512_set1_epi32(w.reduction);
    if (kSigns) ClearTails(signs, rows, w.outputs, stride);
    for (int64_t n = 0; n < w.outputs; n += kLanes) {
      const __mmask16 mask = LaneMask(w.outputs - n);
      const Lanes lanes(end, n);
      CountRows<kWords>(a, rows, w, n, [&](int64_t r, __m512i counts)
                                           __attribute__((always_inline)) {
        uint16_t half = 0;
        FinishAndStore<kResidual, kSigns>(
            lanes, ToDots(reduction, counts), mask,
            kResidual == Residual::kNone ? nullptr : residual + r * w.outputs + n,
            out + r * w.outputs + n, &half);
        if (kSigns) StoreHalf(signs + r * stride, n, half);
      });
    }
  }
};

struct EndOfDots {
  template <Residual kResidual, bool kSigns>
  static void Do(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                 const float* residual, float* out, uint32_t* signs, int64_t stride) {
    if (kSigns) ClearTails(signs, rows, outputs, stride);
    for (int64_t n = 0; n < outputs; n += kLanes) {
      const __mmask16 mask = LaneMask(outputs - n);
      const Lanes lanes(end, n);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * outputs + n;
        uint16_t half = 0;
        FinishAndStore<kResidual, kSigns>(
            lanes, _mm512_maskz_loadu_epi32(mask, dots + at), mask,
            kResidual == Residual::kNone ? nullptr : residual + at, out + at, &half);
        if (kSigns) StoreHalf(signs + r * stride, n, half);
      }
    }
  }
};

// The kernels for a number of words; those in between run as the next larger one.
#define BIFSMN_BY_WORDS(words, call)                 \
  do {                                               \
    if ((words) <= 4) {                              \
      call(4);                                       \
    } else if ((words) <= 8) {                       \
      call(8);                                       \
    } else if ((words) <= 12) {                      \
      call(12);                                      \
    } else if ((words) == 13) {                      \
      call(13);                                      \
    } else if ((words) <= 16) {                      \
      call(16);                                      \
    } else {                                         \
      call(0);                                       \
    }                                                \
  } while (false)

}  // namespace

void DensePrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w) {
  w->outputs = outputs;
  w->reduction = reduction;
  w->words = static_cast<int>(WordsFor(reduction));
  w->a_stride = PaddedWords(reduction);
  const int64_t blocks = (int64_t{outputs} + kLanes - 1) / kLanes;
  w->data.Assign(blocks * w->a_stride * 64);
  for (int64_t n = 0; n < outputs; ++n) {
    uint8_t* block = w->data.data() + (n / kLanes * w->a_stride * kLanes + n % kLanes) * 4;
    for (int64_t k = 0; k < w->words; ++k) {
      std::memcpy(block + k * 64, weights + n * w->words + k, 4);
    }
  }
}

void DenseDots(const uint32_t* a, int64_t rows, const DenseWeights& w, int32_t* dots) {
#define BIFSMN_CALL(k) Kernels<k>::Dots(a, rows, w, dots)
  BIFSMN_BY_WORDS(w.words, BIFSMN_CALL);
#undef BIFSMN_CALL
}

void DenseToBits(const uint32_t* a, int64_t rows, const DenseWeights& w, const BitsEnd& end,
                 uint32_t* out, int64_t stride) {
#define BIFSMN_CALL(k) Kernels<k>::ToBits(a, rows, w, end, out, stride)
  BIFSMN_BY_WORDS(w.words, BIFSMN_CALL);
#undef BIFSMN_CALL
}

void DenseToFloat(const uint32_t* a, int64_t rows, const DenseWeights& w, const FloatEnd& end,
                  const float* residual, float* out, uint32_t* signs, int64_t stride) {
#define BIFSMN_CALL(k)                                                                         \
  ChooseEnd<Kernels<k>>(residual != nullptr, end.residual_first, signs != nullptr, a, rows, w, \
                        end, residual, out, signs, stride)
  BIFSMN_BY_WORDS(w.words, BIFSMN_CALL);
#undef BIFSMN_CALL
}

void DotsToFloat(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                 const float* residual, float* out, uint32_t* signs, int64_t stride) {
  ChooseEnd<EndOfDots>(residual != nullptr, end.residual_first, signs != nullptr, dots, rows,
                       outputs, end, residual, out, signs, stride);
}

}  // namespace avx512
}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
