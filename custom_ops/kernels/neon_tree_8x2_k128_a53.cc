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

// K <= 128, straight to bits: 8 frames x 2 outputs at a time, for in-order cores.
//
//   a[8]: the frames, one register each, for the whole run of weights
//   for every pair of outputs n, n + 8 (of 16, from the last pair to the first):
//     x[f] = cnt(a[f] ^ w[n]),  t[f] = cnt(a[f] ^ w[n + 8])      16 eor, 16 cnt
//     y[f] = addp(x[f], t[f])                                     8 addp
//     z[i] = addp(y[2 i], y[2 i + 1])                             4
//     u[i] = addp(z[2 i], z[2 i + 1])                             2
//     v    = addp(u[0], u[1])                                     1: v = f0: n, n + 8; f1: n, ...
//     bits = bits << 1 | (v < limit + 1)                          dup, cmhi, sli
//
//   registers: a 8 | x 8 | t, then y 8 | z 4, u 2, v 1 | weights 2 | limits 1 | bits 1
//
// Origin: the pairwise tree over output channels is Larq Compute Engine's; holding all frames of a
// short clip, growing the tree to a single register of bytes and packing by SLI are our own.
//
// Why so: 15 additions, each of whole registers, leave 16 finished counts in one register, so
// nothing is widened, broadcast or accumulated: 47 operations for 16 pairs of 128-bit words (2.94
// each; FBCK needs 3.125) and 2 loads (FBCK: 12). Counts of 128 bits fit a byte. The two outputs
// of a frame lie side by side in v, so their limits are one 16-bit lane, and eight steps leave 16
// neighbouring bits of each frame in place.
//
// The tree's upper levels belong to the previous pair: every result is used at least six
// instructions after it is made (the latency on a Cortex-A53).

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_pinned.h"
#include "custom_ops/kernels/neon_tiles.h"

namespace bifsmn {
namespace {

using namespace pinned;  // NOLINT: a kernel is a list of instructions

struct Block {
  uint8x16_t a0, a1, a2, a3, a4, a5, a6, a7;
  uint8x16_t y0, y1, y2, y3, y4, y5, y6, y7;
  uint8x16_t w0, w1;
};

// The xor, count and first level of pair kStep, the rest of the pair before; the limits of that
// pair are 16-bit lane (kStep + 1) % 8 of `limits`. Loads the weights for the step that follows.
template <int kStep>
BIFSMN_PINNED void Step(Block& b, const uint8_t* w, uint8x16_t limits, uint8x16_t* bits) {
  constexpr int kNext = (kStep + 7) % 8 * 16 + (kStep == 0 ? 256 : 0);
  uint8x16_t x0 = Eor(b.a0, b.w0);
  uint8x16_t x1 = Eor(b.a1, b.w0);
  uint8x16_t z0 = Addp(b.y0, b.y1);
  uint8x16_t x2 = Eor(b.a2, b.w0);
  uint8x16_t x3 = Eor(b.a3, b.w0);
  uint8x16_t z1 = Addp(b.y2, b.y3);
  uint8x16_t x4 = Eor(b.a4, b.w0);
  uint8x16_t x5 = Eor(b.a5, b.w0);
  uint8x16_t z2 = Addp(b.y4, b.y5);
  uint8x16_t x6 = Eor(b.a6, b.w0);
  uint8x16_t x7 = Eor(b.a7, b.w0);
  uint8x16_t z3 = Addp(b.y6, b.y7);
  b.w0 = Load(w, kNext);
  x0 = Cnt(x0);
  x1 = Cnt(x1);
  x2 = Cnt(x2);
  x3 = Cnt(x3);
  uint8x16_t u0 = Addp(z0, z1);
  x4 = Cnt(x4);
  x5 = Cnt(x5);
  const uint8x16_t limit = Dup16<(kStep + 1) % 8>(limits);
  x6 = Cnt(x6);
  x7 = Cnt(x7);
  uint8x16_t u1 = Addp(z2, z3);
  uint8x16_t t0 = Eor(b.a0, b.w1);
  uint8x16_t t1 = Eor(b.a1, b.w1);
  uint8x16_t t2 = Eor(b.a2, b.w1);
  uint8x16_t t3 = Eor(b.a3, b.w1);
  uint8x16_t t4 = Eor(b.a4, b.w1);
  uint8x16_t t5 = Eor(b.a5, b.w1);
  uint8x16_t t6 = Eor(b.a6, b.w1);
  uint8x16_t v = Addp(u0, u1);
  uint8x16_t t7 = Eor(b.a7, b.w1);
  b.w1 = Load(w, kNext + 128);
  t0 = Cnt(t0);
  t1 = Cnt(t1);
  t2 = Cnt(t2);
  t3 = Cnt(t3);
  t4 = Cnt(t4);
  t5 = Cnt(t5);
  v = Cmhi(limit, v);
  t6 = Cnt(t6);
  t7 = Cnt(t7);
  b.y0 = Addp(x0, t0);
  b.y1 = Addp(x1, t1);
  b.y2 = Addp(x2, t2);
  b.y3 = Addp(x3, t3);
  b.y4 = Addp(x4, t4);
  *bits = Sli1(v, *bits);
  b.y5 = Addp(x5, t5);
  b.y6 = Addp(x6, t6);
  b.y7 = Addp(x7, t7);
}

// limit[n] + 1 as bytes, those of n and n + 8 side by side. A limit of 254 and more is always
// met, and 255 as well.
inline void PrepareLimits(const int16_t* limit, int outputs, uint8_t* bytes) {
  // Each step for 64 outputs, then the next one; a chunk is whole multiples of them.
  constexpr int kParts = 8;
  const int16x8_t one = vdupq_n_s16(1);
  for (int n = 0; n < outputs; n += 8 * kParts) {
    // Behind the last outputs any limit will do.
    const int last = outputs - n < 8 * kParts ? 0x3 : 0x7;
    int16x8_t sum[kParts];
    uint8x8_t byte[kParts];
#pragma GCC unroll 8
    for (int i = 0; i < kParts; ++i) {
      sum[i] = vqaddq_s16(vld1q_s16(limit + n + 8 * (i & last)), one);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kParts; ++i) byte[i] = vqmovun_s16(sum[i]);
#pragma GCC unroll 8
    for (int i = 0; i < kParts; i += 2) {
      const uint8x8_t low = vzip1_u8(byte[i], byte[i + 1]), high = vzip2_u8(byte[i], byte[i + 1]);
      vst1q_u8(bytes + n + 8 * i, vcombine_u8(low, high));
    }
  }
}

}  // namespace

void NeonTree8x2K128BitsA53(const NeonFrames& frames, const uint8_t* weights, int outputs,
                            const int16_t* limit, uint16_t* bits) {
  // The loop converts no limits: a chain of dependent instructions would hold an in-order core up.
  uint8_t limits[kNeonBitsChunk];
  PrepareLimits(limit, outputs, limits);
  Block b;
  b.a0 = Load(frames.row[0], 0), b.a1 = Load(frames.row[1], 0);
  b.a2 = Load(frames.row[2], 0), b.a3 = Load(frames.row[3], 0);
  b.a4 = Load(frames.row[4], 0), b.a5 = Load(frames.row[5], 0);
  b.a6 = Load(frames.row[6], 0), b.a7 = Load(frames.row[7], 0);
  b.y0 = b.y1 = b.y2 = b.y3 = b.y4 = b.y5 = b.y6 = b.y7 = vdupq_n_u8(0);
  b.w0 = Load(weights, 7 * 16);
  b.w1 = Load(weights, 15 * 16);
  // Step 7 of 16 outputs finishes step 0 of the 16 before, whose bits are complete only then.
  // The first step 7 finishes nothing; what is stored then is written again.
  uint8x16_t half = vdupq_n_u8(0), before = half;
  uint16_t* complete = bits;
  const uint8_t* w = weights;
  const uint8_t* next_limits = limits;
  for (int n = outputs; n > 0; n -= 32) {
    Step<7>(b, w, before, &half);
    Store(complete, 0, vreinterpretq_u16_u8(half));
    before = Load(next_limits, 0);
    Step<6>(b, w, before, &half);
    Step<5>(b, w, before, &half);
    Step<4>(b, w, before, &half);
    Step<3>(b, w, before, &half);
    Step<2>(b, w, before, &half);
    Step<1>(b, w, before, &half);
    Step<0>(b, w, before, &half);
    Step<7>(b, w + 256, before, &half);
    Store(bits, 0, vreinterpretq_u16_u8(half));
    before = Load(next_limits, 16);
    Step<6>(b, w + 256, before, &half);
    Step<5>(b, w + 256, before, &half);
    Step<4>(b, w + 256, before, &half);
    Step<3>(b, w + 256, before, &half);
    Step<2>(b, w + 256, before, &half);
    Step<1>(b, w + 256, before, &half);
    Step<0>(b, w + 256, before, &half);
    complete = bits + 8;
    bits += 16;
    w += 512;
    next_limits += 32;
  }
  // The last pair.
  const uint8x16_t u0 = Addp(Addp(b.y0, b.y1), Addp(b.y2, b.y3));
  const uint8x16_t u1 = Addp(Addp(b.y4, b.y5), Addp(b.y6, b.y7));
  half = Sli1(Cmhi(Dup16<0>(before), Addp(u0, u1)), half);
  Store(complete, 0, vreinterpretq_u16_u8(half));
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
