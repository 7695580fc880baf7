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

// Packed bits: channel c is bit c % 32, least significant first, of 32-bit word c / 32. A set bit
// is +1, a clear bit -1; the unused high bits of the last word are clear.

#ifndef BIFSMN_KERNELS_BITS_H_
#define BIFSMN_KERNELS_BITS_H_

#include <cstdint>
#include <cstring>

namespace bifsmn {

constexpr int kWordBits = 32;

// Longest reduction. Every dot product then fits an int16 threshold.
constexpr int kMaxReduction = 32767;

constexpr int64_t WordsFor(int64_t bits) { return (bits + kWordBits - 1) / kWordBits; }

// Mask of the used bits of the last word that holds `bits` > 0 bits.
constexpr uint32_t LastWordMask(int64_t bits) {
  return bits % kWordBits == 0 ? ~uint32_t{0} : (uint32_t{1} << (bits % kWordBits)) - 1;
}

inline bool BitAt(const uint32_t* words, int64_t index) {
  return (words[index / kWordBits] >> (index % kWordBits)) & 1;
}

// x >= 0 by the bits of x: a thread that takes subnormal numbers for zeros (TensorFlow's do) must
// not change the answer.
inline __attribute__((always_inline)) uint32_t IsPositive(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return static_cast<uint32_t>(bits <= 0x7f800000u) | static_cast<uint32_t>(bits == 0x80000000u);
}

// Two neighbouring 32-bit words as one; `words` needs only the alignment of its own type.
inline uint64_t LoadPair(const uint32_t* words) {
  return uint64_t{words[0]} | uint64_t{words[1]} << kWordBits;
}

// Copies `count` bits from bit `from` of `source` to bit `to` of `target`, whose bits from `to`
// upwards must be clear.
inline void AppendBits(const uint32_t* source, int64_t from, int64_t count, uint32_t* target,
                       int64_t to) {
  if (from % kWordBits == 0 && to % kWordBits == 0 && count % kWordBits == 0) {
    std::memcpy(target + to / kWordBits, source + from / kWordBits, count / 8);
    return;
  }
  while (count > 0) {
    const int source_bit = static_cast<int>(from % kWordBits);
    const int target_bit = static_cast<int>(to % kWordBits);
    int step = kWordBits - (source_bit > target_bit ? source_bit : target_bit);
    if (step > count) step = static_cast<int>(count);
    const uint32_t bits = (source[from / kWordBits] >> source_bit) & LastWordMask(step);
    target[to / kWordBits] |= bits << target_bit;
    from += step;
    to += step;
    count -= step;
  }
}

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_BITS_H_
