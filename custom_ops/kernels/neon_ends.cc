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

// Epilogues of the NEON paths.
//
// Counts come with the eight frames of an output in one register; outputs and residuals have the
// outputs of a frame side by side. Eight outputs are turned at a time:
//
//   c[8]  : counts of eight outputs, eight frames each                         8 loads
//   two levels of ZIP: outputs 0..3 of frames 2 i and 2 i + 1 in one register,
//   outputs 4..7 in another                                                    16 zip
//   dot   = (K - c) - c, the second subtraction widening                       8 sub, 16 ssubl
//   for frames 0..3, then 4..7: v[8] = float epilogue of dot          8 times each of its steps
//   signs = v >= threshold as 32-bit masks, halved twice      4 loads, 16 cmge, 8 uzp1, 4 uzp1
//           half a byte for each output                                        2 bit
//   (two sums of each output: one group of four frames, v = dot of frames 0..3 + scale * dot of
//   frames 4..7)
//   bytes of 128 outputs: pairwise sums and unzipping leave 128 bits of each frame
//                                                            32 and, 24 addp, 16 uzp for 8 frames
//
//   registers: c 8, then pairs 8 and K - c 8 | v 8 | products, residuals or masks 8 |
//              multiplier 2, bias 2 | threshold 2, once products are gone | K, slope, lower halves
//
// Why so: in-order cores execute this as it is written: each step for eight registers before the
// next one, so that nothing waits for a result, and loads and stores together. Rows are found by
// one pointer for each frame and a common index; the residual is a constant distance away.
// Comparing floats is exact here: a thread that flushes subnormals has flushed v already. Without
// thresholds zeros are loaded: a variant of its own would double the code for 1 % of the time.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_ends.h"

#include <cstring>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/neon_tiles.h"

namespace bifsmn {

alignas(64) const float kNeonNoThreshold[128] = {};

namespace {

constexpr int kFrames = kNeonFrames;
static_assert(sizeof(kNeonNoThreshold) == kNeonChunk * sizeof(float), "one for every output");

using pinned::LoadAt;

// kFours times four outputs, eight frames: register i of a four has the outputs of frame 2 i and
// those of frame 2 i + 1.
template <int kFours>
BIFSMN_NEON_INLINE void Turn(const uint16x8_t c[kFours][4], uint16x8_t pairs[kFours][4]) {
  uint16x8_t t[kFours][4];
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < kFours; ++i) {
    t[i][0] = pinned::Zip1(c[i][0], c[i][2]), t[i][1] = pinned::Zip1(c[i][1], c[i][3]);
    t[i][2] = pinned::Zip2(c[i][0], c[i][2]), t[i][3] = pinned::Zip2(c[i][1], c[i][3]);
  }
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < kFours; ++i) {
    pairs[i][0] = pinned::Zip1(t[i][0], t[i][1]), pairs[i][1] = pinned::Zip2(t[i][0], t[i][1]);
    pairs[i][2] = pinned::Zip1(t[i][2], t[i][3]), pairs[i][3] = pinned::Zip2(t[i][2], t[i][3]);
  }
}

template <int kFirst>
BIFSMN_NEON_INLINE void LoadCounts(const uint16_t* counts, uint16x8_t c[4]) {
  c[0] = vreinterpretq_u16_u8(LoadAt<16 * kFirst>(counts));
  c[1] = vreinterpretq_u16_u8(LoadAt<16 * kFirst + 16>(counts));
  c[2] = vreinterpretq_u16_u8(LoadAt<16 * kFirst + 32>(counts));
  c[3] = vreinterpretq_u16_u8(LoadAt<16 * kFirst + 48>(counts));
}

// The signs of up to 128 outputs on their way to a row for every frame.
struct SignBytes {
  // [eight outputs][frames 0..3 or 4..7]: byte l of a frame has ones for output l in its lower
  // half, for output 4 + l in the upper one.
  uint8x16_t bytes[kNeonChunk / 8][2];

  // Writes the words of `outputs` outputs, of at most 4 kHalves frames.
  template <int kHalves>
  BIFSMN_NEON_INLINE void Store(int outputs, int frames, uint32_t* signs, int64_t stride) const {
    // Of outputs l and 4 + l.
    const uint8x16_t places = vreinterpretq_u8_u32(vdupq_n_u32(0x88442211u));
    uint8x16_t rows[kFrames];
    BIFSMN_NEON_UNROLL
    for (int half = 0; half < kHalves; ++half) {
      // Two pairwise levels: byte 4 g + f has eight outputs of frame f.
      uint8x16_t m[16];
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 16; ++i) m[i] = vandq_u8(bytes[i][half], places);
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 8; ++i) m[i] = vpaddq_u8(m[2 * i], m[2 * i + 1]);
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 4; ++i) m[i] = vpaddq_u8(m[2 * i], m[2 * i + 1]);
      const uint8x16_t even0 = vuzp1q_u8(m[0], m[1]), even1 = vuzp1q_u8(m[2], m[3]);
      const uint8x16_t odd0 = vuzp2q_u8(m[0], m[1]), odd1 = vuzp2q_u8(m[2], m[3]);
      rows[4 * half] = vuzp1q_u8(even0, even1), rows[4 * half + 2] = vuzp2q_u8(even0, even1);
      rows[4 * half + 1] = vuzp1q_u8(odd0, odd1), rows[4 * half + 3] = vuzp2q_u8(odd0, odd1);
    }
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 4 * kHalves; ++f) {
      if (f < frames) NeonStoreWords(vreinterpretq_u32_u8(rows[f]), outputs, signs + f * stride);
    }
  }
};

// With kDual, the second four frames of the counts are those of the second sums.
template <bool kDual>
struct FloatJob {
  static constexpr int kRows = kDual ? kFrames / 2 : kFrames;

  const NeonCounts& c;
  const FloatEnd& end;
  const float* residual;
  float* out;
  int64_t stride;
  uint32_t* signs;
  int64_t signs_stride;
  const float* scale = nullptr;  // of the second sums

  // Rows of the frames; the last one stands for those that do not exist: it is computed again
  // from the same counts. The residual is `residual` bytes behind.
  struct Rows {
    float* out[kRows];
    int64_t residual;
    int frames;
  };

  // In registers for the whole of a call.
  struct Constants {
    uint16x8_t reduction;
    float32x4_t slope;
    uint8x16_t low;  // the lower half of every byte
    float32x4_t scale;
  };

  Constants MakeConstants() const {
    float scales[kFrames / 2] = {};
    if (kDual) {
      for (int f = 0; f < kRows; ++f) scales[f] = scale[f < c.frames ? f : c.frames - 1];
    }
    return {vdupq_n_u16(static_cast<uint16_t>(c.reduction)), vdupq_n_f32(end.slope),
            vdupq_n_u8(0x0f), vld1q_f32(scales)};
  }

  template <NeonResidual kResidual, NeonSlope kSlope>
  BIFSMN_NEON_INLINE void operator()() const {
    SignBytes bytes;
    if (c.outputs < kNeonChunk || (!kDual && c.frames <= kFrames / 2)) {
      std::memset(bytes.bytes, 0, sizeof(bytes.bytes));
    }
    Rows rows;
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < kRows; ++f) {
      rows.out[f] = out + (f < c.frames ? f : c.frames - 1) * stride;
    }
    rows.residual = Distance(out, residual);
    rows.frames = c.frames;
    const Constants k = MakeConstants();
    const uint16_t* counts = c.counts;
    const float *multiplier = end.multiplier, *bias = end.bias;
    const float* threshold = NeonThresholds(end.sign_threshold, 0);
    const int outputs = c.outputs;
    int n = 0;
    for (; n + 8 <= outputs; n += 8) {
      Group<kResidual, kSlope>(k, counts, multiplier, bias, threshold, rows, int64_t{n} * 4,
                               bytes.bytes[n / 8]);
      counts += 8 * kFrames, multiplier += 8, bias += 8, threshold += 8;
    }
    if (n < c.outputs) Tail<kResidual, kSlope>(n, bytes.bytes[n / 8]);
    if (signs != nullptr) bytes.template Store<kRows / 4>(c.outputs, c.frames, signs, signs_stride);
  }

  static int64_t Distance(const float* from, const float* to) {
    return static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) -
                                reinterpret_cast<uintptr_t>(from));
  }

  // Eight outputs; `at` is where they are in the rows, in bytes.
  template <NeonResidual kResidual, NeonSlope kSlope>
  static BIFSMN_NEON_INLINE void Group(const Constants& k, const uint16_t* counts, const float* m,
                                       const float* b, const float* threshold,
                                       const Rows& rows, int64_t at, uint8x16_t bytes[2]) {
    uint16x8_t c[2][4];
    LoadCounts<0>(counts, c[0]);
    LoadCounts<4>(counts, c[1]);
    const float32x4_t multiplier[2] = {vreinterpretq_f32_u8(LoadAt<0>(m)),
                                       vreinterpretq_f32_u8(LoadAt<16>(m))};
    const float32x4_t bias[2] = {vreinterpretq_f32_u8(LoadAt<0>(b)),
                                 vreinterpretq_f32_u8(LoadAt<16>(b))};
    uint16x8_t pairs[2][4], agree[2][4];
    Turn<2>(c, pairs);
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) agree[i % 2][i / 2] = pinned::Sub(k.reduction, pairs[i % 2][i / 2]);
    if (kDual) {
      float32x4_t second[8];
      Dots<1>(pairs, agree, second);
      Scale(k.scale, second);
      NeonFinish f;
      Dots<0>(pairs, agree, f.v);
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 8; ++i) f.v[i] = pinned::Fadd(f.v[i], second[i]);
      Half<0, kResidual, kSlope>(k, f, multiplier, bias, threshold, rows, at, &bytes[0]);
      return;
    }
    NeonFinish f;
    Dots<0>(pairs, agree, f.v);
    Half<0, kResidual, kSlope>(k, f, multiplier, bias, threshold, rows, at, &bytes[0]);
    // Where rows are written in place, an earlier half must not have written those of this one.
    if (rows.frames <= kFrames / 2) return;
    Dots<1>(pairs, agree, f.v);
    Half<kDual ? 0 : 1, kResidual, kSlope>(k, f, multiplier, bias, threshold, rows, at,
                                           &bytes[1]);
  }

  // Of four frames: v[frame][outputs 0..3 or 4..7].
  template <int kHalf>
  static BIFSMN_NEON_INLINE void Dots(const uint16x8_t pairs[2][4], const uint16x8_t agree[2][4],
                                      float32x4_t v[8]) {
    int32x4_t dots[8];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) {
      const uint16x8_t p = pairs[i % 2][2 * kHalf + i / 4], a = agree[i % 2][2 * kHalf + i / 4];
      dots[i] = i % 4 < 2 ? pinned::SsublLow(a, p) : pinned::SsublHigh(a, p);
    }
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) v[i] = pinned::Scvtf(dots[i]);
  }

  // Each frame by a lane of `scale`.
  static BIFSMN_NEON_INLINE void Scale(float32x4_t scale, float32x4_t v[8]) {
    v[0] = pinned::FmulLane<0>(v[0], scale), v[1] = pinned::FmulLane<0>(v[1], scale);
    v[2] = pinned::FmulLane<1>(v[2], scale), v[3] = pinned::FmulLane<1>(v[3], scale);
    v[4] = pinned::FmulLane<2>(v[4], scale), v[5] = pinned::FmulLane<2>(v[5], scale);
    v[6] = pinned::FmulLane<3>(v[6], scale), v[7] = pinned::FmulLane<3>(v[7], scale);
  }

  // Finishes four frames.
  template <int kHalf, NeonResidual kResidual, NeonSlope kSlope>
  static BIFSMN_NEON_INLINE void Half(const Constants& k, NeonFinish& f,
                                      const float32x4_t multiplier[2], const float32x4_t bias[2],
                                      const float* t, const Rows& rows, int64_t at,
                                      uint8x16_t* bytes) {
    constexpr int kFrame = kHalf * kFrames / 2;
    f.template Affine<2>(multiplier, bias);
    const int64_t index[2] = {at + rows.residual, at + rows.residual + 16};
    f.template Rest<kResidual, kSlope>(k.slope, [&](int i) BIFSMN_NEON_LAMBDA {
      return pinned::LoadIndexed(rows.out[kFrame + i / 2], index[i % 2]);
    });
    const float32x4_t threshold[2] = {vreinterpretq_f32_u8(LoadAt<0>(t)),
                                      vreinterpretq_f32_u8(LoadAt<16>(t))};
    const int64_t place[2] = {at, at + 16};
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) {
      pinned::StoreIndexed(rows.out[kFrame + i / 2], place[i % 2], f.v[i]);
    }
    uint16x8_t masks[8];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) {
      masks[i] = vreinterpretq_u16_u32(pinned::Fcmge(f.v[i], threshold[i % 2]));
    }
    const uint16x8_t low0 = pinned::Uzp1(masks[0], masks[2]);
    const uint16x8_t low1 = pinned::Uzp1(masks[4], masks[6]);
    const uint16x8_t high0 = pinned::Uzp1(masks[1], masks[3]);
    const uint16x8_t high1 = pinned::Uzp1(masks[5], masks[7]);
    const uint8x16_t low =
        pinned::Uzp1(vreinterpretq_u8_u16(low0), vreinterpretq_u8_u16(low1));
    const uint8x16_t both =
        pinned::Uzp1(vreinterpretq_u8_u16(high0), vreinterpretq_u8_u16(high1));
    BIFSMN_NEON_UNROLL
    for (int i = 4; i < 8; ++i) {
      pinned::StoreIndexed(rows.out[kFrame + i / 2], place[i % 2], f.v[i]);
    }
    pinned::Store(bytes, 0, vreinterpretq_u16_u8(pinned::Bit(both, low, k.low)));
  }

  // The last one to seven outputs, by way of rows of eight.
  template <NeonResidual kResidual, NeonSlope kSlope>
  __attribute__((noinline)) void Tail(int n, uint8x16_t bytes[2]) const {
    struct {
      float out[kRows][8], residual[kRows][8];
    } local = {};
    const size_t size = (c.outputs - n) * sizeof(float);
    Rows rows;
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < kRows; ++f) {
      rows.out[f] = local.out[f];
      if (kResidual != NeonResidual::kNone && f < c.frames) {
        std::memcpy(local.residual[f], residual + f * stride + n, size);
      }
    }
    rows.residual = Distance(local.out[0], local.residual[0]);
    rows.frames = c.frames;
    Group<kResidual, kSlope>(MakeConstants(), c.counts + n * kFrames, end.multiplier + n,
                             end.bias + n, NeonThresholds(end.sign_threshold, n), rows, 0, bytes);
    for (int f = 0; f < c.frames; ++f) std::memcpy(out + f * stride + n, local.out[f], size);
  }
};

}  // namespace

void NeonCountsToDots(const NeonCounts& c, int32_t* dots, int64_t stride) {
  const uint16x8_t reduction = vdupq_n_u16(static_cast<uint16_t>(c.reduction));
  for (int n = 0; n < c.outputs; n += 4) {
    uint16x8_t counts[1][4], pairs[1][4];
    LoadCounts<0>(c.counts + n * kFrames, counts[0]);
    Turn<1>(counts, pairs);
    const size_t size = (c.outputs - n < 4 ? c.outputs - n : 4) * sizeof(int32_t);
    const bool whole = c.outputs - n >= 4 && c.frames == kFrames;
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) {
      const uint16x8_t agree = pinned::Sub(reduction, pairs[0][i]);
      const int32x4_t low = pinned::SsublLow(agree, pairs[0][i]);
      const int32x4_t high = pinned::SsublHigh(agree, pairs[0][i]);
      if (whole) {
        vst1q_s32(dots + 2 * i * stride + n, low);
        vst1q_s32(dots + (2 * i + 1) * stride + n, high);
        continue;
      }
      int32_t values[8];
      vst1q_s32(values, low);
      vst1q_s32(values + 4, high);
      if (2 * i < c.frames) std::memcpy(dots + 2 * i * stride + n, values, size);
      if (2 * i + 1 < c.frames) std::memcpy(dots + (2 * i + 1) * stride + n, values + 4, size);
    }
  }
}

void NeonCountsToFloat(const NeonCounts& c, const FloatEnd& end, const float* residual, float* out,
                       int64_t stride, uint32_t* signs, int64_t signs_stride) {
  NeonSelect(end, residual, FloatJob<false>{c, end, residual, out, stride, signs, signs_stride});
}

void NeonDualCountsToFloat(const NeonCounts& c, const float* scale, const FloatEnd& end,
                           const float* residual, float* out, int64_t stride, uint32_t* signs,
                           int64_t signs_stride) {
  NeonSelect(end, residual,
             FloatJob<true>{c, end, residual, out, stride, signs, signs_stride, scale});
}

namespace {

// Limits of 16 outputs, each for all frames: spread over a register.
struct CommonLimits {
  uint16x8_t low, high;
  explicit CommonLimits(const int16_t* limit)
      : low(vreinterpretq_u16_s16(vld1q_s16(limit))),
        high(vreinterpretq_u16_s16(vld1q_s16(limit + 8))) {}
  template <int kOutput>
  BIFSMN_NEON_INLINE uint16x8_t Of() const {
    return pinned::Dup16<kOutput % 8>(kOutput < 8 ? low : high);
  }
};

// A limit for every frame.
struct RowLimits {
  const int16_t* limit;
  explicit RowLimits(const int16_t* limits) : limit(limits) {}
  template <int kOutput>
  BIFSMN_NEON_INLINE uint16x8_t Of() const {
    return vreinterpretq_u16_u8(LoadAt<16 * kOutput>(limit));
  }
};

// Outputs kRow, kRow + 4, .. of 16: four chains, since every insertion waits for the one before.
template <int kRow, typename Limits>
BIFSMN_NEON_INLINE void FourBits(const uint16_t* counts, const Limits& limits,
                                 uint16x8_t bits[4]) {
  const uint16x8_t limit[4] = {limits.template Of<kRow>(), limits.template Of<kRow + 4>(),
                               limits.template Of<kRow + 8>(), limits.template Of<kRow + 12>()};
  const uint8x16_t count[4] = {LoadAt<16 * kRow>(counts), LoadAt<16 * kRow + 64>(counts),
                               LoadAt<16 * kRow + 128>(counts), LoadAt<16 * kRow + 192>(counts)};
  uint16x8_t mask[4];
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4; ++i) mask[i] = pinned::Cmge(limit[i], vreinterpretq_u16_u8(count[i]));
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4; ++i) bits[i] = kRow == 3 ? mask[i] : pinned::Sli<1>(mask[i], bits[i]);
}

// kStep limits for every output.
template <typename Limits, int kStep>
BIFSMN_NEON_INLINE void CountsToHalves(const NeonCounts& c, const int16_t* limit,
                                       uint16_t* halves) {
  const uint16_t* counts = c.counts;
  for (int n = c.outputs; n > 0; n -= 16) {
    const Limits limits(limit);
    // From the last output to the first: every step moves the bits up by one.
    uint16x8_t bits[4];
    FourBits<3>(counts, limits, bits);
    FourBits<2>(counts, limits, bits);
    FourBits<1>(counts, limits, bits);
    FourBits<0>(counts, limits, bits);
    const uint16x8_t a = pinned::Sli<4>(bits[0], bits[1]), b = pinned::Sli<4>(bits[2], bits[3]);
    vst1q_u16(halves, pinned::Sli<8>(a, b));
    counts += 16 * kFrames, limit += 16 * kStep, halves += kFrames;
  }
}

}  // namespace

void NeonCountsToHalves(const NeonCounts& c, const int16_t* limit, uint16_t* halves) {
  CountsToHalves<CommonLimits, 1>(c, limit, halves);
}

void NeonCountsToHalvesByRow(const NeonCounts& c, const int16_t* limits, uint16_t* halves) {
  CountsToHalves<RowLimits, kFrames>(c, limits, halves);
}

void NeonAddDualCounts(int outputs, const uint16_t* more, uint16_t* counts) {
  // Outputs are padded to 16: four at a time.
  for (int n = 0; n < outputs; n += 4, more += 4 * kFrames, counts += 4 * kFrames) {
    uint16x8_t a[4], b[4];
    LoadCounts<0>(counts, a);
    LoadCounts<0>(more, b);
    uint64x2_t first[4], second[4];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) {
      const uint64x2_t x = vreinterpretq_u64_u16(a[i]), y = vreinterpretq_u64_u16(b[i]);
      first[i] = vzip1q_u64(x, y), second[i] = vzip2q_u64(x, y);
    }
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) {
      const uint16x8_t twice = vshlq_n_u16(vreinterpretq_u16_u64(first[i]), 1);
      vst1q_u16(counts + i * kFrames, vaddq_u16(twice, vreinterpretq_u16_u64(second[i])));
    }
  }
}

void NeonOrNotHalves(int outputs, const uint16_t* others, uint16_t* halves) {
  for (int n = 0; n < outputs; n += 16, others += kFrames, halves += kFrames) {
    vst1q_u16(halves, vornq_u16(vld1q_u16(halves), vld1q_u16(others)));
  }
}

void NeonSelectHalves(int outputs, const uint16_t* choice, const uint16_t* high, uint16_t* low) {
  for (int n = 0; n < outputs; n += 16, choice += kFrames, high += kFrames, low += kFrames) {
    vst1q_u16(low, vbslq_u16(vld1q_u16(choice), vld1q_u16(high), vld1q_u16(low)));
  }
}

void NeonDotsToFloat(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                     const float* residual, float* out, uint32_t* signs, int64_t signs_stride) {
  const float32x4_t slope = vdupq_n_f32(end.slope);
  const uint32_t places[4] = {1, 2, 4, 8};
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t at = r * outputs;
    uint32_t* words = signs == nullptr ? nullptr : signs + r * signs_stride;
    if (words != nullptr) std::memset(words, 0, signs_stride * sizeof(uint32_t));
    for (int n = 0; n < outputs; n += 4) {
      const size_t size = (outputs - n < 4 ? outputs - n : 4) * sizeof(float);
      int32_t d[4] = {};
      float add[4] = {}, values[4];
      std::memcpy(d, dots + at + n, size);
      if (residual != nullptr) std::memcpy(add, residual + at + n, size);
      float32x4_t v = vmulq_f32(vcvtq_f32_s32(vld1q_s32(d)), vld1q_f32(end.multiplier + n));
      v = vaddq_f32(v, vld1q_f32(end.bias + n));
      if (residual != nullptr && end.residual_first) v = vaddq_f32(v, vld1q_f32(add));
      v = vbslq_f32(vcgezq_f32(v), v, vmulq_f32(v, slope));
      if (residual != nullptr && !end.residual_first) v = vaddq_f32(v, vld1q_f32(add));
      vst1q_f32(values, v);
      std::memcpy(out + at + n, values, size);
      if (words == nullptr) continue;
      const float32x4_t threshold = vld1q_f32(NeonThresholds(end.sign_threshold, n));
      const uint32_t bits = vaddvq_u32(vandq_u32(vcgeq_f32(v, threshold), vld1q_u32(places)));
      words[n / kWordBits] |= (bits & ((1u << size / 4) - 1)) << (n % kWordBits);
    }
  }
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
