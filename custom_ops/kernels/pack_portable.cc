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
#include "custom_ops/kernels/pack.h"

namespace bifsmn {
namespace {

// x >= 0 by the bits of x: a thread that takes subnormal numbers for zeros (TensorFlow's do) must
// not change the answer.
inline uint32_t IsPositive(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return static_cast<uint32_t>(bits <= 0x7f800000u) | static_cast<uint32_t>(bits == 0x80000000u);
}

}  // namespace

void PackPortable(const float* x, int64_t rows, int channels, uint32_t* words) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int c = 0; c < channels; c += kWordBits) {
      const int count = channels - c < kWordBits ? channels - c : kWordBits;
      uint32_t word = 0;
      for (int i = 0; i < count; ++i) {
        word |= IsPositive(x[c + i]) << i;
      }
      *words++ = word;
    }
    x += channels;
  }
}

}  // namespace bifsmn
