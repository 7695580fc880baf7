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

// The real-valued ends of the network.
//
// Stem: float32 convolution of one input channel straight to packed signs, by tiles of 8
// positions x 8 outputs, two tiles for every 16 outputs. The positions of a tile are neighbours
// along that axis of the picture whose pixels are neighbours in memory.
//
//   for every line of taps that lies along that axis:
//     x[0..4] = the pixels that 8 positions need: 5 taps, a stride of 2 make 19 of them
//     for every tap j of the line:
//       w0, w1 = its weights for 8 outputs
//       for position p = 0..7: sum[p] += (w0, w1) * pixel 2 p + j, a lane of x      16 fmla
//   slope and signs: mul, max, cmge for every sum; uzp1, and, addp to 16 bits for a position
//
//   registers: v0-v15 sums | x 5 | weights of the next taps the rest
//
// Origin: our own. Multiplying by a lane is what every float matrix kernel for ARM does; here the
// lanes are the pixels, which overlap, so that 19 pixels serve 40 (position, tap) pairs.
//
// Why so: 80 multiply-adds for 15 loads, no pixel is loaded alone or spread over a register, and
// no address is computed inside a line. Each sum is used every 16 instructions, longer than any
// core's latency. Kernels of 3x3 and 5x5 taps with strides of 1 and 2 are compiled; other shapes
// take the portable kernel.
//
// Classifier: 10 rows of the matrix share the loads of the vector, one sum each. Here, too, loads
// stand together.

#if defined(__aarch64__)

#include <arm_neon.h>

#include <cstring>
#include <utility>

#include "custom_ops/kernels/float_portable.h"
#include "custom_ops/kernels/neon_ends.h"
#include "custom_ops/kernels/neon_float.h"
#include "custom_ops/kernels/neon_pinned.h"

namespace bifsmn {
namespace {

constexpr int kPositions = 8;
constexpr int kOutputs = 16;  // of two tiles

struct Sums {
  float32x4_t v[kPositions][2];
};

// One line of taps.
template <int kTaps, int kStride>
struct Line {
  static constexpr int kPixels = (kPositions - 1) * kStride + kTaps;
  static constexpr int kVectors = (kPixels + 3) / 4;
  static constexpr int kLast = kPixels - 4;  // the last vector ends with the last pixel
  float32x4_t x[kVectors];
  float32x4_t w[kTaps][2];

  static constexpr int Vector(int pixel) {
    return pixel / 4 < kVectors - 1 ? pixel / 4 : kVectors - 1;
  }
  static constexpr int Lane(int pixel) {
    return pixel / 4 < kVectors - 1 ? pixel % 4 : pixel - kLast;
  }

  // All loads of a line stand together: an in-order core waits whenever a short instruction
  // follows a long one. kStep is from tap to tap of the weights, 0 if only `step` knows it.
  template <int64_t kStep, int... kVector, int... kWeight>
  BIFSMN_NEON_INLINE void Load(const float* pixels, const float* weights, int64_t step,
                               std::integer_sequence<int, kVector...>,
                               std::integer_sequence<int, kWeight...>) {
    ((x[kVector] = vreinterpretq_f32_u8(
          pinned::LoadAt<4 * (4 * kVector < kLast ? 4 * kVector : kLast)>(pixels))),
     ...);
    ((w[kWeight / 2][kWeight % 2] = vreinterpretq_f32_u8(
          kStep > 0 ? pinned::LoadAt<4 * (kWeight / 2 * kStep + kWeight % 2 * 4)>(weights)
                    : pinned::Load(weights, 4 * (kWeight / 2 * step + kWeight % 2 * 4)))),
     ...);
  }

  template <int kTap, int kPart, int... kPosition>
  BIFSMN_NEON_INLINE void AddPart(Sums* s, std::integer_sequence<int, kPosition...>) const {
    ((s->v[kPosition][kPart] = pinned::FmlaLane<Lane(kPosition * kStride + kTap)>(
          s->v[kPosition][kPart], w[kTap][kPart], x[Vector(kPosition * kStride + kTap)])),
     ...);
  }

  template <int... kTap>
  BIFSMN_NEON_INLINE void Add(Sums* s, std::integer_sequence<int, kTap...>) const {
    const auto positions = std::make_integer_sequence<int, kPositions>();
    ((AddPart<kTap, 0>(s, positions), AddPart<kTap, 1>(s, positions)), ...);
  }
};

// A shape as its tiles see it: `along` the axis of neighbouring pixels, `across` the other one.
struct Axes {
  int64_t along_weights, across_weights;  // from tap to tap
  int64_t across_pixels;                  // from line to line
};

template <int kTaps, int kStride, int64_t kStep>
BIFSMN_NEON_INLINE Sums Convolve(const float* x, const Axes& axes, const float* weights,
                                 const float* bias) {
  Sums s;
  const float32x4_t b0 = vld1q_f32(bias), b1 = vld1q_f32(bias + 4);
  BIFSMN_NEON_UNROLL
  for (int p = 0; p < kPositions; ++p) s.v[p][0] = b0, s.v[p][1] = b1;
  for (int i = 0; i < kTaps; ++i, x += axes.across_pixels, weights += axes.across_weights) {
    Line<kTaps, kStride> line;
    line.template Load<kStep>(x, weights, axes.along_weights,
                              std::make_integer_sequence<int, Line<kTaps, kStride>::kVectors>(),
                              std::make_integer_sequence<int, 2 * kTaps>());
    line.Add(&s, std::make_integer_sequence<int, kTaps>());
  }
  return s;
}

// Of a slope in (0, 1) the larger of v and v * slope.
BIFSMN_NEON_INLINE void ApplySlope(bool unit, float32x4_t slope, Sums* s) {
  if (unit) {
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 2 * kPositions; ++i) {
      float32x4_t& v = s->v[i / 2][i % 2];
      v = vmaxq_f32(v, vmulq_f32(v, slope));
    }
  } else {
    BIFSMN_NEON_UNROLL
    for (int i = 0; i < 2 * kPositions; ++i) {
      float32x4_t& v = s->v[i / 2][i % 2];
      v = vbslq_f32(vcgezq_f32(v), v, vmulq_f32(v, slope));
    }
  }
}

// The signs of eight outputs, two neighbouring bytes for each position. Comparing floats is exact:
// a thread that flushes subnormals has flushed these sums already.
BIFSMN_NEON_INLINE uint8x16_t SignBytes(const Sums& s, const float* threshold) {
  const float32x4_t t0 = vld1q_f32(threshold), t1 = vld1q_f32(threshold + 4);
  uint8x16_t bytes[kPositions / 2];
  BIFSMN_NEON_UNROLL
  for (int i = 0; i < kPositions / 2; ++i) {
    const uint16x8_t a = vuzp1q_u16(vreinterpretq_u16_u32(vcgeq_f32(s.v[2 * i][0], t0)),
                                    vreinterpretq_u16_u32(vcgeq_f32(s.v[2 * i][1], t1)));
    const uint16x8_t b = vuzp1q_u16(vreinterpretq_u16_u32(vcgeq_f32(s.v[2 * i + 1][0], t0)),
                                    vreinterpretq_u16_u32(vcgeq_f32(s.v[2 * i + 1][1], t1)));
    bytes[i] = vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b)),
                        NeonBitOfLane());
  }
  return vpaddq_u8(vpaddq_u8(bytes[0], bytes[1]), vpaddq_u8(bytes[2], bytes[3]));
}

struct Job {
  const float* x;
  const FloatConvShape& shape;
  const float* weights;
  const FloatConvEnd& end;
  float* out;
  uint32_t* signs;
  int64_t signs_stride;

  // 5x5 taps with a stride of 2 and 16 outputs find their weights by constant offsets.
  void RunUsual() const {
    if (shape.right == 1) {
      RunAxes<5, 2, kOutputs>({kOutputs, 5 * kOutputs, shape.down});
    } else {
      RunAxes<5, 2, 5 * kOutputs>({5 * kOutputs, kOutputs, shape.right});
    }
  }

  template <int kTaps, int kStride>
  void Run() const {
    const int64_t column = shape.outputs, row = int64_t{kTaps} * shape.outputs;
    if (shape.right == 1) {
      RunAxes<kTaps, kStride, 0>({column, row, shape.down});
    } else {
      RunAxes<kTaps, kStride, 0>({row, column, shape.right});
    }
  }

  template <int kTaps, int kStride, int64_t kStep>
  BIFSMN_NEON_INLINE void RunAxes(const Axes& axes) const {
    const bool across_is_down = shape.right == 1;
    const int along = across_is_down ? shape.out_w : shape.out_h;
    const int across = across_is_down ? shape.out_h : shape.out_w;
    // From position to position of a tile, and from one line of tiles to the next.
    const int64_t step = across_is_down ? 1 : shape.out_w;
    const int64_t line = across_is_down ? shape.out_w : 1;
    const float32x4_t slopes = vdupq_n_f32(end.slope);
    const bool unit = NeonSlopeOf(end.slope) == NeonSlope::kUnit;
    for (int j = 0; j < across; ++j) {
      for (int i = 0; i < along; i += kPositions) {
        // The last tile repeats positions of the one before rather than being smaller.
        const int first = i + kPositions <= along ? i : along - kPositions;
        const float* from = x + j * kStride * axes.across_pixels + first * kStride;
        const int64_t position = j * line + first * step;
        for (int n = 0; n < shape.outputs; n += kOutputs) {
          uint8x16_t bytes[2];
          BIFSMN_NEON_UNROLL
          for (int half = 0; half < 2; ++half) {
            const int at = n + 8 * half;
            Sums s = Convolve<kTaps, kStride, kStep>(from, axes, weights + at, end.bias + at);
            ApplySlope(unit, slopes, &s);
            if (out != nullptr) Store(s, out + position * shape.outputs + at, step);
            bytes[half] = SignBytes(s, NeonThresholds(end.sign_threshold, at));
          }
          if (signs != nullptr) StoreSigns(bytes, n, position, step);
        }
      }
    }
  }

  BIFSMN_NEON_INLINE void Store(const Sums& s, float* to, int64_t step) const {
    BIFSMN_NEON_UNROLL
    for (int p = 0; p < kPositions; ++p, to += step * shape.outputs) {
      vst1q_f32(to, s.v[p][0]);
      vst1q_f32(to + 4, s.v[p][1]);
    }
  }

  // 16 bits of eight positions. The lower half of a word is written as a whole word.
  BIFSMN_NEON_INLINE void StoreSigns(const uint8x16_t bytes[2], int n, int64_t position,
                                     int64_t step) const {
    const uint8x16_t all = vpaddq_u8(bytes[0], bytes[1]);
    const uint16x8_t bits = vreinterpretq_u16_u8(vzip1q_u8(all, vextq_u8(all, all, 8)));
    uint32_t* to = signs + position * signs_stride + n / kWordBits;
    if (n % kWordBits != 0) {
      uint16_t halves[kPositions];
      vst1q_u16(halves, bits);
      for (int p = 0; p < kPositions; ++p) {
        to[p * step * signs_stride] |= uint32_t{halves[p]} << kOutputs;
      }
      return;
    }
    const uint32x4_t low = vmovl_u16(vget_low_u16(bits)), high = vmovl_high_u16(bits);
    const int64_t s = step * signs_stride;
    vst1q_lane_u32(to, low, 0);
    vst1q_lane_u32(to + s, low, 1);
    vst1q_lane_u32(to + 2 * s, low, 2);
    vst1q_lane_u32(to + 3 * s, low, 3);
    vst1q_lane_u32(to + 4 * s, high, 0);
    vst1q_lane_u32(to + 5 * s, high, 1);
    vst1q_lane_u32(to + 6 * s, high, 2);
    vst1q_lane_u32(to + 7 * s, high, 3);
  }
};

bool HasTiles(const FloatConvShape& s) {
  const int along = s.right == 1 ? s.out_w : s.out_h;
  return (s.right == 1 || s.down == 1) && along >= kPositions && s.outputs % kOutputs == 0 &&
         s.kernel_h == s.kernel_w && s.stride_h == s.stride_w &&
         (s.kernel_w == 3 || s.kernel_w == 5) && (s.stride_w == 1 || s.stride_w == 2);
}

constexpr int kRows = 10;

template <int kCount>
BIFSMN_NEON_INLINE void MatvecRows(const float* x, const float* w, const float* bias,
                                   int64_t inputs, float* y) {
  constexpr int kStep = 8;
  float32x4_t sum[kCount];
  const float* row[kCount];
  BIFSMN_NEON_UNROLL
  for (int r = 0; r < kCount; ++r) sum[r] = vdupq_n_f32(0.0f), row[r] = w + r * inputs;
  int64_t k = 0;
  for (; k + kStep <= inputs; k += kStep) {
    const int64_t first = k * 4, second = first + 16;
    const float32x4_t x0 = pinned::LoadIndexed(x, first), x1 = pinned::LoadIndexed(x, second);
    float32x4_t w0[kCount], w1[kCount];
    BIFSMN_NEON_UNROLL
    for (int r = 0; r < kCount; ++r) {
      w0[r] = pinned::LoadIndexed(row[r], first);
      w1[r] = pinned::LoadIndexed(row[r], second);
    }
    BIFSMN_NEON_UNROLL
    for (int r = 0; r < kCount; ++r) sum[r] = pinned::Fmla(sum[r], w0[r], x0);
    BIFSMN_NEON_UNROLL
    for (int r = 0; r < kCount; ++r) sum[r] = pinned::Fmla(sum[r], w1[r], x1);
  }
  float total[kCount];
  BIFSMN_NEON_UNROLL
  for (int r = 0; r < kCount; ++r) total[r] = vaddvq_f32(sum[r]);
  for (; k < inputs; ++k) {
    BIFSMN_NEON_UNROLL
    for (int r = 0; r < kCount; ++r) total[r] += x[k] * row[r][k];
  }
  BIFSMN_NEON_UNROLL
  for (int r = 0; r < kCount; ++r) y[r] = total[r] + bias[r];
}

}  // namespace

void NeonFloatConv(const float* x, const FloatConvShape& shape, const float* weights,
                   const FloatConvEnd& end, float* out, uint32_t* signs, int64_t signs_stride) {
  if (!HasTiles(shape)) {
    FloatConvPortable(x, shape, weights, end, out, signs, signs_stride);
    return;
  }
  const int64_t words = WordsFor(shape.outputs);
  if (signs != nullptr && words < signs_stride) {
    for (int64_t p = 0; p < int64_t{shape.out_h} * shape.out_w; ++p) {
      std::memset(signs + p * signs_stride + words, 0, (signs_stride - words) * sizeof(uint32_t));
    }
  }
  const Job job = {x, shape, weights, end, out, signs, signs_stride};
  if (shape.kernel_w == 5 && shape.stride_w == 2) {
    shape.outputs == kOutputs ? job.RunUsual() : job.Run<5, 2>();
  } else if (shape.kernel_w == 5) {
    job.Run<5, 1>();
  } else {
    shape.stride_w == 2 ? job.Run<3, 2>() : job.Run<3, 1>();
  }
}

void NeonFloatMatvec(const float* x, const float* w, const float* bias, int64_t outputs,
                     int64_t inputs, float* y) {
  int64_t n = 0;
  for (; n + kRows <= outputs; n += kRows) {
    MatvecRows<kRows>(x, w + n * inputs, bias + n, inputs, y + n);
  }
  for (; n < outputs; ++n) MatvecRows<1>(x, w + n * inputs, bias + n, inputs, y + n);
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
