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

// Layers of two bits with NEON. Of dual scale, two bits and |r| of 32 floats at a time:
//
//   one    = 1 or -1 for x >= shift0             8 fcmge, 8 bsl
//   r      = (x - one) - shift1                  16 fsub
//   sums  += |r|                                 8 fabs, 8 fadd
//   first  = signs of `one`                      6 uzp2, 2 cmge
//   second = r >= 0                              8 fcmge, 6 uzp1
//   both   : masks to bits                       4 and, 4 addp
//
//   registers: sums 8 | x, then r 8 | one, then shifts or masks 8 | bytes 4 | 1, -1, places
//
// Why so: value i goes to sum i % 32, so eight registers add up a row in the order that every path
// keeps, with eight independent chains for an in-order core: each step for all eight before the
// next one, and nothing is kept in memory. BSL overwrites its mask; rather than copy it, the bits
// come from the signs it has chosen. Over time the sums are one per channel; the channels are the
// outer loop and their sums stay in registers.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_dual.h"

#include <arm_neon.h>

#include <cstring>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/neon_ends.h"
#include "custom_ops/kernels/scalar_dual.h"

namespace bifsmn {
namespace {

constexpr int kGroups = 8;  // of 4 floats in a word

// Masks of 32 lanes to a word.
BIFSMN_NEON_INLINE uint32_t WordOf(const uint32x4_t m[kGroups]) {
  uint8x16_t bytes[2];
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 2; ++i) {
    const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(m[4 * i]),
                                      vreinterpretq_u16_u32(m[4 * i + 1]));
    const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(m[4 * i + 2]),
                                       vreinterpretq_u16_u32(m[4 * i + 3]));
    bytes[i] = vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)),
                        NeonBitOfLane());
  }
  uint8x16_t sum = vpaddq_u8(bytes[0], bytes[1]);
  sum = vpaddq_u8(sum, sum);
  sum = vpaddq_u8(sum, sum);
  return vgetq_lane_u32(vreinterpretq_u32_u8(sum), 0);
}

// Halves of 32 lanes of 32 bits: kEnd 0 for the lowest byte of each, 1 for the highest.
template <int kEnd>
BIFSMN_NEON_INLINE void Narrow(const uint16x8_t lanes[kGroups], uint8x16_t bytes[2]) {
  uint16x8_t halves[4];
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4; ++i) {
    halves[i] = kEnd == 0 ? pinned::Uzp1(lanes[2 * i], lanes[2 * i + 1])
                          : pinned::Uzp2(lanes[2 * i], lanes[2 * i + 1]);
  }
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 2; ++i) {
    const uint8x16_t a = vreinterpretq_u8_u16(halves[2 * i]);
    const uint8x16_t b = vreinterpretq_u8_u16(halves[2 * i + 1]);
    bytes[i] = kEnd == 0 ? pinned::Uzp1(a, b) : pinned::Uzp2(a, b);
  }
}

BIFSMN_NEON_INLINE float32x4_t LoadFloats(const float* p, int g) {
  return vreinterpretq_f32_u8(pinned::Load(p, 16 * g));
}

BIFSMN_NEON_INLINE void SplitWord(const float* x, const float* shift0, const float* shift1,
                                  uint32_t* first, uint32_t* second, float32x4_t sums[kGroups]) {
  const float32x4_t plus = vdupq_n_f32(1.0f), minus = vdupq_n_f32(-1.0f);
  float32x4_t r[kGroups], one[kGroups], shift[kGroups];
  uint8x16_t bytes[4];
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) {
    r[g] = LoadFloats(x, g);
    one[g] = LoadFloats(shift0, g);
  }
  uint32x4_t masks[kGroups];
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) masks[g] = pinned::Fcmge(r[g], one[g]);
  // The sign of `one` is what is left of the mask.
  uint16x8_t lanes[kGroups];
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) {
    one[g] = pinned::Bsl(masks[g], plus, minus);
    lanes[g] = vreinterpretq_u16_f32(one[g]);
  }
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) r[g] = pinned::Fsub(r[g], one[g]);
  Narrow<1>(lanes, bytes);
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) shift[g] = LoadFloats(shift1, g);
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) r[g] = pinned::Fsub(r[g], shift[g]);
  bytes[0] = pinned::Cmge0(bytes[0]);
  bytes[1] = pinned::Cmge0(bytes[1]);
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) lanes[g] = vreinterpretq_u16_u32(pinned::Fcmge0(r[g]));
  Narrow<0>(lanes, bytes + 2);
  // Masks of both words to bits; the magnitudes fill the gaps of this one chain.
  const uint8x16_t places = NeonBitOfLane();
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4; ++i) bytes[i] = pinned::And(bytes[i], places);
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < 4; ++g) r[g] = pinned::Fabs(r[g]);
  bytes[0] = pinned::Addp(bytes[0], bytes[1]);
  bytes[2] = pinned::Addp(bytes[2], bytes[3]);
  BIFSMN_NEON_UNROLL
  for (int g = 4; g < 8; ++g) r[g] = pinned::Fabs(r[g]);
  bytes[0] = pinned::Addp(bytes[0], bytes[2]);
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < 4; ++g) sums[g] = pinned::Fadd(sums[g], r[g]);
  bytes[0] = pinned::Addp(bytes[0], bytes[0]);
  BIFSMN_NEON_UNROLL
  for (int g = 4; g < 8; ++g) sums[g] = pinned::Fadd(sums[g], r[g]);
  const uint32x4_t words = vreinterpretq_u32_u8(bytes[0]);
  vst1q_lane_u32(first, words, 0);
  vst1q_lane_u32(second, words, 1);
}

void PackShifted(const float* x, int64_t rows, int channels, const float* shift, uint32_t* out,
                 int64_t out_stride) {
  const int whole = channels / kWordBits * kWordBits;
  for (int64_t r = 0; r < rows; ++r, x += channels, out += out_stride) {
    for (int c = 0; c < whole; c += kWordBits) {
      uint32x4_t masks[kGroups];
      BIFSMN_NEON_UNROLL
      for (int g = 0; g < kGroups; ++g) {
        masks[g] = vcgeq_f32(vld1q_f32(x + c + 4 * g), vld1q_f32(shift + c + 4 * g));
      }
      out[c / kWordBits] = WordOf(masks);
    }
    const int words = whole / kWordBits;
    scalar::PackShifted(x + whole, 1, channels - whole, shift + whole, out + words,
                        out_stride - words);
  }
}

void Split(const float* x, int64_t count, const float* shift0, const float* shift1,
           uint32_t* first, uint32_t* second, float* sums) {
  const int64_t whole = count / kWordBits * kWordBits;
  float32x4_t sum[kGroups];
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) sum[g] = vld1q_f32(sums + 4 * g);
  for (int64_t i = 0; i < whole; i += kWordBits) {
    SplitWord(x + i, shift0 + i, shift1 + i, first + i / kWordBits, second + i / kWordBits, sum);
  }
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) vst1q_f32(sums + 4 * g, sum[g]);
  scalar::Split(x + whole, count - whole, shift0 + whole, shift1 + whole,
                first + whole / kWordBits, second + whole / kWordBits, sums);
}

void SplitOverTime(const float* x, int64_t frames, int channels, const float* shift0,
                   const float* shift1, uint32_t* first, uint32_t* second, int64_t stride,
                   float* sums) {
  const int whole = channels / kWordBits * kWordBits;
  for (int c = 0; c < whole; c += kWordBits) {
    float32x4_t sum[kGroups];
    BIFSMN_NEON_UNROLL
    for (int g = 0; g < kGroups; ++g) sum[g] = vld1q_f32(sums + c + 4 * g);
    for (int64_t t = 0; t < frames; ++t) {
      const int64_t at = t * stride + c / kWordBits;
      SplitWord(x + t * channels + c, shift0 + c, shift1 + c, first + at, second + at, sum);
    }
    BIFSMN_NEON_UNROLL
    for (int g = 0; g < kGroups; ++g) vst1q_f32(sums + c + 4 * g, sum[g]);
  }
  const int64_t words = whole / kWordBits;
  for (int64_t t = 0; t < frames; ++t) {
    uint32_t *a = first + t * stride, *b = second + t * stride;
    if (whole < channels) {
      scalar::SplitWord(x + t * channels + whole, channels - whole, shift0 + whole,
                        shift1 + whole, a + words, b + words, sums + whole);
    }
    scalar::ClearTail(a, channels, stride);
    scalar::ClearTail(b, channels, stride);
  }
}

// Both bits of 32 floats of four levels: 16 fcmge, 8 bsl, 12 uzp1, 4 and, 4 addp. The mask of the
// first comparison is needed twice and so kept as bytes before BSL overwrites it.
BIFSMN_NEON_INLINE void LevelsWord(const float* x, const float* low, const float* middle,
                                   const float* high, uint32_t* first, uint32_t* second) {
  float32x4_t value[kGroups], limit[kGroups];
  uint32x4_t masks[kGroups];
  uint16x8_t lanes[kGroups];
  uint8x16_t bytes[4];
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) {
    value[g] = LoadFloats(x, g);
    limit[g] = LoadFloats(middle, g);
  }
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) masks[g] = pinned::Fcmge(value[g], limit[g]);
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) lanes[g] = vreinterpretq_u16_u32(masks[g]);
  Narrow<0>(lanes, bytes);
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) limit[g] = LoadFloats(high, g);
  // By halves: 30 registers are in use.
  BIFSMN_NEON_UNROLL
  for (int half = 0; half < kGroups; half += 4) {
    float32x4_t other[4];
    BIFSMN_NEON_UNROLL
    for (int g = 0; g < 4; ++g) other[g] = LoadFloats(low, half + g);
    BIFSMN_NEON_UNROLL
    for (int g = 0; g < 4; ++g) {
      limit[half + g] = pinned::Bsl(masks[half + g], limit[half + g], other[g]);
    }
  }
  BIFSMN_NEON_UNROLL
  for (int g = 0; g < kGroups; ++g) {
    lanes[g] = vreinterpretq_u16_u32(pinned::Fcmge(value[g], limit[g]));
  }
  Narrow<0>(lanes, bytes + 2);
  const uint8x16_t places = NeonBitOfLane();
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4; ++i) bytes[i] = pinned::And(bytes[i], places);
  bytes[0] = pinned::Addp(bytes[0], bytes[1]);
  bytes[2] = pinned::Addp(bytes[2], bytes[3]);
  bytes[0] = pinned::Addp(bytes[0], bytes[2]);
  bytes[0] = pinned::Addp(bytes[0], bytes[0]);
  const uint32x4_t words = vreinterpretq_u32_u8(bytes[0]);
  vst1q_lane_u32(first, words, 0);
  vst1q_lane_u32(second, words, 1);
}

void SplitLevels(const float* x, int64_t rows, int channels, const float* low,
                 const float* middle, const float* high, uint32_t* first, uint32_t* second,
                 int64_t stride) {
  const int whole = channels / kWordBits * kWordBits, words = whole / kWordBits;
  for (int64_t r = 0; r < rows; ++r, x += channels, first += stride, second += stride) {
    for (int c = 0; c < whole; c += kWordBits) {
      LevelsWord(x + c, low + c, middle + c, high + c, first + c / kWordBits,
                 second + c / kWordBits);
    }
    scalar::SplitLevels(x + whole, 1, channels - whole, low + whole, middle + whole,
                        high + whole, first + words, second + words, stride - words);
  }
}

struct DualDots {
  BIFSMN_NEON_INLINE float32x4_t Load(int64_t row, int64_t at) const {
    const float32x4_t term = vmulq_n_f32(vcvtq_f32_s32(vld1q_s32(second + at)), scale[row]);
    return vaddq_f32(vcvtq_f32_s32(vld1q_s32(first + at)), term);
  }
  BIFSMN_NEON_INLINE float LoadOne(int64_t row, int64_t at) const {
    const float term = static_cast<float>(second[at]) * scale[row];
    return static_cast<float>(first[at]) + term;
  }
  const int32_t *first, *second;
  const float* scale;
};

struct Values {
  BIFSMN_NEON_INLINE float32x4_t Load(int64_t, int64_t at) const { return vld1q_f32(values + at); }
  BIFSMN_NEON_INLINE float LoadOne(int64_t, int64_t at) const { return values[at]; }
  const float* values;
};

// Finishes sums of any source, 32 outputs with their signs at a time.
template <typename Source>
struct EndJob {
  const Source& source;
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
    const int whole = outputs / kWordBits * kWordBits;
    for (int64_t r = 0; r < rows; ++r) {
      uint32_t* words = signs == nullptr ? nullptr : signs + r * signs_stride;
      for (int n = 0; n < whole; n += kWordBits) {
        const int64_t at = r * outputs + n;
        NeonFinish f;
        float32x4_t multiplier[kGroups], bias[kGroups];
        BIFSMN_NEON_UNROLL
        for (int g = 0; g < kGroups; ++g) {
          f.v[g] = source.Load(r, at + 4 * g);
          multiplier[g] = vld1q_f32(end.multiplier + n + 4 * g);
          bias[g] = vld1q_f32(end.bias + n + 4 * g);
        }
        f.Affine<kGroups>(multiplier, bias);
        f.Rest<kResidual, kSlope>(slope, [&](int g) BIFSMN_NEON_LAMBDA {
          return vld1q_f32(residual + at + 4 * g);
        });
        const float* threshold = NeonThresholds(end.sign_threshold, n);
        uint32x4_t masks[kGroups];
        BIFSMN_NEON_UNROLL
        for (int g = 0; g < kGroups; ++g) {
          vst1q_f32(out + at + 4 * g, f.v[g]);
          masks[g] = vcgeq_f32(f.v[g], vld1q_f32(threshold + 4 * g));
        }
        if (words != nullptr) words[n / kWordBits] = WordOf(masks);
      }
      if (whole < outputs) {
        const int64_t at = r * outputs;
        float rest[kWordBits];
        for (int i = 0; i < outputs - whole; ++i) rest[i] = source.LoadOne(r, at + whole + i);
        scalar::FloatBlock(rest, whole, outputs - whole, end, kAdd ? residual + at : nullptr,
                           out + at, words);
      }
      if (words != nullptr) scalar::ClearTail(words, outputs, signs_stride);
    }
  }
};

void DualDotsToFloat(const int32_t* first, const int32_t* second, const float* scale,
                     int64_t rows, int outputs, const FloatEnd& end, const float* residual,
                     float* out, uint32_t* signs, int64_t signs_stride) {
  const DualDots dots = {first, second, scale};
  NeonSelect(end, residual,
             EndJob<DualDots>{dots, rows, outputs, end, residual, out, signs, signs_stride});
}

void ValuesToFloat(const float* values, int64_t rows, int outputs, const FloatEnd& end,
                   const float* residual, float* out, uint32_t* signs, int64_t signs_stride) {
  const Values v = {values};
  NeonSelect(end, residual,
             EndJob<Values>{v, rows, outputs, end, residual, out, signs, signs_stride});
}

}  // namespace

const DualKernels& NeonDual() {
  static const DualKernels kernels = {PackShifted, Split, SplitOverTime, SplitLevels,
                                      DualDotsToFloat, scalar::DotsToLevels, ValuesToFloat};
  return kernels;
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
