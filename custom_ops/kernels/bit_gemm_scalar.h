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

// Body of the scalar binary matrix product, compiled once per instruction set.
//
//   for every row, for every block of four outputs:
//     four counters, for every 64-bit word of the row: counter[i] += popcount(a ^ w[i])

#ifndef BIFSMN_KERNELS_BIT_GEMM_SCALAR_H_
#define BIFSMN_KERNELS_BIT_GEMM_SCALAR_H_

#include <cstdint>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/packed_weights.h"

namespace bifsmn {

// Always inline: the instruction set is then that of the function around it.
#define BIFSMN_INLINE inline __attribute__((always_inline))

// Word `pair` of a row with an odd or even number of 32-bit words.
BIFSMN_INLINE uint64_t RowPair(const uint32_t* row, int words, int pair) {
  return 2 * pair + 1 < words ? LoadPair(row + 2 * pair) : row[2 * pair];
}

template <bool kMasked>
BIFSMN_INLINE void BitGemvScalar(const uint32_t* a, const uint32_t* mask, int valid,
                                 const PackedWeights& weights, int32_t* dots) {
  constexpr int kBlock = PackedWeights::kBlock;
  static_assert(kBlock == 4, "the loop below holds four counters");
  const int words = weights.words;
  const int pairs = weights.pairs;
  const uint64_t* w = weights.blocks.data();
  for (int n = 0; n < weights.outputs; n += kBlock) {
    int count0 = 0, count1 = 0, count2 = 0, count3 = 0;
    for (int p = 0; p < pairs; ++p, w += kBlock) {
      const uint64_t x = RowPair(a, words, p);
      const uint64_t m = kMasked ? RowPair(mask, words, p) : ~uint64_t{0};
      count0 += __builtin_popcountll((x ^ w[0]) & m);
      count1 += __builtin_popcountll((x ^ w[1]) & m);
      count2 += __builtin_popcountll((x ^ w[2]) & m);
      count3 += __builtin_popcountll((x ^ w[3]) & m);
    }
    const int counts[kBlock] = {count0, count1, count2, count3};
    const int left = weights.outputs - n < kBlock ? weights.outputs - n : kBlock;
    for (int i = 0; i < left; ++i) dots[n + i] = valid - 2 * counts[i];
  }
}

BIFSMN_INLINE void BitGemmScalar(const uint32_t* a, int64_t rows, const PackedWeights& weights,
                                 int32_t* dots) {
  for (int64_t r = 0; r < rows; ++r) {
    BitGemvScalar<false>(a + r * weights.words, nullptr, weights.reduction, weights,
                         dots + r * weights.outputs);
  }
}

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_BIT_GEMM_SCALAR_H_
