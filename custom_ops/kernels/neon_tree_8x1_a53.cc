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

// K = 128 or 256 bits of any longer reduction, 8 frames x 1 output at a time, for in-order cores:
// 16-bit counts, or (K <= 256) straight to bits.
//
//   a[8][2]: the frames, for the whole run of weights; the next 128 or 256 bits of a longer
//            reduction take another run, which adds to the counts of the one before
//   for every output n:
//     x[f] = cnt(a[f][0] ^ w[n][0]) + cnt(a[f][1] ^ w[n][1])     16 eor, 16 cnt, 8 add
//     y[i] = addp(x[2 i], x[2 i + 1])                            4 addp
//     z[i] = addp(y[2 i], y[2 i + 1])                            2
//     u    = addp(z[0], z[1])                                    1: two bytes for each frame
//     c    = uaddlp(u), or uadalp(counts[n], u)                  1: eight 16-bit counts
//     counts[n] = c, or: bits = bits << 1 | (limit[n] >= c)      str, or dup, cmge, sli
//
//   registers: K = 256: a 16 | weights 2 | xor and cnt in flight 6 | x, y, z, u, c 5..7 | bits 1,
//              limits 1;  K = 128: a 8 | weights 1 | x 16 | y 4, z 2, u, c
//
// Origin: our own; the pairwise tree is Larq Compute Engine's, grown here over frames instead of
// outputs.
//
// Why so: the frames fill the lanes, so every weight is loaded once for eight frames, the tree
// ends in one register for one output, and that has the form of its limit (one lane to repeat) and
// of its bits (16 steps fill 16 bits of each frame). For 256 bits a tree of bytes could overflow
// (256 does not fit); its last level therefore widens. 48 operations for 16 pairs of 128-bit
// words (3.0 each), 2 loads, 1 store.
//
// Carry-save counters do not help: for two words they take 3 operations of logic, 2 CNT and 2
// weighted additions (7), the tree 2 EOR, 2 CNT and 2 additions (6). They would need seven words
// and more to gain, and no layer of these networks has them.
//
// Instructions of eight (frame, output) pairs in different states are woven so that every result
// waits at least six instructions (the latency on a Cortex-A53) for its use, and few registers
// wait with it; the end of the tree belongs to the output before. Immediate offsets only: an
// in-order core completes a pointer's increment after the long instructions in front of it.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_pinned.h"
#include "custom_ops/kernels/neon_tiles.h"

namespace bifsmn {
namespace {

using namespace pinned;  // NOLINT: a kernel is a list of instructions
using V = uint8x16_t;

// What becomes of the counts. Four calls for each output, so far apart that no result is waited
// for: Prepare, Sum (the last level of the tree), Take, and Append during the next output.
struct StoreCounts {
  uint16_t* counts;
  template <int kOutput>
  BIFSMN_PINNED void Prepare() {}
  BIFSMN_PINNED uint16x8_t Sum(V u) const { return Uaddlp(u); }
  template <int kOutput>
  BIFSMN_PINNED void Take(uint16x8_t c) { Store(counts, kOutput * 16, c); }
  BIFSMN_PINNED void Append() {}
};

struct AddCounts {
  uint16_t* counts;
  uint16x8_t before;
  template <int kOutput>
  BIFSMN_PINNED void Prepare() { before = vreinterpretq_u16_u8(Load(counts, kOutput * 16)); }
  BIFSMN_PINNED uint16x8_t Sum(V u) const { return Uadalp(before, u); }
  template <int kOutput>
  BIFSMN_PINNED void Take(uint16x8_t c) { Store(counts, kOutput * 16, c); }
  BIFSMN_PINNED void Append() {}
};

// Outputs come from the last of 16 to the first; lane kOutput of `limits` is the present one's.
struct AppendBits {
  uint16x8_t limits, limit, mask, bits;
  template <int kOutput>
  BIFSMN_PINNED void Prepare() { limit = Dup16<kOutput>(limits); }
  BIFSMN_PINNED uint16x8_t Sum(V u) const { return Uaddlp(u); }
  template <int kOutput>
  BIFSMN_PINNED void Take(uint16x8_t c) { mask = Cmge(limit, c); }
  BIFSMN_PINNED void Append() { bits = Sli1(mask, bits); }
};

// Two words of every frame.
struct Block256 {
  V a00, a10, a20, a30, a40, a50, a60, a70;
  V a01, a11, a21, a31, a41, a51, a61, a71;
  V w0, w1;
  // Of the output before: frame 7's xor, frame 6's counts, the sums of frames 4 and 5, the tree
  // over frames 0 to 3.
  V p0, p1, q0, q1, x4, x5, z0;

  BIFSMN_PINNED void Begin(const NeonFrames& f, int64_t offset, const uint8_t* w) {
    a00 = Load(f.row[0] + offset, 0), a01 = Load(f.row[0] + offset, 16);
    a10 = Load(f.row[1] + offset, 0), a11 = Load(f.row[1] + offset, 16);
    a20 = Load(f.row[2] + offset, 0), a21 = Load(f.row[2] + offset, 16);
    a30 = Load(f.row[3] + offset, 0), a31 = Load(f.row[3] + offset, 16);
    a40 = Load(f.row[4] + offset, 0), a41 = Load(f.row[4] + offset, 16);
    a50 = Load(f.row[5] + offset, 0), a51 = Load(f.row[5] + offset, 16);
    a60 = Load(f.row[6] + offset, 0), a61 = Load(f.row[6] + offset, 16);
    a70 = Load(f.row[7] + offset, 0), a71 = Load(f.row[7] + offset, 16);
    w0 = Load(w, 0), w1 = Load(w, 16);
    p0 = p1 = q0 = q1 = x4 = x5 = z0 = vdupq_n_u8(0);
  }

  // One output; finishes the one before, which is number kOutput of the end. `next` are the
  // weights of the output that follows.
  template <int kOutput, typename End>
  BIFSMN_PINNED void Step(const uint8_t* next, End& end) {
    V e0, e1, r0, r1, x0, x1, x2, x3, x6, x7, y0, y1, y2, y3, z1, u, f0, f1;
    e0 = Eor(a00, w0), e1 = Eor(a01, w1);
    p0 = Cnt(p0), p1 = Cnt(p1);
    x6 = Add(q0, q1), y2 = Addp(x4, x5);

    r0 = Eor(a10, w0), r1 = Eor(a11, w1);
    e0 = Cnt(e0), e1 = Cnt(e1);
    x7 = Add(p0, p1);

    p0 = Eor(a20, w0), p1 = Eor(a21, w1);
    r0 = Cnt(r0), r1 = Cnt(r1);
    x0 = Add(e0, e1), y3 = Addp(x6, x7);

    end.Append();
    e0 = Eor(a30, w0), e1 = Eor(a31, w1);
    p0 = Cnt(p0), p1 = Cnt(p1);
    x1 = Add(r0, r1), z1 = Addp(y2, y3);

    r0 = Eor(a40, w0), r1 = Eor(a41, w1);
    e0 = Cnt(e0), e1 = Cnt(e1);
    x2 = Add(p0, p1), y0 = Addp(x0, x1), u = Addp(z0, z1);
    end.template Prepare<kOutput>();

    p0 = Eor(a50, w0), p1 = Eor(a51, w1);
    r0 = Cnt(r0), r1 = Cnt(r1);
    x3 = Add(e0, e1);
    const uint16x8_t c = end.Sum(u);

    e0 = Eor(a60, w0), e1 = Eor(a61, w1);
    p0 = Cnt(p0), p1 = Cnt(p1);
    x4 = Add(r0, r1), y1 = Addp(x2, x3);

    f0 = p0, f1 = p1;
    p0 = Eor(a70, w0), p1 = Eor(a71, w1);
    w0 = Load(next, 0), w1 = Load(next, 16);
    end.template Take<kOutput>(c);
    q0 = Cnt(e0), q1 = Cnt(e1);
    x5 = Add(f0, f1), z0 = Addp(y0, y1);
  }

  // What is left of the last output.
  BIFSMN_PINNED V Last() const {
    const V y2 = Addp(x4, x5), y3 = Addp(Add(q0, q1), Add(Cnt(p0), Cnt(p1)));
    return Addp(z0, Addp(y2, y3));
  }
};

// One word of every frame.
struct Block128 {
  V a0, a1, a2, a3, a4, a5, a6, a7;
  V w;
  V x0, x1, x2, x3, x4, x5, x6, x7;  // of the output before
  V u;                               // of the one before that

  BIFSMN_PINNED void Begin(const NeonFrames& f, int64_t offset, const uint8_t* weights) {
    a0 = Load(f.row[0] + offset, 0), a1 = Load(f.row[1] + offset, 0);
    a2 = Load(f.row[2] + offset, 0), a3 = Load(f.row[3] + offset, 0);
    a4 = Load(f.row[4] + offset, 0), a5 = Load(f.row[5] + offset, 0);
    a6 = Load(f.row[6] + offset, 0), a7 = Load(f.row[7] + offset, 0);
    w = Load(weights, 0);
    x0 = x1 = x2 = x3 = x4 = x5 = x6 = x7 = u = vdupq_n_u8(0);
  }

  // One output; finishes the one two before, which is number kOutput of the end.
  template <int kOutput, typename End>
  BIFSMN_PINNED void Step(const uint8_t* next, End& end) {
    end.template Prepare<kOutput>();
    V t0 = Eor(a0, w), t1 = Eor(a1, w);
    const V y0 = Addp(x0, x1);
    V t2 = Eor(a2, w), t3 = Eor(a3, w);
    const V y1 = Addp(x2, x3);
    V t4 = Eor(a4, w), t5 = Eor(a5, w);
    const V y2 = Addp(x4, x5);
    V t6 = Eor(a6, w);
    const V y3 = Addp(x6, x7);
    V t7 = Eor(a7, w);
    const uint16x8_t c = end.Sum(u);
    w = Load(next, 0);
    t0 = Cnt(t0), t1 = Cnt(t1);
    const V z0 = Addp(y0, y1);
    t2 = Cnt(t2);
    const V z1 = Addp(y2, y3);
    t3 = Cnt(t3), t4 = Cnt(t4), t5 = Cnt(t5), t6 = Cnt(t6), t7 = Cnt(t7);
    u = Addp(z0, z1);
    end.template Take<kOutput>(c);
    x0 = t0, x1 = t1, x2 = t2, x3 = t3, x4 = t4, x5 = t5, x6 = t6, x7 = t7;
  }

  BIFSMN_PINNED V Last() const {
    return Addp(Addp(Addp(x0, x1), Addp(x2, x3)), Addp(Addp(x4, x5), Addp(x6, x7)));
  }
};

template <typename End>
BIFSMN_PINNED void Counts256(const NeonFrames& frames, int64_t offset, const uint8_t* w,
                             int outputs, uint16_t* counts) {
  constexpr int s = 32;
  Block256 b;
  b.Begin(frames, offset, w);
  End end = {};
  end.counts = counts;
  for (int n = outputs; n > 0; n -= 8) {
    b.Step<-1>(w + s, end);
    b.Step<0>(w + 2 * s, end);
    b.Step<1>(w + 3 * s, end);
    b.Step<2>(w + 4 * s, end);
    b.Step<3>(w + 5 * s, end);
    b.Step<4>(w + 6 * s, end);
    b.Step<5>(w + 7 * s, end);
    w += 8 * s;
    b.Step<6>(w, end);
    end.counts += 64;
  }
  end.template Prepare<-1>();
  end.template Take<-1>(end.Sum(b.Last()));
}

template <typename End>
BIFSMN_PINNED void Counts128(const NeonFrames& frames, int64_t offset, const uint8_t* w,
                             int outputs, uint16_t* counts) {
  constexpr int s = 16;
  Block128 b;
  b.Begin(frames, offset, w);
  End end = {};
  end.counts = counts;
  for (int n = outputs; n > 0; n -= 8) {
    b.Step<-2>(w + s, end);
    b.Step<-1>(w + 2 * s, end);
    b.Step<0>(w + 3 * s, end);
    b.Step<1>(w + 4 * s, end);
    b.Step<2>(w + 5 * s, end);
    b.Step<3>(w + 6 * s, end);
    b.Step<4>(w + 7 * s, end);
    w += 8 * s;
    b.Step<5>(w, end);
    end.counts += 64;
  }
  end.template Prepare<-2>();
  end.template Take<-2>(end.Sum(b.u));
  end.template Prepare<-1>();
  end.template Take<-1>(end.Sum(b.Last()));
}

}  // namespace

void NeonTree8x1K256A53(const NeonFrames& frames, int64_t offset, const uint8_t* weights,
                        int outputs, uint16_t* counts) {
  Counts256<StoreCounts>(frames, offset, weights, outputs, counts);
}

void NeonTree8x1K256AddA53(const NeonFrames& frames, int64_t offset, const uint8_t* weights,
                           int outputs, uint16_t* counts) {
  Counts256<AddCounts>(frames, offset, weights, outputs, counts);
}

void NeonTree8x1K128A53(const NeonFrames& frames, int64_t offset, const uint8_t* weights,
                        int outputs, uint16_t* counts) {
  Counts128<StoreCounts>(frames, offset, weights, outputs, counts);
}

void NeonTree8x1K128AddA53(const NeonFrames& frames, int64_t offset, const uint8_t* weights,
                           int outputs, uint16_t* counts) {
  Counts128<AddCounts>(frames, offset, weights, outputs, counts);
}

void NeonTree8x1K256BitsA53(const NeonFrames& frames, const uint8_t* weights, int outputs,
                            const int16_t* limit, uint16_t* bits) {
  // Of every 16 outputs, 15 is the first and 0 the last. A step finishes the output before and
  // appends the one before that: 16 outputs are complete after the second step of the next 16.
  Block256 b;
  b.Begin(frames, 0, weights + 15 * 32);
  AppendBits end;
  end.limits = end.limit = end.mask = end.bits = vdupq_n_u16(0);
  // The first time there is nothing to store; what is stored is written again.
  uint16_t* complete = bits;
  const uint8_t* w = weights;
  for (int n = outputs; n > 0; n -= 16) {
    b.Step<0>(w + 14 * 32, end);
    end.limits = vreinterpretq_u16_u8(Load(limit, 16));
    b.Step<7>(w + 13 * 32, end);
    Store(complete, 0, end.bits);
    b.Step<6>(w + 12 * 32, end);
    b.Step<5>(w + 11 * 32, end);
    b.Step<4>(w + 10 * 32, end);
    b.Step<3>(w + 9 * 32, end);
    b.Step<2>(w + 8 * 32, end);
    b.Step<1>(w + 7 * 32, end);
    b.Step<0>(w + 6 * 32, end);
    end.limits = vreinterpretq_u16_u8(Load(limit, 0));
    b.Step<7>(w + 5 * 32, end);
    b.Step<6>(w + 4 * 32, end);
    b.Step<5>(w + 3 * 32, end);
    b.Step<4>(w + 2 * 32, end);
    b.Step<3>(w + 1 * 32, end);
    b.Step<2>(w + 0 * 32, end);
    b.Step<1>(w + (16 + 15) * 32, end);
    complete = bits;
    bits += 8;
    w += 16 * 32;
    limit += 16;
  }
  end.Append();
  end.Prepare<0>();
  end.Take<0>(Uaddlp(b.Last()));
  end.Append();
  Store(complete, 0, end.bits);
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
