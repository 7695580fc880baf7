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

// The binary kernels of AVX2 processors. Tile: 8 outputs x any number of rows, all of K.
//
//   for every 8 outputs, for every row:
//     for every 32-bit word k of K:
//       x = w[k] ^ broadcast(row[k])                        8 outputs, one word of each
//       bytes += table[x & 15] + table[x >> 4 & 15]         VPSHUFB as popcount of half bytes
//     every 28 words at the latest, before a byte overflows: counts += sums of four bytes
//     epilogue of 8 outputs
//
//   registers: bytes, counts, table, mask of half bytes, multiplier, bias, slope, limit or
//   threshold, the rest temporaries; weights come from the first-level cache.
//
// Why so: there is no vector popcount before AVX-512, and the table makes one in 7 operations per
// 256 bits. A lane is an output, so no sum crosses lanes but the one of four bytes per 28 words.
// The memory filter's counts stand upright in bit planes of 32 channels; a plane's bits become
// lanes by a broadcast and a compare. One file: the pieces are short and share their epilogue.

#if defined(__x86_64__)

#include <cstring>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/path_x86.h"
#include "custom_ops/kernels/avx2_common.h"

#pragma GCC push_options
#pragma GCC target("avx2,popcnt")

namespace bifsmn {
namespace avx2 {
namespace {

constexpr int kMaxPlanes = 15;

// x >= 0 by the bits of x, whether or not the thread takes subnormal numbers for zeros: the sign is
// clear and x no NaN, or x is -0.
BIFSMN_INLINE unsigned Signs(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i minus_zero = _mm256_cmpeq_epi32(bits, _mm256_set1_epi32(INT32_MIN));
  const __m256i negative = _mm256_cmpgt_epi32(_mm256_setzero_si256(), bits);
  const __m256i nan = _mm256_cmpgt_epi32(bits, _mm256_set1_epi32(0x7f800000));
  const __m256i no = _mm256_andnot_si256(minus_zero, _mm256_or_si256(negative, nan));
  return ~static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(no))) & 0xff;
}

// The float epilogue of the outputs n .. n + 7 for many rows.
struct FloatRows {
  BIFSMN_INLINE FloatRows(const FloatEnd& end, int outputs, int64_t n, const float* residual,
                          float* out, uint32_t* signs, int64_t stride)
      : multiplier(_mm256_load_ps(end.multiplier + n)),
        bias(_mm256_load_ps(end.bias + n)),
        slope(_mm256_set1_ps(end.slope)),
        threshold(ThresholdsAt(end.sign_threshold, n)),
        zero_threshold(end.sign_threshold == nullptr),
        mask(LaneMask(outputs - n)),
        lane_bits(static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(mask)))),
        full(outputs - n >= kLanes),
        residual_first(end.residual_first),
        outputs(outputs),
        n(n),
        residual(residual),
        out(out),
        signs(signs),
        stride(stride) {}

  BIFSMN_INLINE void operator()(int64_t row, __m256i dots) const {
    const int64_t at = row * outputs + n;
    __m256 add = _mm256_setzero_ps();
    if (residual != nullptr) add = LoadLanes(residual + at, full, mask);
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(dots), multiplier);
    v = _mm256_add_ps(v, bias);
    if (residual != nullptr && residual_first) v = _mm256_add_ps(v, add);
    // A slope of 1 changes nothing, so it needs no branch.
    const __m256 keep = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GE_OQ);
    v = _mm256_blendv_ps(_mm256_mul_ps(v, slope), v, keep);
    if (residual != nullptr && !residual_first) v = _mm256_add_ps(v, add);
    StoreLanes(out + at, full, mask, v);
    if (signs == nullptr) return;
    const unsigned bits =
        zero_threshold ? Signs(v)
                       : static_cast<unsigned>(
                             _mm256_movemask_ps(_mm256_cmp_ps(v, threshold, _CMP_GE_OQ)));
    StoreByte(signs + row * stride, n, bits & lane_bits);
  }

  __m256 multiplier, bias, slope, threshold;
  bool zero_threshold;
  __m256i mask;
  unsigned lane_bits;
  bool full;
  bool residual_first;
  int64_t outputs, n;
  const float* residual;
  float* out;
  uint32_t* signs;
  int64_t stride;
};

// kCount words of K of 8 outputs: differing bits added to byte counts, at most 8 for each word.
template <int kCount>
BIFSMN_INLINE void Count(const __m256i* w, const uint32_t* a, __m256i* low, __m256i* high) {
  const __m256i half = _mm256_set1_epi8(15);
  const __m256i table =
      _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                       0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
#pragma GCC unroll 4
  for (int k = 0; k < kCount; ++k) {
    const __m256i x = _mm256_xor_si256(_mm256_load_si256(w + k),
                                       _mm256_set1_epi32(static_cast<int>(a[k])));
    *low = _mm256_add_epi8(*low, _mm256_shuffle_epi8(table, _mm256_and_si256(x, half)));
    *high = _mm256_add_epi8(
        *high, _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi32(x, 4), half)));
  }
}

// Byte counts to those of 32 bits.
BIFSMN_INLINE __m256i Widen(__m256i low, __m256i high) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_add_epi8(low, high), _mm256_set1_epi8(1));
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

// Calls row(r, counts of differing bits) for the outputs n .. n + 7. Rows are whole 128-bit words;
// up to two of them, the networks' widths, run without a loop.
template <typename Row>
BIFSMN_INLINE void CountRows(const uint32_t* a, int64_t rows, const DenseWeights& w, int64_t n,
                             const Row& row) {
  constexpr int64_t kFull = 28;  // words; a byte overflows with 32
  const auto* block = reinterpret_cast<const __m256i*>(w.data.data()) + n / kLanes * w.a_stride;
  const __m256i zero = _mm256_setzero_si256();
  if (w.a_stride == 4) {
    for (int64_t r = 0; r < rows; ++r, a += 4) {
      __m256i low = zero, high = zero;
      Count<4>(block, a, &low, &high);
      row(r, Widen(low, high));
    }
  } else if (w.a_stride == 8) {
    for (int64_t r = 0; r < rows; ++r, a += 8) {
      __m256i low = zero, high = zero;
      Count<4>(block, a, &low, &high);
      Count<4>(block + 4, a + 4, &low, &high);
      row(r, Widen(low, high));
    }
  } else {
    for (int64_t r = 0; r < rows; ++r, a += w.a_stride) {
      __m256i counts = zero;
      for (int64_t k = 0; k < w.words;) {
        const int64_t end = w.words - k < kFull ? w.words : k + kFull;
        __m256i low = zero, high = zero;
        for (; k + 4 <= end; k += 4) Count<4>(block + k, a + k, &low, &high);
        for (; k < end; ++k) Count<1>(block + k, a + k, &low, &high);
        counts = _mm256_add_epi32(counts, Widen(low, high));
      }
      row(r, counts);
    }
  }
}

BIFSMN_INLINE __m256i ToDots(int reduction, __m256i counts) {
  return _mm256_sub_epi32(_mm256_set1_epi32(reduction), _mm256_add_epi32(counts, counts));
}

BIFSMN_INLINE __m256i LoadHalves(const int16_t* x) {
  return _mm256_cvtepi16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(x)));
}

void Pack(const float* x, int64_t rows, int channels, uint32_t* out, int64_t stride) {
  ClearTails(out, rows, channels, stride);
  for (int64_t r = 0; r < rows; ++r, x += channels, out += stride) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const __m256i mask = LaneMask(channels - c);
      const unsigned lanes =
          static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(mask)));
      StoreByte(out, c, Signs(_mm256_maskload_ps(x + c, mask)) & lanes);
    }
  }
}

// data[outputs / 8][a_stride][8] 32-bit words.
void DensePrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w) {
  w->outputs = outputs;
  w->reduction = reduction;
  w->words = static_cast<int>(WordsFor(reduction));
  w->a_stride = PaddedWords(reduction);
  const int64_t blocks = (int64_t{outputs} + kLanes - 1) / kLanes;
  w->data.Assign(blocks * w->a_stride * kLanes * 4);
  for (int64_t n = 0; n < outputs; ++n) {
    uint8_t* block = w->data.data() + (n / kLanes * w->a_stride * kLanes + n % kLanes) * 4;
    for (int64_t k = 0; k < w->words; ++k) {
      std::memcpy(block + k * kLanes * 4, weights + n * w->words + k, 4);
    }
  }
}

void DenseDots(const uint32_t* a, int64_t rows, const DenseWeights& w, int32_t* dots) {
  for (int64_t n = 0; n < w.outputs; n += kLanes) {
    const __m256i mask = LaneMask(w.outputs - n);
    CountRows(a, rows, w, n, [&](int64_t r, __m256i counts) __attribute__((always_inline)) {
      StoreLanes(reinterpret_cast<float*>(dots + r * w.outputs + n), w.outputs - n >= kLanes, mask,
                 _mm256_castsi256_ps(ToDots(w.reduction, counts)));
    });
  }
}

void DenseToBits(const uint32_t* a, int64_t rows, const DenseWeights& w, const BitsEnd& end,
                 uint32_t* out, int64_t stride) {
  ClearTails(out, rows, w.outputs, stride);
  for (int64_t n = 0; n < w.outputs; n += kLanes) {
    const __m256i limit = LoadHalves(end.limit + n);
    CountRows(a, rows, w, n, [&](int64_t r, __m256i counts) __attribute__((always_inline)) {
      const __m256i above = _mm256_cmpgt_epi32(counts, limit);
      StoreByte(out + r * stride, n,
                ~static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(above))) & 0xff);
    });
  }
}

void DenseToFloat(const uint32_t* a, int64_t rows, const DenseWeights& w, const FloatEnd& end,
                  const float* residual, float* out, uint32_t* signs, int64_t stride) {
  if (signs != nullptr) ClearTails(signs, rows, w.outputs, stride);
  for (int64_t n = 0; n < w.outputs; n += kLanes) {
    const FloatRows finish(end, w.outputs, n, residual, out, signs, stride);
    CountRows(a, rows, w, n, [&](int64_t r, __m256i counts) __attribute__((always_inline)) {
      finish(r, ToDots(w.reduction, counts));
    });
  }
}

void DotsToFloat(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                 const float* residual, float* out, uint32_t* signs, int64_t stride) {
  if (signs != nullptr) ClearTails(signs, rows, outputs, stride);
  for (int64_t n = 0; n < outputs; n += kLanes) {
    const FloatRows finish(end, outputs, n, residual, out, signs, stride);
    for (int64_t r = 0; r < rows; ++r) {
      const auto* at = reinterpret_cast<const float*>(dots + r * outputs + n);
      finish(r, _mm256_castps_si256(LoadLanes(at, finish.full, finish.mask)));
    }
  }
}

// Calls end(frame, n, dots) for 8 outputs at a time. kPlanes at least as many as w.planes.
template <int kPlanes, typename End>
BIFSMN_INLINE void FilterWith(const uint32_t* x, int64_t x_stride, int64_t frames,
                          const MemoryWeights& w, const End& end) {
  const int taps = static_cast<int>(w.offsets.size());
  const int64_t* offsets = w.offsets.data();
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  int begin = taps, last = taps;
  for (int64_t t = 0; t < frames; ++t) {
    // Offsets ascend: the taps inside the clip are neighbours, and both ends only move back.
    while (begin > 0 && t + offsets[begin - 1] >= 0) --begin;
    while (last > 0 && t + offsets[last - 1] >= frames) --last;
    const int first = begin < last ? begin : last;
    for (int64_t word = 0; word < w.words; ++word) {
      uint32_t plane[kPlanes] = {};
      for (int i = first; i < last; ++i) {
        uint32_t carry =
            ~(x[(t + offsets[i]) * x_stride + word] ^ w.signs[i * w.stride + word]);
#pragma GCC unroll 15
        for (int p = 0; p < kPlanes; ++p) {
          const uint32_t next = plane[p] & carry;
          plane[p] ^= carry;
          carry = next;
        }
      }
      for (int64_t n = word * kWordBits; n < w.outputs && n < (word + 1) * kWordBits;
           n += kLanes) {
        __m256i dots = _mm256_set1_epi32(first - last);
#pragma GCC unroll 15
        for (int p = 0; p < kPlanes; ++p) {
          const __m256i bits =
              _mm256_set1_epi32(static_cast<int>(plane[p] >> (n % kWordBits)));
          const __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(bits, bit), bit);
          dots = _mm256_add_epi32(dots, _mm256_and_si256(set, _mm256_set1_epi32(2 << p)));
        }
        end(t, n, dots);
      }
    }
  }
}

template <typename End>
BIFSMN_INLINE void Filter(const uint32_t* x, int64_t x_stride, int64_t frames,
                          const MemoryWeights& w, const End& end) {
  if (w.planes <= 3) {
    FilterWith<3>(x, x_stride, frames, w, end);
  } else {
    FilterWith<kMaxPlanes>(x, x_stride, frames, w, end);
  }
}

void MemoryToFloat(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                   const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                   int64_t stride) {
  if (signs != nullptr) ClearTails(signs, frames, w.outputs, stride);
  Filter(x, x_stride, frames, w, [&](int64_t t, int64_t n, __m256i dots)
                                     __attribute__((always_inline)) {
    FloatRows(end, w.outputs, n, residual, out, signs, stride)(t, dots);
  });
}

void MemoryToBits(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                  const int16_t* threshold, uint32_t* out, int64_t stride) {
  ClearTails(out, frames, w.outputs, stride);
  Filter(x, x_stride, frames, w, [&](int64_t t, int64_t n, __m256i dots)
                                     __attribute__((always_inline)) {
    const __m256i below = _mm256_cmpgt_epi32(LoadHalves(threshold + n), dots);
    const __m256i yes = _mm256_andnot_si256(below, LaneMask(w.outputs - n));
    StoreByte(out + t * stride, n,
              static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(yes))));
  });
}

}  // namespace
}  // namespace avx2

const KernelPath& Avx2Path() {
  static const KernelPath path = [] {
    KernelPath p = PortablePath();
    p.name = "avx2";
    p.pack = avx2::Pack;
    p.dense_prepare = avx2::DensePrepare;
    p.dense_dots = avx2::DenseDots;
    p.dense_to_bits = avx2::DenseToBits;
    p.dense_to_float = avx2::DenseToFloat;
    p.dots_to_float = avx2::DotsToFloat;
    p.memory_to_float = avx2::MemoryToFloat;
    p.memory_to_bits = avx2::MemoryToBits;
    p.float_conv = avx2::FloatConv;
    p.float_matvec = avx2::FloatMatvec;
    p.dual = Avx2Dual();
    p.log_mel = LogMelAvx2;
    return p;
  }();
  return path;
}

}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
