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

// Sign and pack, 128 floats to one register of bits.
//
//   for every 16 floats:
//     m[i] = (bits of x <= bits of infinity) | (bits of x == bits of -0.0)   3 for 4 floats
//     byte[k] = uzp1(uzp1(m[0], m[1]), uzp1(m[2], m[3])) & place of the lane   3 uzp1, 1 and
//   addp tree over byte[8]                                                     7 addp, 128 bits
//
//   registers: infinity, -0.0, places 3 | x 4 | m 4 | bytes 8
//
// Origin: our own. Larq Compute Engine packs 128 floats by their sign bits alone (LD2 of half
// words and SRI), which makes -0.0 a minus one; x >= 0 makes it a plus one, and NaN a minus one.
//
// Why so: integers are compared, not floats, because a thread that flushes subnormals would take
// a negative one for a zero. The pairwise tree that ends a matrix product also gathers bits: each
// byte holds one bit in its place, so sums are unions. Memory bounds this loop: 128 floats are
// eight cache lines.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_pack.h"

#include <arm_neon.h>

#include <cstring>

namespace bifsmn {
namespace {

inline __attribute__((always_inline)) uint32x4_t IsPositive(const float* x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x));
  return vorrq_u32(vcleq_u32(bits, vdupq_n_u32(0x7f800000u)),
                   vceqq_u32(bits, vdupq_n_u32(0x80000000u)));
}

// One bit of each of 16 floats, in its place in two bytes.
inline __attribute__((always_inline)) uint8x16_t Bits16(const float* x) {
  const uint8x16_t places = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
  const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(IsPositive(x)),
                                    vreinterpretq_u16_u32(IsPositive(x + 4)));
  const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(IsPositive(x + 8)),
                                     vreinterpretq_u16_u32(IsPositive(x + 12)));
  return vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)), places);
}

inline __attribute__((always_inline)) uint32x4_t Bits128(const float* x) {
  const uint8x16_t a = vpaddq_u8(Bits16(x), Bits16(x + 16));
  const uint8x16_t b = vpaddq_u8(Bits16(x + 32), Bits16(x + 48));
  const uint8x16_t c = vpaddq_u8(Bits16(x + 64), Bits16(x + 80));
  const uint8x16_t d = vpaddq_u8(Bits16(x + 96), Bits16(x + 112));
  return vreinterpretq_u32_u8(vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d)));
}

}  // namespace

void NeonPack(const float* x, int64_t rows, int channels, uint32_t* out, int64_t out_stride) {
  for (int64_t r = 0; r < rows; ++r, x += channels, out += out_stride) {
    int64_t word = 0;
    int c = 0;
    for (; c + 128 <= channels; c += 128, word += 4) vst1q_u32(out + word, Bits128(x + c));
    if (c < channels) {
      // NaN packs to clear bits.
      float rest[128];
      std::memset(rest, 0xff, sizeof(rest));
      std::memcpy(rest, x + c, (channels - c) * sizeof(float));
      uint32_t words[4];
      vst1q_u32(words, Bits128(rest));
      for (int i = 0; i < 4 && c + 32 * i < channels; ++i) out[word++] = words[i];
    }
    for (; word < out_stride; ++word) out[word] = 0;
  }
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
