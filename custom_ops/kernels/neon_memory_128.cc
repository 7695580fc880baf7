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
//   p[0..] = the number of set bits among the x[i], one bit plane each, three for up to 7 taps:
//     for every two taps: full adder (p[0], x[i], x[i + 1]) -> p[0], carry    2 eor, 1 bsl, 1 eor
//                         half adders of the carry into p[1], p[2], p[3]      2 each
//   for every 16 channels:
//     digit   = bits of the planes side by side      TBL and CMTST for each plane, 2 SLI, AND
//   for every 16 channels of two frames:
//     dot     = valid - 2 * digit, as the upper half of a float:  4 TBL, 4 ZIP, 8 SHLL #16
//     (dual scale: the same for the second bits; v = dot + scale * second dot   8 FMUL, 8 FADD)
//     v       = float epilogue                                     8 times each of its steps
//     signs   = 8 CMGE, 4 and 2 UZP1; one AND and one ADDP each to bits
//
//   registers: planes 3 or 4 | masks of 64 channels 12 or 16 | places, spread 5;
//              tables 4, digits 2 | halves 4 | v 8, products, residuals or masks 8 |
//              multiplier 4, bias 4 | threshold 4, once products are gone
//
// Origin: our own; bit-sliced counters are old, and this is the depthwise layer that the paper's
// matrix kernel does not cover.
//
// Why so: 5 taps x 128 channels take about 30 operations; what costs is the way from bits to
// floats. Small integers have an empty lower half as floats, so two table look-ups replace two
// widenings and a conversion (8 operations for 16 channels instead of 10). Near the ends of a clip
// taps fall away: a missing one leaves its x at 0 and lowers `valid`, which only changes the
// table. Two frames share the loads of multiplier and bias and keep eight chains in flight;
// in-order cores execute this as it is written.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_memory.h"

#include <arm_neon.h>

#include <cstring>

#include "custom_ops/kernels/neon_ends.h"

namespace bifsmn {
namespace {

constexpr int kMaxTaps = 15;
static_assert(kMostDualTaps <= kMaxTaps, "");
constexpr int kChannels = 128;  // of a tile, and bytes of its digits or signs

// Bit planes of the counts of 128 channels.
struct Planes {
  uint8x16_t plane[4];
};

// The taps begin .. end - 1 of a frame lie inside the clip.
struct Inside {
  int begin, end;
};

// Differing taps of 128 channels of a few frames, one byte each, and how many taps there are.
struct Digits {
  static constexpr int kFrames = 8;
  int valid[kFrames];
  alignas(16) uint8_t digits[kFrames][kChannels];
};

// The taps of one call. Offsets ascend.
class Taps {
 public:
  Taps(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w)
      : x_(x), x_stride_(x_stride), frames_(frames), signs_(w.signs.data()), stride_(w.stride),
        offsets_(w.offsets.data()), count_(static_cast<int>(w.offsets.size())) {
    for (int i = 0; i < count_; ++i) distance_[i] = offsets_[i] * x_stride;
  }

  // Those of the frames from t on and the 128 channels from word `word` on.
  void StoreDigits(int64_t t, int word, Digits* digits) const {
    count_ <= 7 ? DigitsAs<3>(t, word, digits) : DigitsAs<4>(t, word, digits);
  }

 private:
  const uint32_t* x_;
  int64_t x_stride_, frames_;
  const uint32_t* signs_;
  int64_t stride_;
  const int64_t* offsets_;
  int count_;
  int64_t distance_[kMaxTaps];  // of a tap's frame from the present one, in words

  BIFSMN_NEON_INLINE Inside InsideAt(int64_t t) const {
    Inside inside = {0, count_};
    while (inside.begin < inside.end && t + offsets_[inside.begin] < 0) ++inside.begin;
    while (inside.end > inside.begin && t + offsets_[inside.end - 1] >= frames_) --inside.end;
    return inside;
  }

  template <int kPlanes>
  __attribute__((noinline)) void DigitsAs(int64_t t, int word, Digits* digits) const;

  BIFSMN_NEON_INLINE Planes CountAt(int64_t t, int word, Inside inside) const;
};

BIFSMN_NEON_INLINE uint8x16_t HalfAdd(uint8x16_t* plane, uint8x16_t carry) {
  const uint8x16_t next = vandq_u8(*plane, carry);
  *plane = veorq_u8(*plane, carry);
  return next;
}

BIFSMN_NEON_INLINE Planes Taps::CountAt(int64_t t, int word, Inside inside) const {
  Planes p;
  p.plane[0] = p.plane[1] = p.plane[2] = p.plane[3] = vdupq_n_u8(0);
  const uint32_t* present = x_ + t * x_stride_ + word;
  const uint32_t* signs = signs_ + inside.begin * stride_ + word;
  const auto tap = [&](int i) BIFSMN_NEON_LAMBDA {
    const uint32x4_t differing = veorq_u32(vld1q_u32(present + distance_[i]), vld1q_u32(signs));
    signs += stride_;
    return vreinterpretq_u8_u32(differing);
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

// The dot products valid - 2 * digit of 0 to 15 differing taps, as floats of which the lower half
// is empty; here the third and the fourth byte of each.
struct Table {
  uint8_t third[16], fourth[16];
};

struct Tables {
  Table of[kMaxTaps + 1];  // by valid taps

  constexpr Tables() : of() {
    for (int valid = 0; valid <= kMaxTaps; ++valid) {
      for (int digit = 0; digit < 16; ++digit) {
        const unsigned bits = UpperHalf(valid - 2 * digit);
        of[valid].third[digit] = static_cast<uint8_t>(bits & 0xff);
        of[valid].fourth[digit] = static_cast<uint8_t>(bits >> 8);
      }
    }
  }

  // Of the float32 of an integer below 256.
  static constexpr unsigned UpperHalf(int value) {
    if (value == 0) return 0;
    const unsigned size = static_cast<unsigned>(value < 0 ? -value : value);
    unsigned exponent = 0;
    while (size >> (exponent + 1) != 0) ++exponent;
    return (value < 0 ? 0x8000u : 0u) | (127 + exponent) << 7 | ((size << (7 - exponent)) & 0x7f);
  }
};

constexpr Tables kTables;

// For 16 channels, number k of 128: the byte of a plane that holds each of them.
struct Spread {
  uint8_t byte[8][16];

  constexpr Spread() : byte() {
    for (int c = 0; c < 128; ++c) byte[c / 16][c % 16] = static_cast<uint8_t>(c / 8);
  }
};

alignas(16) constexpr Spread kSpread;

// The counts of 64 channels, one byte each, of number kHalf of two.
template <int kPlanes, int kHalf>
BIFSMN_NEON_INLINE void Digits64(const Planes& p, uint8x16_t places, uint8x16_t low,
                                 uint8_t* digits) {
  const uint8_t* from = kSpread.byte[4 * kHalf];
  const uint8x16_t spread[4] = {pinned::LoadAt<0>(from), pinned::LoadAt<16>(from),
                                pinned::LoadAt<32>(from), pinned::LoadAt<48>(from)};
  uint8x16_t mask[kPlanes][4];
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4 * kPlanes; ++i) {
    mask[i / 4][i % 4] = pinned::Tbl(p.plane[i / 4], spread[i % 4]);
  }
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < 4 * kPlanes; ++i) {
    mask[i / 4][i % 4] = pinned::Cmtst(mask[i / 4][i % 4], places);
  }
  BIFSMN_NEON_UNROLL
  for (int i = kPlanes - 2; i >= 0; --i) {
    BIFSMN_NEON_UNROLL
    for (int k = 0; k < 4; ++k) mask[i][k] = pinned::Sli1(mask[i][k], mask[i + 1][k]);
  }
  uint8x16_t digit[4];
  BIFSMN_NEON_UNROLL
  for (int k = 0; k < 4; ++k) digit[k] = pinned::And(mask[0][k], low);
  BIFSMN_NEON_UNROLL
  for (int k = 0; k < 4; ++k) {
    pinned::Store(digits, 64 * kHalf + 16 * k, vreinterpretq_u16_u8(digit[k]));
  }
}

template <int kPlanes>
void Taps::DigitsAs(int64_t t, int word, Digits* digits) const {
  const uint8x16_t places = NeonBitOfLane(), low = vdupq_n_u8((1 << kPlanes) - 1);
  const int count = static_cast<int>(frames_ - t < Digits::kFrames ? frames_ - t : Digits::kFrames);
  for (int f = 0; f < count; ++f) {
    const Inside inside = InsideAt(t + f);
    digits->valid[f] = inside.end - inside.begin;
    const Planes p = CountAt(t + f, word, inside);
    Digits64<kPlanes, 0>(p, places, low, digits->digits[f]);
    Digits64<kPlanes, 1>(p, places, low, digits->digits[f]);
  }
  // The frame that is read beside an odd last one.
  if (count % 2 != 0) std::memcpy(digits->digits[count], digits->digits[count - 1], kChannels);
}

// Bytes of ones or zeros, 16 channels to a register, to 128 bits.
BIFSMN_NEON_INLINE uint32x4_t Gather(const uint8x16_t bytes[8]) {
  uint8x16_t a[8];
  BIFSMN_NEON_UNROLL
  for (int k = 0; k < 8; ++k) a[k] = vandq_u8(bytes[k], NeonBitOfLane());
  BIFSMN_NEON_UNROLL
  for (int k = 0; k < 4; ++k) a[k] = vpaddq_u8(a[2 * k], a[2 * k + 1]);
  return vreinterpretq_u32_u8(vpaddq_u8(vpaddq_u8(a[0], a[1]), vpaddq_u8(a[2], a[3])));
}

// With kDual, `second_taps` reads the second bits, whose dot products are multiplied by `scale`.
template <bool kDual>
struct FloatJob {
  const Taps& taps;
  int64_t frames;
  int outputs;
  const FloatEnd& end;
  const float* residual;
  float* out;
  uint32_t* signs;
  int64_t signs_stride;
  const Taps* second_taps = nullptr;
  const float* scale = nullptr;

  struct DotTables {
    uint8x16_t third[2], fourth[2];
  };

  struct Rows {
    const float* residual[2];
    const float* bias[2];  // with kDual
    float* out[2];
  };

  // Of the outputs of a tile.
  struct Constants {
    const float *multiplier, *bias, *threshold, *scale;
    Constants Behind(int n) const {
      return {multiplier + n, bias + n, threshold + n, kDual ? scale + n : nullptr};
    }
  };

  // Up to 128 channels of two frames.
  struct Pair {
    DotTables tables;
    Rows rows;
    const uint8_t* digits;  // those of the second frame follow
    const uint8_t* second_digits;
    uint8x16_t bytes[2][8];  // ones for positive values
  };

  template <NeonResidual kResidual, NeonSlope kSlope>
  BIFSMN_NEON_INLINE void operator()() const {
    float unused[128];
    Digits digits, second_digits;
    for (int c = 0; c < outputs; c += 128) {
      const int count = outputs - c < 128 ? outputs - c : 128;
      const Constants constants = {end.multiplier + c, end.bias + c,
                                   NeonThresholds(end.sign_threshold, c),
                                   kDual ? scale + c : nullptr};
      for (int64_t t = 0; t < frames; t += 2) {
        if (t % Digits::kFrames == 0) {
          taps.StoreDigits(t, c / kWordBits, &digits);
          if (kDual) second_taps->StoreDigits(t, c / kWordBits, &second_digits);
        }
        // An odd last frame is computed twice; the second time into a row that nobody reads.
        const bool two = t + 1 < frames;
        const int64_t at[2] = {t, two ? t + 1 : t};
        Pair pair;
        pair.digits = digits.digits[t % Digits::kFrames];
        if (kDual) pair.second_digits = second_digits.digits[t % Digits::kFrames];
        for (int f = 0; f < 2; ++f) {
          const int64_t frame = at[f] % Digits::kFrames, first = at[f] * outputs + c;
          const Table& table = kTables.of[digits.valid[frame]];
          pair.tables.third[f] = vld1q_u8(table.third);
          pair.tables.fourth[f] = vld1q_u8(table.fourth);
          pair.rows.out[f] = f == 0 || two ? out + first : unused;
          pair.rows.residual[f] = kResidual != NeonResidual::kNone ? residual + first : nullptr;
          const bool own = kDual && end.bias_of_frame != nullptr;
          pair.rows.bias[f] = own ? end.bias_of_frame[at[f]] + c : constants.bias;
        }
        if (count < 128) std::memset(pair.bytes, 0, sizeof(pair.bytes));
        Channels<kResidual, kSlope>(constants, count, &pair);
        if (signs == nullptr) continue;
        for (int f = 0; f < (two ? 2 : 1); ++f) {
          NeonStoreWords(Gather(pair.bytes[f]), count,
                         signs + at[f] * signs_stride + c / kWordBits);
        }
      }
    }
  }

  template <NeonResidual kResidual, NeonSlope kSlope>
  BIFSMN_NEON_INLINE void Channels(const Constants& constants, int count, Pair* pair) const {
    const float32x4_t slope = vdupq_n_f32(end.slope);
    const DotTables tables = pair->tables;
    const Rows rows = pair->rows;
    const uint8_t *digits = pair->digits, *second = kDual ? pair->second_digits : nullptr;
    uint8x16_t* bytes = pair->bytes[0];
    int k = 0;
    for (; 16 * (k + 1) <= count; ++k) {
      Channels16<kResidual, kSlope>(slope, tables, constants, rows, digits + 16 * k,
                                    kDual ? second + 16 * k : nullptr, int64_t{k} * 64,
                                    bytes + k);
    }
    if (16 * k == count) return;
    // The arrays of the epilogue are padded to 32 outputs, the rows are not.
    const size_t size = (count - 16 * k) * sizeof(float);
    float local[2][2][16] = {};
    if (kResidual != NeonResidual::kNone) {
      for (int f = 0; f < 2; ++f) std::memcpy(local[f][0], rows.residual[f] + 16 * k, size);
    }
    const Rows last = {{local[0][0], local[1][0]},
                       {rows.bias[0] + 16 * k, rows.bias[1] + 16 * k},
                       {local[0][1], local[1][1]}};
    Channels16<kResidual, kSlope>(slope, tables, constants.Behind(16 * k), last, digits + 16 * k,
                                  kDual ? second + 16 * k : nullptr, 0, bytes + k);
    for (int f = 0; f < 2; ++f) std::memcpy(rows.out[f] + 16 * k, last.out[f], size);
  }

  // 16 channels, `at` bytes into the arrays and rows.
  template <NeonResidual kResidual, NeonSlope kSlope>
  static BIFSMN_NEON_INLINE void Channels16(float32x4_t slope, const DotTables& tables,
                                            const Constants& constants, const Rows& rows,
                                            const uint8_t* from, const uint8_t* from_second,
                                            int64_t at, uint8x16_t* bytes) {
    const int64_t index[4] = {at, at + 16, at + 32, at + 48};
    const float *multiplier = constants.multiplier, *bias = constants.bias;
    float32x4_t terms[8];
    if (kDual) Terms(tables, constants.scale, from_second, index, terms);
    const uint8x16_t digits[2] = {pinned::LoadAt<0>(from), pinned::LoadAt<kChannels>(from)};
    uint8x16_t third[2], fourth[2], low[2], high[2];
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 2; ++f) {
      third[f] = pinned::Tbl(tables.third[f], digits[f]);
      fourth[f] = pinned::Tbl(tables.fourth[f], digits[f]);
    }
    float32x4_t m[4], b[8];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) m[i] = pinned::LoadIndexed(multiplier, index[i]);
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 2; ++f) {
      low[f] = pinned::Zip1(third[f], fourth[f]);
      high[f] = pinned::Zip2(third[f], fourth[f]);
    }
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < (kDual ? 0 : 4); ++i) b[i] = pinned::LoadIndexed(bias, index[i]);
    NeonFinish finish;
    float32x4_t* v = finish.v;
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 2; ++f) {
      v[4 * f] = pinned::ShllLow16(low[f]), v[4 * f + 1] = pinned::ShllHigh16(low[f]);
      v[4 * f + 2] = pinned::ShllLow16(high[f]), v[4 * f + 3] = pinned::ShllHigh16(high[f]);
    }
    if (kDual) {
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 8; ++i) v[i] = pinned::Fadd(v[i], terms[i]);
      BIFSMN_NEON_UNROLL
      for (int i = 0; i < 8; ++i) b[i] = pinned::LoadIndexed(rows.bias[i / 4], index[i % 4]);
    }
    finish.template Affine<4, kDual ? 8 : 4>(m, b);
    finish.template Rest<kResidual, kSlope>(slope, [&](int i) BIFSMN_NEON_LAMBDA {
      return pinned::LoadIndexed(rows.residual[i / 4], index[i % 4]);
    });
    const float* threshold = constants.threshold;
    float32x4_t t[4];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) t[i] = pinned::LoadIndexed(threshold, index[i]);
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) pinned::StoreIndexed(rows.out[0], index[i], v[i]);
    uint16x8_t masks[8], halves[4];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) masks[i] = vreinterpretq_u16_u32(pinned::Fcmge(v[i], t[i % 4]));
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) halves[i] = pinned::Uzp1(masks[2 * i], masks[2 * i + 1]);
    uint8x16_t signs[2];
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 2; ++f) {
      signs[f] = pinned::Uzp1(vreinterpretq_u8_u16(halves[2 * f]),
                              vreinterpretq_u8_u16(halves[2 * f + 1]));
    }
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) pinned::StoreIndexed(rows.out[1], index[i], v[4 + i]);
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 2; ++f) pinned::Store(bytes, kChannels * f, vreinterpretq_u16_u8(signs[f]));
  }

  // The second dot products of 16 channels and two frames, scaled.
  static BIFSMN_NEON_INLINE void Terms(const DotTables& tables, const float* scale,
                                       const uint8_t* from, const int64_t index[4],
                                       float32x4_t terms[8]) {
    const uint8x16_t digits[2] = {pinned::LoadAt<0>(from), pinned::LoadAt<kChannels>(from)};
    uint8x16_t third[2], fourth[2], halves[4];
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 2; ++f) {
      third[f] = pinned::Tbl(tables.third[f], digits[f]);
      fourth[f] = pinned::Tbl(tables.fourth[f], digits[f]);
    }
    float32x4_t s[4];
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) s[i] = pinned::LoadIndexed(scale, index[i]);
    BIFSMN_NEON_UNROLL
    for (int f = 0; f < 2; ++f) {
      halves[2 * f] = pinned::Zip1(third[f], fourth[f]);
      halves[2 * f + 1] = pinned::Zip2(third[f], fourth[f]);
    }
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 4; ++i) {
      terms[2 * i] = pinned::ShllLow16(halves[i]), terms[2 * i + 1] = pinned::ShllHigh16(halves[i]);
    }
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 8; ++i) terms[i] = pinned::Fmul(terms[i], s[i % 4]);
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
  const Taps taps(x, x_stride, frames, w);
  NeonSelect(end, residual,
             FloatJob<false>{taps, frames, w.outputs, end, residual, out, signs, signs_stride});
}

void NeonDualMemoryToFloat(const uint32_t* first, const uint32_t* second, int64_t x_stride,
                           int64_t frames, const MemoryWeights& w, const float* scale,
                           const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                           int64_t signs_stride) {
  if (signs != nullptr) ClearBehind(WordsFor(w.outputs), frames, signs, signs_stride);
  const Taps taps(first, x_stride, frames, w), second_taps(second, x_stride, frames, w);
  NeonSelect(end, residual,
             FloatJob<true>{taps, frames, w.outputs, end, residual, out, signs, signs_stride,
                            &second_taps, scale});
}

void NeonMemoryToBits(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                      const int16_t* threshold, uint32_t* out, int64_t out_stride) {
  if (w.offsets.size() > kMaxTaps) {
    PortablePath().memory_to_bits(x, x_stride, frames, w, threshold, out, out_stride);
    return;
  }
  ClearBehind(WordsFor(w.outputs), frames, out, out_stride);
  const Taps taps(x, x_stride, frames, w);
  Digits digits;
  for (int c = 0; c < w.outputs; c += 128) {
    const int left = w.outputs - c;
    for (int64_t t = 0; t < frames; ++t) {
      const int64_t frame = t % Digits::kFrames;
      if (frame == 0) taps.StoreDigits(t, c / kWordBits, &digits);
      const int8x16_t valid = vdupq_n_s8(static_cast<int8_t>(digits.valid[frame]));
      uint8x16_t bytes[8];
      for (int k = 0; k < 8; ++k) {
        bytes[k] = vdupq_n_u8(0);
        if (16 * k >= left) continue;
        const int8x16_t differing = vreinterpretq_s8_u8(vld1q_u8(digits.digits[frame] + 16 * k));
        const int8x16_t dots = vsubq_s8(vsubq_s8(valid, differing), differing);
        const int16_t* limits = threshold + c + 16 * k;  // padded to 32 outputs
        const uint16x8_t low = vcgeq_s16(vmovl_s8(vget_low_s8(dots)), vld1q_s16(limits));
        const uint16x8_t high = vcgeq_s16(vmovl_high_s8(dots), vld1q_s16(limits + 8));
        bytes[k] = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
      }
      NeonStoreWords(Gather(bytes), left, out + t * out_stride + c / kWordBits);
    }
  }
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
