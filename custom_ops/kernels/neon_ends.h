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

// What follows the counts on the NEON paths: dot products, bits, or floats with their signs.

#ifndef BIFSMN_KERNELS_NEON_ENDS_H_
#define BIFSMN_KERNELS_NEON_ENDS_H_

#if defined(__aarch64__)

#include <arm_neon.h>

#include <cstdint>
#include <limits>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/neon_pinned.h"
#include "custom_ops/kernels/path.h"

// A compiler that keeps such a loop also keeps its vectors in memory.
#define BIFSMN_NEON_UNROLL _Pragma("GCC unroll 16")
#define BIFSMN_NEON_INLINE inline __attribute__((always_inline))
#define BIFSMN_NEON_LAMBDA __attribute__((always_inline))

namespace bifsmn {

enum class NeonResidual { kNone, kFirst, kLast };
enum class NeonSlope { kUnit, kAny };

// With a slope in (0, 1), the value is the larger of v and v * slope. Not with 0, which makes NaN
// of an infinity, nor with a subnormal slope, which a thread may take for 0.
inline NeonSlope NeonSlopeOf(float slope) {
  const bool unit = slope >= std::numeric_limits<float>::min() && slope < 1.0f;
  return unit ? NeonSlope::kUnit : NeonSlope::kAny;
}

// The thresholds of signs for up to 128 outputs where an epilogue names none.
extern const float kNeonNoThreshold[128];

// Those of the outputs from n on; of an epilogue that has them, or not.
inline const float* NeonThresholds(const float* sign_threshold, int n) {
  return sign_threshold == nullptr ? kNeonNoThreshold : sign_threshold + n;
}

// A float epilogue with the steps it has, for as many floats as eight registers hold.
//
// Every step is taken for all eight registers before the next one: eight independent chains hide
// the latency of an in-order core, which executes this as it is written.
struct NeonFinish {
  float32x4_t v[8];

  // Rounded on its own, as every step is. Register i has multiplier i % kConstants and bias
  // i % kBiases.
  template <int kConstants, int kBiases = kConstants>
  BIFSMN_NEON_INLINE void Affine(const float32x4_t* multiplier, const float32x4_t* bias) {
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) v[i] = pinned::Fmul(v[i], multiplier[i % kConstants]);
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) v[i] = pinned::Fadd(v[i], bias[i % kBiases]);
  }

  // `load` gives register i of the residual.
  template <NeonResidual kResidual, NeonSlope kSlope, typename Load>
  BIFSMN_NEON_INLINE void Rest(float32x4_t slope, const Load& load) {
    if (kResidual == NeonResidual::kFirst) Add(load);
    float32x4_t t[8];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) t[i] = pinned::Fmul(v[i], slope);
    if (kSlope == NeonSlope::kUnit) {
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 8; ++i) v[i] = pinned::Fmax(v[i], t[i]);
    } else {
      // A slope of 1 changes nothing: the product is v.
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 8; ++i) v[i] = pinned::Bsl(pinned::Fcmge0(v[i]), v[i], t[i]);
    }
    if (kResidual == NeonResidual::kLast) Add(load);
  }

  template <typename Load>
  BIFSMN_NEON_INLINE void Add(const Load& load) {
    float32x4_t residual[8];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) residual[i] = load(i);
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) v[i] = pinned::Fadd(v[i], residual[i]);
  }
};

// Calls run.operator()<residual, slope>() with the constants of an epilogue.
template <NeonResidual kResidual, typename Run>
BIFSMN_NEON_INLINE void NeonSelectSlope(const FloatEnd& end, const Run& run) {
  if (NeonSlopeOf(end.slope) == NeonSlope::kUnit) {
    return run.template operator()<kResidual, NeonSlope::kUnit>();
  }
  return run.template operator()<kResidual, NeonSlope::kAny>();
}

template <typename Run>
BIFSMN_NEON_INLINE void NeonSelect(const FloatEnd& end, const float* residual, const Run& run) {
  if (residual == nullptr) return NeonSelectSlope<NeonResidual::kNone>(end, run);
  if (end.residual_first) return NeonSelectSlope<NeonResidual::kFirst>(end, run);
  return NeonSelectSlope<NeonResidual::kLast>(end, run);
}

// The counts of at most kNeonChunk outputs, counts[outputs rounded up to 16][8], of which the first
// `frames` frames exist. Pointers are to the first of these outputs, in the first frame; strides are from
// frame to frame.
struct NeonCounts {
  const uint16_t* counts;
  int outputs, frames, reduction;
};

void NeonCountsToDots(const NeonCounts& c, int32_t* dots, int64_t stride);

// `end` is at these outputs. `signs` is null or at the word of the first output, which is a
// multiple of 32.
void NeonCountsToFloat(const NeonCounts& c, const FloatEnd& end, const float* residual, float* out,
                       int64_t stride, uint32_t* signs, int64_t signs_stride);

// Two sums of each output: frames 0..3 of the counts are those of the first bits, frames 4..7 those
// of the second, of the same c.frames, at most four, rows. `scale` has one value for each of them.
void NeonDualCountsToFloat(const NeonCounts& c, const float* scale, const FloatEnd& end,
                           const float* residual, float* out, int64_t stride, uint32_t* signs,
                           int64_t signs_stride);

// halves[outputs / 16][8] = bits of 16 outputs, for outputs rounded up to 16. The limits are padded
// as well.
void NeonCountsToHalves(const NeonCounts& c, const int16_t* limit, uint16_t* halves);

// The same with limits[outputs][8 frames].
void NeonCountsToHalvesByRow(const NeonCounts& c, const int16_t* limits, uint16_t* halves);

// counts[output] = 2 first + second of rows 0..3, which are those in `counts`, and of rows 4..7 in
// `more`: the first four frames of either are first sums, the others second ones.
void NeonAddDualCounts(int outputs, const uint16_t* more, uint16_t* counts);

// halves |= ~others, of halves as NeonCountsToHalves makes them.
void NeonOrNotHalves(int outputs, const uint16_t* others, uint16_t* halves);

// low = choice ? high : low, bit by bit.
void NeonSelectHalves(int outputs, const uint16_t* choice, const uint16_t* high, uint16_t* low);

void NeonDotsToFloat(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                     const float* residual, float* out, uint32_t* signs, int64_t signs_stride);

// Writes the first words of `bits` for up to 128 outputs; further outputs' bits become zero.
inline void NeonStoreWords(uint32x4_t bits, int outputs, uint32_t* out) {
  if (outputs >= 128) {
    vst1q_u32(out, bits);
    return;
  }
  uint32_t words[4];
  vst1q_u32(words, bits);
  for (int i = 0; kWordBits * i < outputs; ++i) {
    const int left = outputs - kWordBits * i;
    out[i] = words[i] & (left < kWordBits ? LastWordMask(left) : ~uint32_t{0});
  }
}

// Rows and columns of eight 16-bit numbers change places.
inline __attribute__((always_inline)) void NeonTurn8x8(uint16x8_t r[8]) {
  BIFSMN_NEON_UNROLL
  for (int step = 0; step < 3; ++step) {
    uint16x8_t t[8];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) {
      t[2 * i] = vzip1q_u16(r[i], r[i + 4]);
      t[2 * i + 1] = vzip2q_u16(r[i], r[i + 4]);
    }
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) r[i] = t[i];
  }
}

// Writes the halves as rows of `words` words, the bits from `outputs` on as zero.
BIFSMN_NEON_INLINE void NeonHalvesToRows(const uint16_t* halves, int outputs, int frames,
                                         int64_t words, uint32_t* out, int64_t stride) {
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

// Bytes of all ones and zeros to bits; 16 of them make two bytes.
inline uint8x16_t NeonBitOfLane() {
  return vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)

#endif  // BIFSMN_KERNELS_NEON_ENDS_H_
