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

#include "custom_ops/kernels/path.h"

// A compiler that keeps such a loop also keeps its vectors in memory.
#define BIFSMN_NEON_UNROLL _Pragma("GCC unroll 8")
#define BIFSMN_NEON_INLINE inline __attribute__((always_inline))

namespace bifsmn {

enum class NeonResidual { kNone, kFirst, kLast };
enum class NeonSlope { kNone, kUnit, kAny };

inline NeonResidual NeonResidualOf(const FloatEnd& end, const float* residual) {
  if (residual == nullptr) return NeonResidual::kNone;
  return end.residual_first ? NeonResidual::kFirst : NeonResidual::kLast;
}

// With a slope in (0, 1), the value is the larger of v and v * slope. Not with 0, which makes NaN
// of an infinity, nor with a subnormal slope, which a thread may take for 0.
inline NeonSlope NeonSlopeOf(float slope) {
  if (slope == 1.0f) return NeonSlope::kNone;
  const bool unit = slope >= std::numeric_limits<float>::min() && slope < 1.0f;
  return unit ? NeonSlope::kUnit : NeonSlope::kAny;
}

// Steps 1 to 5 of the float epilogue, each rounded on its own.
template <NeonResidual kResidual, NeonSlope kSlope>
inline __attribute__((always_inline)) float32x4_t NeonFinish(float32x4_t v, float32x4_t multiplier,
                                                             float32x4_t bias, float32x4_t slope,
                                                             const float* residual) {
  v = vaddq_f32(vmulq_f32(v, multiplier), bias);
  if (kResidual == NeonResidual::kFirst) v = vaddq_f32(v, vld1q_f32(residual));
  if (kSlope == NeonSlope::kUnit) {
    v = vmaxq_f32(v, vmulq_f32(v, slope));
  } else if (kSlope == NeonSlope::kAny) {
    v = vbslq_f32(vcgezq_f32(v), v, vmulq_f32(v, slope));
  }
  if (kResidual == NeonResidual::kLast) v = vaddq_f32(v, vld1q_f32(residual));
  return v;
}

// Calls run.Run<residual, slope>() with the constants of an epilogue.
template <NeonResidual kResidual, typename Run>
inline void NeonSelectSlope(NeonSlope slope, const Run& run) {
  if (slope == NeonSlope::kNone) return run.template operator()<kResidual, NeonSlope::kNone>();
  if (slope == NeonSlope::kUnit) return run.template operator()<kResidual, NeonSlope::kUnit>();
  return run.template operator()<kResidual, NeonSlope::kAny>();
}

template <typename Run>
inline void NeonSelect(const FloatEnd& end, const float* residual, const Run& run) {
  const NeonSlope slope = NeonSlopeOf(end.slope);
  switch (NeonResidualOf(end, residual)) {
    case NeonResidual::kNone: return NeonSelectSlope<NeonResidual::kNone>(slope, run);
    case NeonResidual::kFirst: return NeonSelectSlope<NeonResidual::kFirst>(slope, run);
    case NeonResidual::kLast: return NeonSelectSlope<NeonResidual::kLast>(slope, run);
  }
}

// The counts of `outputs` outputs, counts[outputs rounded up to 4][8], of which the first `frames`
// frames exist. Pointers are to the first of these outputs, in the first frame; strides are from
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

// halves[outputs / 16][8] = bits of 16 outputs, for outputs rounded up to 16.
void NeonCountsToHalves(const NeonCounts& c, const int16_t* limit, uint16_t* halves);

// Writes the halves as rows of `words` words, the bits from `outputs` on as zero.
void NeonHalvesToRows(const uint16_t* halves, int outputs, int frames, int64_t words,
                      uint32_t* out, int64_t stride);

void NeonDotsToFloat(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                     const float* residual, float* out, uint32_t* signs, int64_t signs_stride);

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

// Bytes of all ones and zeros to bits; 16 of them make two bytes.
inline uint8x16_t NeonBitOfLane() {
  return vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)

#endif  // BIFSMN_KERNELS_NEON_ENDS_H_
