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

// Bodies of the scalar kernels, compiled once per instruction set. Everything is always inline:
// the instruction set is then that of the function around it.
//
//   for every row, for every block of 32 outputs:
//     four outputs at a time: count[i] += popcount(a ^ w[i]) over the 64-bit words of the row
//     the epilogue of the block, while its counts are in the cache

#ifndef BIFSMN_KERNELS_SCALAR_H_
#define BIFSMN_KERNELS_SCALAR_H_

#include <cstdint>
#include <cstring>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/path.h"

namespace bifsmn {
namespace scalar {

#define BIFSMN_INLINE inline __attribute__((always_inline))

// Enough planes for the largest number of taps.
constexpr int kMaxPlanes = 15;
static_assert((1 << kMaxPlanes) - 1 == kMaxReduction, "planes must hold every count");

BIFSMN_INLINE uint32_t SignWord(const float* x, int count) {
  uint32_t word = 0;
  for (int i = 0; i < count; ++i) word |= IsPositive(x[i]) << i;
  return word;
}

// The same for x >= threshold.
BIFSMN_INLINE uint32_t SignWord(const float* x, const float* threshold, int count) {
  uint32_t word = 0;
  for (int i = 0; i < count; ++i) word |= static_cast<uint32_t>(x[i] >= threshold[i]) << i;
  return word;
}

BIFSMN_INLINE int Least(int64_t a, int64_t b) { return static_cast<int>(a < b ? a : b); }

// Words of a row behind the last output.
BIFSMN_INLINE void ClearTail(uint32_t* row, int outputs, int64_t stride) {
  for (int64_t w = WordsFor(outputs); w < stride; ++w) row[w] = 0;
}

enum class Residual { kNone, kFirst, kLast };

template <Residual kResidual, bool kSlope, typename Dot>
BIFSMN_INLINE void FloatBlockAs(const Dot* dots, int count, const float* multiplier,
                                const float* bias, float slope, const float* residual,
                                float* out) {
  for (int i = 0; i < count; ++i) {
    float v = static_cast<float>(dots[i]) * multiplier[i];
    v = v + bias[i];
    if (kResidual == Residual::kFirst) v = v + residual[i];
    if (kSlope) {
      const float scaled = v * slope;
      v = v >= 0.0f ? v : scaled;
    }
    if (kResidual == Residual::kLast) v = v + residual[i];
    out[i] = v;
  }
}

// Outputs first .. first + count - 1 of one row, at most a block of 32. `residual`, `out` and
// `signs` point to the start of the row.
template <typename Dot>
BIFSMN_INLINE void FloatBlock(const Dot* dots, int first, int count, const FloatEnd& end,
                              const float* residual, float* out, uint32_t* signs) {
  const float* m = end.multiplier + first;
  const float* b = end.bias + first;
  const float* r = residual + (residual == nullptr ? 0 : first);
  float* o = out + first;
  const float slope = end.slope;
  if (residual == nullptr) {
    if (slope == 1.0f) {
      FloatBlockAs<Residual::kNone, false>(dots, count, m, b, slope, r, o);
    } else {
      FloatBlockAs<Residual::kNone, true>(dots, count, m, b, slope, r, o);
    }
  } else if (end.residual_first) {
    if (slope == 1.0f) {
      FloatBlockAs<Residual::kFirst, false>(dots, count, m, b, slope, r, o);
    } else {
      FloatBlockAs<Residual::kFirst, true>(dots, count, m, b, slope, r, o);
    }
  } else if (slope == 1.0f) {
    FloatBlockAs<Residual::kLast, false>(dots, count, m, b, slope, r, o);
  } else {
    FloatBlockAs<Residual::kLast, true>(dots, count, m, b, slope, r, o);
  }
  if (signs == nullptr) return;
  signs[first / kWordBits] = end.sign_threshold == nullptr
                                 ? SignWord(o, count)
                                 : SignWord(o, end.sign_threshold + first, count);
}

BIFSMN_INLINE void Pack(const float* x, int64_t rows, int channels, uint32_t* out,
                        int64_t out_stride) {
  for (int64_t r = 0; r < rows; ++r, x += channels, out += out_stride) {
    for (int c = 0; c < channels; c += kWordBits) {
      out[c / kWordBits] = SignWord(x + c, Least(channels - c, kWordBits));
    }
    ClearTail(out, channels, out_stride);
  }
}

// data: blocks[outputs / 4][a_stride / 2][4] 64-bit words; missing rows are zero.
constexpr int kBlock = 4;

inline void DensePrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w) {
  w->outputs = outputs;
  w->reduction = reduction;
  w->words = static_cast<int>(WordsFor(reduction));
  w->a_stride = PaddedWords(reduction);
  const int64_t pairs = w->a_stride / 2;
  const int64_t groups = (int64_t{outputs} + kEndBlock - 1) / kEndBlock * (kEndBlock / kBlock);
  w->data.Assign(groups * pairs * kBlock * 8);
  for (int64_t n = 0; n < outputs; ++n) {
    uint8_t* block = w->data.data() + (n / kBlock * pairs * kBlock + n % kBlock) * 8;
    for (int p = 0; 2 * p < w->words; ++p) {
      const uint32_t* row = weights + n * w->words + 2 * p;
      const uint64_t pair = 2 * p + 1 < w->words ? LoadPair(row) : row[0];
      std::memcpy(block + int64_t{p} * kBlock * 8, &pair, 8);
    }
  }
}

// Counts of differing bits of 32 outputs. `w` points to their weights.
BIFSMN_INLINE void CountBlock(const uint32_t* a, int64_t pairs, const uint8_t* w, int32_t* counts) {
  for (int n = 0; n < kEndBlock; n += kBlock) {
    int count0 = 0, count1 = 0, count2 = 0, count3 = 0;
    for (int64_t p = 0; p < pairs; ++p, w += kBlock * 8) {
      const uint64_t x = LoadPair(a + 2 * p);
      uint64_t v[kBlock];
      std::memcpy(v, w, sizeof(v));
      count0 += __builtin_popcountll(x ^ v[0]);
      count1 += __builtin_popcountll(x ^ v[1]);
      count2 += __builtin_popcountll(x ^ v[2]);
      count3 += __builtin_popcountll(x ^ v[3]);
    }
    counts[n] = count0;
    counts[n + 1] = count1;
    counts[n + 2] = count2;
    counts[n + 3] = count3;
  }
}

// Calls end(row, first output, number of outputs, counts of differing bits).
template <typename End>
BIFSMN_INLINE void DenseBlocks(const uint32_t* a, int64_t rows, const DenseWeights& w,
                               const End& end) {
  const int64_t pairs = w.a_stride / 2;
  int32_t counts[kEndBlock];
  for (int64_t r = 0; r < rows; ++r, a += w.a_stride) {
    for (int n = 0; n < w.outputs; n += kEndBlock) {
      CountBlock(a, pairs, w.data.data() + n * pairs * 8, counts);
      end(r, n, Least(w.outputs - n, kEndBlock), counts);
    }
  }
}

BIFSMN_INLINE void DenseDots(const uint32_t* a, int64_t rows, const DenseWeights& w,
                             int32_t* dots) {
  DenseBlocks(a, rows, w, [&](int64_t r, int n, int count, const int32_t* counts)
                              __attribute__((always_inline)) {
    for (int i = 0; i < count; ++i) dots[r * w.outputs + n + i] = w.reduction - 2 * counts[i];
  });
}

BIFSMN_INLINE void DenseToBits(const uint32_t* a, int64_t rows, const DenseWeights& w,
                               const BitsEnd& end, uint32_t* out, int64_t out_stride) {
  DenseBlocks(a, rows, w, [&](int64_t r, int n, int count, const int32_t* counts)
                              __attribute__((always_inline)) {
    uint32_t word = 0;
    for (int i = 0; i < count; ++i) {
      word |= static_cast<uint32_t>(counts[i] <= end.limit[n + i]) << i;
    }
    out[r * out_stride + n / kWordBits] = word;
  });
  for (int64_t r = 0; r < rows; ++r) ClearTail(out + r * out_stride, w.outputs, out_stride);
}

BIFSMN_INLINE void DenseToFloat(const uint32_t* a, int64_t rows, const DenseWeights& w,
                                const FloatEnd& end, const float* residual, float* out,
                                uint32_t* signs, int64_t signs_stride) {
  DenseBlocks(a, rows, w, [&](int64_t r, int n, int count, int32_t* counts)
                              __attribute__((always_inline)) {
    for (int i = 0; i < kEndBlock; ++i) counts[i] = w.reduction - 2 * counts[i];
    FloatBlock(counts, n, count, end,
               residual == nullptr ? nullptr : residual + r * w.outputs, out + r * w.outputs,
               signs == nullptr ? nullptr : signs + r * signs_stride);
  });
  if (signs == nullptr) return;
  for (int64_t r = 0; r < rows; ++r) ClearTail(signs + r * signs_stride, w.outputs, signs_stride);
}

BIFSMN_INLINE void DotsToFloat(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                               const float* residual, float* out, uint32_t* signs,
                               int64_t signs_stride) {
  for (int64_t r = 0; r < rows; ++r, dots += outputs, out += outputs) {
    for (int n = 0; n < outputs; n += kEndBlock) {
      FloatBlock(dots + n, n, Least(outputs - n, kEndBlock), end,
                 residual == nullptr ? nullptr : residual + r * outputs, out,
                 signs == nullptr ? nullptr : signs + r * signs_stride);
    }
    if (signs != nullptr) ClearTail(signs + r * signs_stride, outputs, signs_stride);
  }
}

// Taps [begin, end) of frame t that lie inside the clip; offsets ascend, so they are neighbours.
struct TapSpan {
  int begin, end;
};

BIFSMN_INLINE TapSpan TapsInside(const MemoryWeights& w, int64_t t, int64_t frames) {
  const int taps = static_cast<int>(w.offsets.size());
  int begin = 0;
  while (begin < taps && t + w.offsets[begin] < 0) ++begin;
  int end = taps;
  while (end > begin && t + w.offsets[end - 1] >= frames) --end;
  return {begin, end};
}

// Calls end(frame, first output, number of outputs, dots) for 32 channels at a time, by counters
// that stand upright: plane p holds bit p of the counts of all channels of the word. Adding a tap
// is a ripple of half adders,
//
//   carry = agree;  for each plane: (plane, carry) = (plane ^ carry, plane & carry)
//
// so a word of 32 channels costs about two operations per plane that a carry reaches.
template <typename End>
BIFSMN_INLINE void MemoryBlocks(const uint32_t* x, int64_t x_stride, int64_t frames,
                                const MemoryWeights& w, const End& end) {
  for (int64_t t = 0; t < frames; ++t) {
    const TapSpan span = TapsInside(w, t, frames);
    const int32_t valid = span.end - span.begin;
    for (int word = 0; word < w.words; ++word) {
      uint32_t plane[kMaxPlanes] = {};
      for (int i = span.begin; i < span.end; ++i) {
        const uint32_t frame = x[(t + w.offsets[i]) * x_stride + word];
        uint32_t carry = ~(frame ^ w.signs[i * w.stride + word]);
        for (int p = 0; p < w.planes && carry != 0; ++p) {
          const uint32_t next = plane[p] & carry;
          plane[p] ^= carry;
          carry = next;
        }
      }
      int32_t dots[kWordBits];
      for (int c = 0; c < kWordBits; ++c) dots[c] = -valid;
      for (int p = 0; p < w.planes; ++p) {
        for (int c = 0; c < kWordBits; ++c) {
          dots[c] += static_cast<int32_t>((plane[p] >> c) & 1) << (p + 1);
        }
      }
      const int n = word * kWordBits;
      end(t, n, Least(w.outputs - n, kWordBits), dots);
    }
  }
}

BIFSMN_INLINE void MemoryToFloat(const uint32_t* x, int64_t x_stride, int64_t frames,
                                 const MemoryWeights& w, const FloatEnd& end,
                                 const float* residual, float* out, uint32_t* signs,
                                 int64_t signs_stride) {
  MemoryBlocks(x, x_stride, frames, w, [&](int64_t t, int n, int count, const int32_t* dots)
                                           __attribute__((always_inline)) {
    FloatBlock(dots, n, count, end, residual == nullptr ? nullptr : residual + t * w.outputs,
               out + t * w.outputs, signs == nullptr ? nullptr : signs + t * signs_stride);
  });
  if (signs == nullptr) return;
  for (int64_t t = 0; t < frames; ++t) ClearTail(signs + t * signs_stride, w.outputs, signs_stride);
}

BIFSMN_INLINE void MemoryToBits(const uint32_t* x, int64_t x_stride, int64_t frames,
                                const MemoryWeights& w, const int16_t* threshold, uint32_t* out,
                                int64_t out_stride) {
  MemoryBlocks(x, x_stride, frames, w, [&](int64_t t, int n, int count, const int32_t* dots)
                                           __attribute__((always_inline)) {
    uint32_t word = 0;
    for (int i = 0; i < count; ++i) {
      word |= static_cast<uint32_t>(dots[i] >= threshold[n + i]) << i;
    }
    out[t * out_stride + n / kWordBits] = word;
  });
  for (int64_t t = 0; t < frames; ++t) ClearTail(out + t * out_stride, w.outputs, out_stride);
}

}  // namespace scalar
}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_SCALAR_H_
