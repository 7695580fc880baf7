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

#include <cstring>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/memory_filter.h"

namespace bifsmn {

namespace {
// Enough planes for the largest number of taps.
constexpr int kMaxPlanes = 15;
static_assert((1 << kMaxPlanes) - 1 == kMaxReduction, "planes must hold every count");
}  // namespace

void MemoryWeights::Assign(const uint32_t* weights, int taps, int outputs, int look_back,
                           int stride_back, int stride_ahead) {
  this->outputs = outputs;
  words = static_cast<int>(WordsFor(outputs));
  signs.assign(weights, weights + int64_t{taps} * words);
  offsets.resize(taps);
  for (int i = 0; i < taps; ++i) {
    const int64_t steps = int64_t{i} - look_back;
    offsets[i] = steps * (steps < 0 ? stride_back : stride_ahead);
  }
  planes = 0;
  while ((taps >> planes) != 0) ++planes;
}

// 32 channels at a time, by counters that stand upright: plane p holds bit p of the counts of all
// channels of the word. Adding a tap is a ripple of half adders,
//
//   carry = agree;  for each plane: (plane, carry) = (plane ^ carry, plane & carry)
//
// so a word of 32 channels costs about two operations per plane that a carry reaches.
void MemoryFilterPortable(const uint32_t* x, int64_t frames, int64_t first, int64_t count,
                          const MemoryWeights& weights, int32_t* dots) {
  const int taps = static_cast<int>(weights.offsets.size());
  for (int64_t t = first; t < first + count; ++t, dots += weights.outputs) {
    // Offsets ascend: the taps inside the clip are neighbours.
    int begin = 0;
    while (begin < taps && t + weights.offsets[begin] < 0) ++begin;
    int end = taps;
    while (end > begin && t + weights.offsets[end - 1] >= frames) --end;
    const int32_t valid = end - begin;
    for (int w = 0; w < weights.words; ++w) {
      uint32_t plane[kMaxPlanes] = {};
      for (int i = begin; i < end; ++i) {
        const uint32_t frame = x[(t + weights.offsets[i]) * weights.words + w];
        uint32_t carry = ~(frame ^ weights.signs[int64_t{i} * weights.words + w]);
        for (int p = 0; p < weights.planes && carry != 0; ++p) {
          const uint32_t next = plane[p] & carry;
          plane[p] ^= carry;
          carry = next;
        }
      }
      const int left = weights.outputs - w * kWordBits;
      const int channels = left < kWordBits ? left : kWordBits;
      int32_t* out = dots + w * kWordBits;
      for (int c = 0; c < channels; ++c) out[c] = -valid;
      for (int p = 0; p < weights.planes; ++p) {
        for (int c = 0; c < channels; ++c) {
          out[c] += static_cast<int32_t>((plane[p] >> c) & 1) << (p + 1);
        }
      }
    }
  }
}

void RepeatChannels(const uint32_t* x, int64_t rows, int channels, int multiple, uint32_t* out) {
  const int64_t words = WordsFor(channels);
  const int64_t out_words = WordsFor(int64_t{channels} * multiple);
  std::memset(out, 0, rows * out_words * sizeof(uint32_t));
  for (int64_t r = 0; r < rows; ++r) {
    int64_t bit = 0;
    for (int c = 0; c < channels; ++c) {
      if (!BitAt(x + r * words, c)) {
        bit += multiple;
        continue;
      }
      for (int i = 0; i < multiple; ++i, ++bit) {
        out[r * out_words + bit / kWordBits] |= uint32_t{1} << (bit % kWordBits);
      }
    }
  }
}

}  // namespace bifsmn
