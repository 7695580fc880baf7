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

// The paper's kernel, Fast Bitwise Computation Kernel (BiFSMN, arXiv 2202.06483, section 3.4):
// 4 frames x 16 outputs, 16 bits of the reduction at a time, for in-order cores.
//
//   for every 256 bits of the reduction:
//     D[8] = 0                                                  8 movi
//     16 times, 16 bits each:
//       A[0..3] = the 16 bits of a frame in every lane          4 loads
//       B[0..1] = the 16 bits of 8 outputs                      2 loads
//       C[i + 4 j] = A[i] ^ B[j]                                8 eor
//       C = cnt(C)                                              8 cnt
//       D = D + C                                               8 add
//     E = uadalp(E, D)                                          8 uadalp
//
//   registers: A v 4 | B 2 | C 8 (temporaries) | D 8 (8-bit counters) | E 8 (16-bit results)
//
// Origin: the partition of the registers, the tile, the step of 16 bits and the 16 steps between
// widenings are the paper's, which prints no code. The schedule is our own.
//
// Why so: a byte gains at most 8 in a step, so 16 steps reach 128: the counters are unsigned, and
// UADALP, not SADALP, folds them. In-order cores want every result eight instructions old, hence
// blocks of eight equal instructions instead of the paper's two groups of four; loads have
// immediate offsets; and frames are replicated once for all outputs, since LD1R has no offset.
// 3.125 operations and 0.75 loads for every pair of 128-bit words.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_fbck.h"

#include <cstring>

#include "custom_ops/kernels/neon_ends.h"
#include "custom_ops/kernels/neon_pinned.h"

namespace bifsmn {
namespace {

using namespace pinned;  // NOLINT: a kernel is a list of instructions
using V = uint8x16_t;

constexpr int kOutputs = 16;

struct Registers {
  V a0, a1, a2, a3, b0, b1;
  V d0, d1, d2, d3, d4, d5, d6, d7;
};

// One step; loads the operands of the next.
template <int kStep>
BIFSMN_PINNED void Step(Registers& r, const uint8_t* a, const uint8_t* b) {
  constexpr int kA = (kStep + 1) * 64, kB = (kStep + 1) * 32;
  V c0 = Eor(r.a0, r.b0), c1 = Eor(r.a1, r.b0), c2 = Eor(r.a2, r.b0), c3 = Eor(r.a3, r.b0);
  V c4 = Eor(r.a0, r.b1), c5 = Eor(r.a1, r.b1), c6 = Eor(r.a2, r.b1), c7 = Eor(r.a3, r.b1);
  r.a0 = LoadAt<kA>(a);
  c0 = Cnt(c0);
  r.a1 = LoadAt<kA + 16>(a);
  c1 = Cnt(c1);
  r.a2 = LoadAt<kA + 32>(a);
  c2 = Cnt(c2);
  r.a3 = LoadAt<kA + 48>(a);
  c3 = Cnt(c3);
  r.b0 = LoadAt<kB>(b);
  c4 = Cnt(c4);
  r.b1 = LoadAt<kB + 16>(b);
  c5 = Cnt(c5);
  c6 = Cnt(c6);
  c7 = Cnt(c7);
  r.d0 = Add(r.d0, c0), r.d1 = Add(r.d1, c1), r.d2 = Add(r.d2, c2), r.d3 = Add(r.d3, c3);
  r.d4 = Add(r.d4, c4), r.d5 = Add(r.d5, c5), r.d6 = Add(r.d6, c6), r.d7 = Add(r.d7, c7);
}

// Partition E: register i + 4 j holds frame i and outputs 8 j .. 8 j + 7.
struct Sums {
  uint16x8_t e0, e1, e2, e3, e4, e5, e6, e7;
};

// Four frames, 16 outputs, kSteps steps. The paper's E outlives several runs of 16 steps; here a
// longer reduction adds to the counts in memory.
template <int kSteps>
BIFSMN_PINNED Sums Tile(const uint8_t* a, const uint8_t* b) {
  Registers r;
  r.a0 = LoadAt<0>(a), r.a1 = LoadAt<16>(a), r.a2 = LoadAt<32>(a), r.a3 = LoadAt<48>(a);
  r.b0 = LoadAt<0>(b), r.b1 = LoadAt<16>(b);
  const V zero = vdupq_n_u8(0);
  r.d0 = r.d1 = r.d2 = r.d3 = r.d4 = r.d5 = r.d6 = r.d7 = zero;
  Step<0>(r, a, b);
  Step<1>(r, a, b);
  Step<2>(r, a, b);
  Step<3>(r, a, b);
  Step<4>(r, a, b);
  Step<5>(r, a, b);
  Step<6>(r, a, b);
  Step<7>(r, a, b);
  if (kSteps == 16) {
    Step<8>(r, a, b);
    Step<9>(r, a, b);
    Step<10>(r, a, b);
    Step<11>(r, a, b);
    Step<12>(r, a, b);
    Step<13>(r, a, b);
    Step<14>(r, a, b);
    Step<15>(r, a, b);
  }
  const uint16x8_t e = vdupq_n_u16(0);
  return {Uadalp(e, r.d0), Uadalp(e, r.d1), Uadalp(e, r.d2), Uadalp(e, r.d3),
          Uadalp(e, r.d4), Uadalp(e, r.d5), Uadalp(e, r.d6), Uadalp(e, r.d7)};
}

BIFSMN_PINNED void StoreTile(const Sums& s, uint16_t (*lanes)[4][8]) {
  Store(lanes, 0, s.e0);
  Store(lanes, 16, s.e1);
  Store(lanes, 32, s.e2);
  Store(lanes, 48, s.e3);
  Store(lanes, 64, s.e4);
  Store(lanes, 80, s.e5);
  Store(lanes, 96, s.e6);
  Store(lanes, 112, s.e7);
}

// [two halves of the frames][step][four frames][8 lanes]; the step behind the last is loaded, too,
// and not used.
struct Replicated {
  alignas(64) uint16_t lanes[2][17][4][8];
};

template <int kSteps>
void Replicate(const NeonFrames& frames, int64_t offset, Replicated* to) {
  for (int f = 0; f < kNeonFrames; ++f) {
    uint16_t words[kSteps];
    std::memcpy(words, frames.row[f] + offset, sizeof(words));
    for (int s = 0; s < kSteps; ++s) {
      vst1q_u16(to->lanes[f / 4][s][f % 4], vdupq_n_u16(words[s]));
    }
  }
}

// Results of a run of 16 outputs: [frames 0..3, frames 4..7][outputs 0..7, 8..15][four frames].
struct Results {
  alignas(64) uint16_t lanes[2][2][4][8];
};

// The loop: two tiles, one for each half of the frames, with the same weights.
template <int kSteps>
__attribute__((noinline)) void FbckLoop(const Replicated& a, const uint8_t* weights, int outputs,
                                        Results* results) {
  const uint8_t* low = reinterpret_cast<const uint8_t*>(a.lanes[0]);
  const uint8_t* high = reinterpret_cast<const uint8_t*>(a.lanes[1]);
  for (int n = outputs; n > 0; n -= kOutputs, weights += kSteps * 32, ++results) {
    StoreTile(Tile<kSteps>(low, weights), results->lanes[0]);
    StoreTile(Tile<kSteps>(high, weights), results->lanes[1]);
  }
}

template <int kSteps, bool kAdd>
void Counts(const NeonFrames& frames, int64_t offset, const uint8_t* weights, int outputs,
            uint16_t* counts) {
  Replicated a;
  Replicate<kSteps>(frames, offset, &a);
  Results results[kNeonChunk / kOutputs];
  FbckLoop<kSteps>(a, weights, outputs, results);
  for (int n = 0; n < outputs; n += 8) {
    const Results& result = results[n / kOutputs];
    const int j = n / 8 % 2;
    uint16x8_t rows[8];
    for (int f = 0; f < kNeonFrames; ++f) rows[f] = vld1q_u16(result.lanes[f / 4][j][f % 4]);
    NeonTurn8x8(rows);
    for (int o = 0; o < 8; ++o, counts += kNeonFrames) {
      vst1q_u16(counts, kAdd ? vaddq_u16(vld1q_u16(counts), rows[o]) : rows[o]);
    }
  }
}

template <int kSteps>
void Bits(const NeonFrames& frames, const uint8_t* weights, int outputs, const int16_t* limit,
          uint16_t* bits) {
  uint16_t counts[kNeonChunk * kNeonFrames];
  for (int n = 0; n < outputs; n += kNeonChunk) {
    const int count = outputs - n < kNeonChunk ? outputs - n : kNeonChunk;
    Counts<kSteps, false>(frames, 0, weights + n * kSteps * 2, count, counts);
    NeonCountsToHalves({counts, count, kNeonFrames, kSteps * 16}, limit + n,
                       bits + n / 16 * kNeonFrames);
  }
}

}  // namespace

const NeonTiles& NeonFbckTiles() {
  static const NeonTiles tiles = {Counts<8, false>, Counts<16, false>, Counts<8, true>,
                                  Counts<16, true>, Bits<8>,           Bits<16>};
  return tiles;
}

void NeonFbckPrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w) {
  NeonDensePrepare(weights, outputs, reduction, w);
  // Within 16 rows of 16 or 32 bytes: step by step, the 16 bits of each row.
  const int64_t padded = (outputs + kEndBlock - 1) / kEndBlock * kEndBlock;
  const int64_t row_bytes = w->a_stride * 4;
  uint8_t* pass = w->data.data();
  for (int64_t offset = 0; offset < row_bytes; offset += 32) {
    const int steps = row_bytes - offset >= 32 ? 16 : 8;
    for (int64_t n = 0; n < padded; n += kOutputs) {
      uint16_t rows[kOutputs][16], turned[16][kOutputs];
      uint8_t* group = pass + n * steps * 2;
      for (int o = 0; o < kOutputs; ++o) std::memcpy(rows[o], group + o * steps * 2, steps * 2);
      for (int s = 0; s < steps; ++s) {
        for (int o = 0; o < kOutputs; ++o) turned[s][o] = rows[o][s];
      }
      std::memcpy(group, turned, steps * 32);
    }
    pass += padded * steps * 2;
  }
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
