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

// FSMN memory filter, 128 channels of a frame at a time, at most 15 taps.
//
//   x[i] = frame[t + offset(i)] ^ sign[i], 0 outside the clip     differing taps, bit by bit
//   p[0..3] = the number of set bits among the x[i], one bit plane each:
//     for every two taps: full adder (p[0], x[i], x[i + 1]) -> p[0], carry    2 eor, 1 bsl, 1 eor
//                         half adders of the carry into p[1], p[2], p[3]      2 each
//   for every 16 channels:
//     digit   = bits of the planes side by side      TBL and CMTST for each plane, 3 SLI, AND
//     dot     = valid - 2 * digit, as the upper half of a float:  2 TBL, 2 ZIP, 4 SHLL #16
//     v       = float epilogue, signs to bits
//
//   registers: planes 4 | x 2, carry 1 |, then per 16 channels: tables 2, digits 1, halves 2, v 4
//
// Origin: our own; bit-sliced counters are old, and this is the depthwise layer that the paper's
// matrix kernel does not cover.
//
// Why so: 5 taps x 128 channels take about 30 operations; what costs is the way from bits to
// floats. Small integers have an empty lower half as floats, so two table look-ups replace two
// widenings and a conversion (8 operations for 16 channels instead of 10). Near the ends of a clip
// taps fall away: a missing one leaves its x at 0 and lowers `valid`, which only changes the
// table. Two frames share the loads of multiplier and bias and keep eight chains in flight.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_memory.h"

#include <arm_neon.h>

#include <algorithm>
#include <cstring>

#include "custom_ops/kernels/neon_ends.h"

namespace bifsmn {
namespace {


constexpr int kMaxTaps = 15;

struct Planes {
  uint8x16_t plane[4];
};

// The taps begin .. end - 1 of frame t lie inside the clip.
struct Inside {
  int begin, end;
};

Inside TapsInside(const MemoryWeights& w, int64_t t, int64_t frames) {
  Inside inside = {0, static_cast<int>(w.offsets.size())};
  while (inside.begin < inside.end && t + w.offsets[inside.begin] < 0) ++inside.begin;
  while (inside.end > inside.begin && t + w.offsets[inside.end - 1] >= frames) --inside.end;
  return inside;
}

BIFSMN_NEON_INLINE uint8x16_t HalfAdd(uint8x16_t* plane, uint8x16_t carry) {
  const uint8x16_t next = vandq_u8(*plane, carry);
  *plane = veorq_u8(*plane, carry);
  return next;
}

// Counts of differing taps for 128 channels, `x` and `signs` at the first of them.
Planes CountTaps(const uint32_t* x, int64_t x_stride, const MemoryWeights& w,
                 const uint32_t* signs, int64_t t, Inside inside) {
  Planes p;
  p.plane[0] = p.plane[1] = p.plane[2] = p.plane[3] = vdupq_n_u8(0);
  const auto tap = [&](int i) {
    return vreinterpretq_u8_u32(veorq_u32(vld1q_u32(x + (t + w.offsets[i]) * x_stride),
                                          vld1q_u32(signs + i * w.stride)));
  };
  int i = inside.begin;
  if ((inside.end - inside.begin) % 2 != 0) p.plane[0] = tap(i++);
  for (; i < inside.end; i += 2) {
    const uint8x16_t a = tap(i), b = tap(i + 1);
    const uint8x16_t odd = veorq_u8(a, b);
    // Of three bits, two differ: the third is the majority. Otherwise either of the two.
    uint8x16_t carry = vbslq_u8(odd, p.plane[0], a);
    p.plane[0] = veorq_u8(p.plane[0], odd);
    carry = HalfAdd(&p.plane[1], carry);
    carry = HalfAdd(&p.plane[2], carry);
    p.plane[3] = veorq_u8(p.plane[3], carry);
  }
  return p;
}

// The dot products of 0 to 15 differing taps, as floats of which the lower half is empty.
struct Table {
  uint8x16_t low = vdupq_n_u8(0), high = vdupq_n_u8(0);  // third and fourth byte
  int valid = -1;

  void Assign(int valid_taps) {
    if (valid == valid_taps) return;
    valid = valid_taps;
    uint8_t third[16], fourth[16];
    for (int digit = 0; digit < 16; ++digit) {
      const float dot = static_cast<float>(valid - 2 * digit);
      uint32_t bits;
      std::memcpy(&bits, &dot, sizeof(bits));
      third[digit] = static_cast<uint8_t>(bits >> 16);
      fourth[digit] = static_cast<uint8_t>(bits >> 24);
    }
    low = vld1q_u8(third);
    high = vld1q_u8(fourth);
  }
};

// The counts of channels 16 k .. 16 k + 15.
BIFSMN_NEON_INLINE uint8x16_t Digits(const Planes& p, int k) {
  const uint8x16_t places = NeonBitOfLane();
  const uint8x16_t spread = vreinterpretq_u8_u64(
      vcombine_u64(vdup_n_u64(0x0101010101010101u * (2 * static_cast<uint64_t>(k))),
                   vdup_n_u64(0x0101010101010101u * (2 * static_cast<uint64_t>(k) + 1))));
  uint8x16_t mask[4];
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4; ++i) mask[i] = vtstq_u8(vqtbl1q_u8(p.plane[i], spread), places);
  uint8x16_t digit = vsliq_n_u8(mask[2], mask[3], 1);
  digit = vsliq_n_u8(mask[1], digit, 1);
  digit = vsliq_n_u8(mask[0], digit, 1);
  return vandq_u8(digit, vdupq_n_u8(15));
}

// The counts of 128 channels, one byte each.
BIFSMN_NEON_INLINE void StoreDigits(const Planes& p, uint8_t* digits) {
  BIFSMN_NEON_UNROLL
  for (int k = 0; k < 8; ++k) vst1q_u8(digits + 16 * k, Digits(p, k));
}

BIFSMN_NEON_INLINE void DotsAsFloats(const Table& table, uint8x16_t digits, float32x4_t v[4]) {
  const uint8x16_t low = vqtbl1q_u8(table.low, digits);
  const uint8x16_t high = vqtbl1q_u8(table.high, digits);
  const uint16x8_t a = vreinterpretq_u16_u8(vzip1q_u8(low, high));
  const uint16x8_t b = vreinterpretq_u16_u8(vzip2q_u8(low, high));
  v[0] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(a), 16));
  v[1] = vreinterpretq_f32_u32(vshll_high_n_u16(a, 16));
  v[2] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(b), 16));
  v[3] = vreinterpretq_f32_u32(vshll_high_n_u16(b, 16));
}

BIFSMN_NEON_INLINE uint8x16_t SignBits(const float32x4_t v[4]) {
  const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(vcgezq_f32(v[0])),
                                    vreinterpretq_u16_u32(vcgezq_f32(v[1])));
  const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(vcgezq_f32(v[2])),
                                     vreinterpretq_u16_u32(vcgezq_f32(v[3])));
  return vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)),
                  NeonBitOfLane());
}

// Bytes with one bit each, 16 channels to a register, to 128 bits.
BIFSMN_NEON_INLINE uint32x4_t Gather(const uint8x16_t bytes[8]) {
  const uint8x16_t a = vpaddq_u8(bytes[0], bytes[1]), b = vpaddq_u8(bytes[2], bytes[3]);
  const uint8x16_t c = vpaddq_u8(bytes[4], bytes[5]), d = vpaddq_u8(bytes[6], bytes[7]);
  return vreinterpretq_u32_u8(vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d)));
}

// Writes the words of up to 128 outputs; `left` outputs there are.
void StoreWords(uint32x4_t bits, int left, uint32_t* out) {
  if (left >= 128) {
    vst1q_u32(out, bits);
    return;
  }
  uint32_t words[4];
  vst1q_u32(words, bits);
  for (int i = 0; 32 * i < left; ++i) {
    out[i] = words[i] & (left - 32 * i < 32 ? LastWordMask(left - 32 * i) : ~uint32_t{0});
  }
}

struct FloatJob {
  const uint32_t* x;
  int64_t x_stride, frames;
  const MemoryWeights& w;
  const FloatEnd& end;
  const float* residual;
  float* out;
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
    Table tables[2];
    for (int64_t t = 0; t < frames; t += 2) {
      // An odd last frame is computed twice; the second time into a row that nobody reads.
      const bool two = t + 1 < frames;
      const int64_t at[2] = {t, two ? t + 1 : t};
      for (int c = 0; c < w.outputs; c += 128) {
        const int count = w.outputs - c < 128 ? w.outputs - c : 128;
        alignas(16) uint8_t digits[2][128];
        float unused[128], tail[2][2][16];
        Pair pair;
        for (int f = 0; f < 2; ++f) {
          const Inside inside = TapsInside(w, at[f], frames);
          tables[f].Assign(inside.end - inside.begin);
          StoreDigits(CountTaps(x + c / 32, x_stride, w, w.signs.data() + c / 32, at[f], inside),
                      digits[f]);
          const int64_t first = at[f] * w.outputs + c;
          pair.out[f] = f == 0 || two ? out + first : unused;
          pair.residual[f] = kAdd ? residual + first : nullptr;
          pair.digits[f] = digits[f];
        }
        if (kSigns && count < 128) std::memset(pair.bytes, 0, sizeof(pair.bytes));
        const float* multiplier = end.multiplier + c;
        const float* bias = end.bias + c;
        int k = 0;
        for (; 16 * (k + 1) <= count; ++k) {
          Channels16<kResidual, kSlope, kSigns>(tables, multiplier + 16 * k, bias + 16 * k, 16 * k,
                                                16 * k, k, &pair);
        }
        if (16 * k < count) {
          const size_t size = (count - 16 * k) * sizeof(float);
          Pair part = pair;
          for (int f = 0; f < 2; ++f) {
            if (kAdd) std::memcpy(tail[f][0], pair.residual[f] + 16 * k, size);
            part.residual[f] = tail[f][0];
            part.out[f] = tail[f][1];
          }
          // The arrays of the epilogue are padded to 32 outputs.
          Channels16<kResidual, kSlope, kSigns>(tables, multiplier + 16 * k, bias + 16 * k, 16 * k,
                                                0, k, &part);
          for (int f = 0; f < 2; ++f) {
            std::memcpy(pair.out[f] + 16 * k, tail[f][1], size);
            if (kSigns) pair.bytes[f][k] = part.bytes[f][k];
          }
        }
        if (kSigns) {
          for (int f = 0; f < (two ? 2 : 1); ++f) {
            StoreWords(Gather(pair.bytes[f]), count, signs + at[f] * signs_stride + c / 32);
          }
        }
      }
    }
  }

  // Up to 128 channels of two frames.
  struct Pair {
    const uint8_t* digits[2];
    const float* residual[2];
    float* out[2];
    uint8x16_t bytes[2][8];
  };

  // 16 channels; `from` counts digits, `to` floats, `k` blocks of signs.
  template <NeonResidual kResidual, NeonSlope kSlope, bool kSigns>
  BIFSMN_NEON_INLINE void Channels16(const Table tables[2], const float* multiplier,
                                     const float* bias, int from, int to, int k,
                                     Pair* pair) const {
    constexpr bool kAdd = kResidual != NeonResidual::kNone;
    const float32x4_t slope = vdupq_n_f32(end.slope);
    float32x4_t v[2][4];
    DotsAsFloats(tables[0], vld1q_u8(pair->digits[0] + from), v[0]);
    DotsAsFloats(tables[1], vld1q_u8(pair->digits[1] + from), v[1]);
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float32x4_t m = vld1q_f32(multiplier + 4 * i), b = vld1q_f32(bias + 4 * i);
      BIFSMN_NEON_UNROLL
      for (int f = 0; f < 2; ++f) {
        const float* add = kAdd ? pair->residual[f] + to + 4 * i : nullptr;
        v[f][i] = NeonFinish<kResidual, kSlope>(v[f][i], m, b, slope, add);
      }
    }
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 2; ++f) {
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 4; ++i) vst1q_f32(pair->out[f] + to + 4 * i, v[f][i]);
      if (kSigns) pair->bytes[f][k] = SignBits(v[f]);
    }
  }
};

void ClearBehind(int64_t words, int64_t rows, uint32_t* out, int64_t stride) {
  if (words >= stride) return;
  for (int64_t r = 0; r < rows; ++r) {
    std::memset(out + r * stride + words, 0, (stride - words) * sizeof(uint32_t));
  }
}

}  // namespace

void NeonMemoryToFloat(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                       const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                       int64_t signs_stride) {
  if (w.offsets.size() > kMaxTaps) {
    PortablePath().memory_to_float(x, x_stride, frames, w, end, residual, out, signs,
                                   signs_stride);
    return;
  }
  if (signs != nullptr) ClearBehind(WordsFor(w.outputs), frames, signs, signs_stride);
  NeonSelect(end, residual,
             FloatJob{x, x_stride, frames, w, end, residual, out, signs, signs_stride});
}

void NeonMemoryToBits(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                      const int16_t* threshold, uint32_t* out, int64_t out_stride) {
  if (w.offsets.size() > kMaxTaps) {
    PortablePath().memory_to_bits(x, x_stride, frames, w, threshold, out, out_stride);
    return;
  }
  ClearBehind(WordsFor(w.outputs), frames, out, out_stride);
  for (int64_t t = 0; t < frames; ++t) {
    const Inside inside = TapsInside(w, t, frames);
    const int8x16_t valid = vdupq_n_s8(static_cast<int8_t>(inside.end - inside.begin));
    for (int c = 0; c < w.outputs; c += 128) {
      const int left = w.outputs - c;
      const Planes planes = CountTaps(x + c / 32, x_stride, w, w.signs.data() + c / 32, t, inside);
      uint8x16_t bytes[8];
      for (int k = 0; k < 8; ++k) {
        bytes[k] = vdupq_n_u8(0);
        if (16 * k >= left) continue;
        const int8x16_t digits = vreinterpretq_s8_u8(Digits(planes, k));
        const int8x16_t dots = vsubq_s8(vsubq_s8(valid, digits), digits);
        const int16_t* limits = threshold + c + 16 * k;  // padded to 32 outputs
        const uint16x8_t low = vcgeq_s16(vmovl_s8(vget_low_s8(dots)), vld1q_s16(limits));
        const uint16x8_t high = vcgeq_s16(vmovl_high_s8(dots), vld1q_s16(limits + 8));
        bytes[k] = vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)),
                            NeonBitOfLane());
      }
      StoreWords(Gather(bytes), left, out + t * out_stride + c / 32);
    }
  }
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
