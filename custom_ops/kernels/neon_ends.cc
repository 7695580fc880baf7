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
// outputs of a frame side by side. Four outputs are turned at a time:
//
//   c[4] : counts of four outputs, eight frames each       4 loads
//   two levels of ZIP: the four outputs of frames 2 i and 2 i + 1 in one register     8 zip
//   dot[f] = (K - c) - c, the second subtraction widening                    4 sub, 8 ssubl
//   v[f] = float epilogue of dot[f]                                     8 each of its steps
//
// Eight frames are eight independent chains: enough for the latency of an in-order core.
//
// Signs: v >= 0 gives 32-bit masks; two levels of UZP1 leave a byte for each output of four frames;
// the outputs' places in a byte are ANDed in, and a pairwise tree over 32 outputs leaves a word
// for each of four frames in one register. Comparing floats is exact here: a thread that flushes
// subnormals has flushed v already.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_ends.h"

#include <cstring>

#include "custom_ops/kernels/bits.h"

namespace bifsmn {
namespace {

constexpr int kFrames = 8;


// Dot products of four outputs with eight frames.
BIFSMN_NEON_INLINE void TurnedDots(const uint16_t* counts, uint16x8_t reduction,
                                   int32x4_t dots[kFrames]) {
  const uint16x8_t c0 = vld1q_u16(counts), c1 = vld1q_u16(counts + 8);
  const uint16x8_t c2 = vld1q_u16(counts + 16), c3 = vld1q_u16(counts + 24);
  const uint16x8_t a = vzip1q_u16(c0, c2), b = vzip1q_u16(c1, c3);
  const uint16x8_t d = vzip2q_u16(c0, c2), e = vzip2q_u16(c1, c3);
  const uint16x8_t pairs[4] = {vzip1q_u16(a, b), vzip2q_u16(a, b), vzip1q_u16(d, e),
                               vzip2q_u16(d, e)};
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int16x8_t agree = vreinterpretq_s16_u16(vsubq_u16(reduction, pairs[i]));
    const int16x8_t differ = vreinterpretq_s16_u16(pairs[i]);
    dots[2 * i] = vsubl_s16(vget_low_s16(agree), vget_low_s16(differ));
    dots[2 * i + 1] = vsubl_high_s16(agree, differ);
  }
}

// Four outputs of all frames to masks of one byte each, frames 0..3 and 4..7.
BIFSMN_NEON_INLINE void Narrow(const uint32x4_t masks[kFrames], uint8x16_t bytes[2]) {
  BIFSMN_NEON_UNROLL
  for (int half = 0; half < 2; ++half) {
    const uint16x8_t a = vuzp1q_u16(vreinterpretq_u16_u32(masks[4 * half]),
                                    vreinterpretq_u16_u32(masks[4 * half + 1]));
    const uint16x8_t b = vuzp1q_u16(vreinterpretq_u16_u32(masks[4 * half + 2]),
                                    vreinterpretq_u16_u32(masks[4 * half + 3]));
    bytes[half] = vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
  }
}

// The signs of 32 outputs on their way to a word for every frame.
struct SignBytes {
  // [eight outputs][frames 0..3 or 4..7]: for every frame the bits of outputs 8 g + l and
  // 8 g + 4 + l in byte l.
  uint8x16_t bytes[4][2];

  void Clear() { std::memset(bytes, 0, sizeof(bytes)); }

  // `group` counts groups of four outputs.
  BIFSMN_NEON_INLINE void Set(int group, const uint8x16_t masks[2]) {
    const uint8x16_t place =
        vreinterpretq_u8_u32(vdupq_n_u32(group % 2 == 0 ? 0x08040201u : 0x80402010u));
    BIFSMN_NEON_UNROLL
    for (int half = 0; half < 2; ++half) {
      uint8x16_t& to = bytes[group / 2][half];
      to = vorrq_u8(to, vandq_u8(masks[half], place));
    }
  }

  BIFSMN_NEON_INLINE void Words(uint32_t words[kFrames]) const {
    // Two pairwise levels leave for every group of eight one byte of each of four frames.
    static const uint8_t kTurn[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    const uint8x16_t turn = vld1q_u8(kTurn);
    BIFSMN_NEON_UNROLL
    for (int half = 0; half < 2; ++half) {
      const uint8x16_t a = vpaddq_u8(bytes[0][half], bytes[1][half]);
      const uint8x16_t b = vpaddq_u8(bytes[2][half], bytes[3][half]);
      const uint8x16_t by_frame = vqtbl1q_u8(vpaddq_u8(a, b), turn);
      vst1q_u32(words + 4 * half, vreinterpretq_u32_u8(by_frame));
    }
  }
};

struct Rows {
  const float* residual[kFrames];
  float* out[kFrames];
};

// One group of four outputs, eight frames.
template <NeonResidual kResidual, NeonSlope kSlope, bool kSigns>
BIFSMN_NEON_INLINE void FloatGroup(const int32x4_t dots[kFrames], const float* multiplier,
                                   const float* bias, float32x4_t slope, const Rows& rows, int n,
                                   int group, SignBytes* signs) {
  const float32x4_t m = vld1q_f32(multiplier), b = vld1q_f32(bias);
  float32x4_t v[kFrames];
  BIFSMN_NEON_UNROLL
  for (int f = 0; f < kFrames; ++f) {
    const float* residual = kResidual == NeonResidual::kNone ? nullptr : rows.residual[f] + n;
    v[f] = NeonFinish<kResidual, kSlope>(vcvtq_f32_s32(dots[f]), m, b, slope, residual);
  }
  BIFSMN_NEON_UNROLL
  for (int f = 0; f < kFrames; ++f) vst1q_f32(rows.out[f] + n, v[f]);
  if (kSigns) {
    uint32x4_t masks[kFrames];
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < kFrames; ++f) masks[f] = vcgezq_f32(v[f]);
    uint8x16_t bytes[2];
    Narrow(masks, bytes);
    signs->Set(group, bytes);
  }
}

struct FloatJob {
  const NeonCounts& c;
  const FloatEnd& end;
  const float* residual;
  float* out;
  int64_t stride;
  uint32_t* signs;
  int64_t signs_stride;

  template <NeonResidual kResidual, NeonSlope kSlope>
  void operator()() const {
    if (signs != nullptr) {
      Run<kResidual, kSlope, true>();
    } else {
      Run<kResidual, kSlope, false>();
    }
  }

  template <NeonResidual kResidual, NeonSlope kSlope, bool kSigns>
  void Run() const {
    constexpr bool kAdd = kResidual != NeonResidual::kNone;
    // Frames that do not exist are computed, too, into a row that nobody reads.
    float unused[kEndBlock];
    const uint16x8_t reduction = vdupq_n_u16(static_cast<uint16_t>(c.reduction));
    const float32x4_t slope = vdupq_n_f32(end.slope);
    SignBytes bytes;
    for (int n = 0; n < c.outputs; n += kEndBlock) {
      const int count = c.outputs - n < kEndBlock ? c.outputs - n : kEndBlock;
      Rows rows;
      BIFSMN_NEON_UNROLL
      for (int f = 0; f < kFrames; ++f) {
        const bool exists = f < c.frames;
        rows.out[f] = exists ? out + f * stride + n : unused;
        if (kAdd) rows.residual[f] = residual + (exists ? f : 0) * stride + n;
      }
      if (kSigns) bytes.Clear();
      int i = 0;
      for (; i + 4 <= count; i += 4) {
        int32x4_t dots[kFrames];
        TurnedDots(c.counts + (n + i) * kFrames, reduction, dots);
        FloatGroup<kResidual, kSlope, kSigns>(dots, end.multiplier + n + i, end.bias + n + i,
                                              slope, rows, i, i / 4, &bytes);
      }
      if (i < count) Tail<kResidual, kSlope, kSigns>(n, i, count, reduction, slope, rows, &bytes);
      if (kSigns) {
        uint32_t words[kFrames];
        bytes.Words(words);
        for (int f = 0; f < c.frames; ++f) {
          signs[f * signs_stride + n / kEndBlock] = words[f] & LastWordMask(count);
        }
      }
    }
  }

  // The last one to three outputs, by way of rows of four.
  template <NeonResidual kResidual, NeonSlope kSlope, bool kSigns>
  __attribute__((noinline)) void Tail(int n, int i, int count, uint16x8_t reduction,
                                      float32x4_t slope, const Rows& rows,
                                      SignBytes* bytes) const {
    float out_rows[kFrames][4], residual_rows[kFrames][4] = {};
    Rows local;
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < kFrames; ++f) {
      local.out[f] = out_rows[f];
      local.residual[f] = residual_rows[f];
      if (kResidual != NeonResidual::kNone) {
        std::memcpy(residual_rows[f], rows.residual[f] + i, (count - i) * sizeof(float));
      }
    }
    int32x4_t dots[kFrames];
    TurnedDots(c.counts + (n + i) * kFrames, reduction, dots);
    FloatGroup<kResidual, kSlope, kSigns>(dots, end.multiplier + n + i, end.bias + n + i, slope,
                                          local, 0, i / 4, bytes);
    for (int f = 0; f < c.frames; ++f) {
      std::memcpy(rows.out[f] + i, out_rows[f], (count - i) * sizeof(float));
    }
  }
};

}  // namespace

void NeonCountsToDots(const NeonCounts& c, int32_t* dots, int64_t stride) {
  const uint16x8_t reduction = vdupq_n_u16(static_cast<uint16_t>(c.reduction));
  for (int n = 0; n < c.outputs; n += 4) {
    int32x4_t turned[kFrames];
    TurnedDots(c.counts + n * kFrames, reduction, turned);
    const int count = c.outputs - n < 4 ? c.outputs - n : 4;
    for (int f = 0; f < c.frames; ++f) {
      if (count == 4) {
        vst1q_s32(dots + f * stride + n, turned[f]);
      } else {
        int32_t values[4];
        vst1q_s32(values, turned[f]);
        std::memcpy(dots + f * stride + n, values, count * sizeof(int32_t));
      }
    }
  }
}

void NeonCountsToFloat(const NeonCounts& c, const FloatEnd& end, const float* residual, float* out,
                       int64_t stride, uint32_t* signs, int64_t signs_stride) {
  NeonSelect(end, residual, FloatJob{c, end, residual, out, stride, signs, signs_stride});
}

void NeonCountsToHalves(const NeonCounts& c, const int16_t* limit, uint16_t* halves) {
  for (int n = 0; n < c.outputs; n += 16, halves += kFrames) {
    // From the last output to the first: every step moves the bits up by one.
    uint16x8_t bits = vdupq_n_u16(0);
    for (int i = 15; i >= 0; --i) {
      const int16x8_t count = vld1q_s16(
          reinterpret_cast<const int16_t*>(c.counts + (n + i) * kFrames));
      bits = vsliq_n_u16(vcgeq_s16(vld1q_dup_s16(limit + n + i), count), bits, 1);
    }
    vst1q_u16(halves, bits);
  }
}

void NeonHalvesToRows(const uint16_t* halves, int outputs, int frames, int64_t words,
                      uint32_t* out, int64_t stride) {
  int64_t done = 0;
  for (; done + 4 <= words && done * 32 + 128 <= outputs; done += 4, halves += 64) {
    uint16x8_t r[8];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) r[i] = vld1q_u16(halves + 8 * i);
    NeonTurn8x8(r);
    for (int f = 0; f < frames; ++f) {
      vst1q_u32(out + f * stride + done, vreinterpretq_u32_u16(r[f]));
    }
  }
  for (; done < words; ++done, halves += 16) {
    const int64_t left = outputs - done * 32;
    for (int f = 0; f < frames; ++f) {
      uint32_t word = 0;
      if (left > 0) word = halves[f];
      if (left > 16) word |= uint32_t{halves[f + 8]} << 16;
      if (left > 0 && left < 32) word &= LastWordMask(left);
      out[f * stride + done] = word;
    }
  }
}

namespace {

struct DotsJob {
  const int32_t* dots;
  int64_t rows;
  int outputs;
  const FloatEnd& end;
  const float* residual;
  float* out;
  uint32_t* signs;
  int64_t signs_stride;

  template <NeonResidual kResidual, NeonSlope kSlope>
  void operator()() const {
    const float32x4_t slope = vdupq_n_f32(end.slope);
    constexpr bool kAdd = kResidual != NeonResidual::kNone;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t at = r * outputs;
      uint32_t* words = signs == nullptr ? nullptr : signs + r * signs_stride;
      if (words != nullptr) std::memset(words, 0, signs_stride * sizeof(uint32_t));
      for (int n = 0; n < outputs; n += 4) {
        const int count = outputs - n < 4 ? outputs - n : 4;
        if (count == 4 && words == nullptr) {
          const float32x4_t value = NeonFinish<kResidual, kSlope>(
              vcvtq_f32_s32(vld1q_s32(dots + at + n)), vld1q_f32(end.multiplier + n),
              vld1q_f32(end.bias + n), slope, residual + (kAdd ? at + n : 0));
          vst1q_f32(out + at + n, value);
          continue;
        }
        int32_t d[4] = {};
        float add[4] = {}, v[4];
        std::memcpy(d, dots + at + n, count * sizeof(int32_t));
        if (kAdd) std::memcpy(add, residual + at + n, count * sizeof(float));
        const float32x4_t value = NeonFinish<kResidual, kSlope>(
            vcvtq_f32_s32(vld1q_s32(d)), vld1q_f32(end.multiplier + n), vld1q_f32(end.bias + n),
            slope, add);
        vst1q_f32(v, value);
        std::memcpy(out + at + n, v, count * sizeof(float));
        if (words != nullptr) {
          const uint32_t places[4] = {1, 2, 4, 8};
          const uint32_t bits = vaddvq_u32(vandq_u32(vcgezq_f32(value), vld1q_u32(places)));
          words[n / 32] |= (bits & ((1u << count) - 1)) << (n % 32);
        }
      }
    }
  }
};

}  // namespace

void NeonDotsToFloat(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                     const float* residual, float* out, uint32_t* signs, int64_t signs_stride) {
  NeonSelect(end, residual,
             DotsJob{dots, rows, outputs, end, residual, out, signs, signs_stride});
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
