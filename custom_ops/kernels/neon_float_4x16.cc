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

// The real-valued stem: float32 convolution of few input channels straight to packed signs, by
// tiles of 4 positions x 16 outputs.
//
//   for every tap:
//     w0..w3 = the weights of 16 outputs
//     for position p = 0..3: x = the tap's value there; sum[p][0..3] += w0..w3 * x
//
//   registers: v0-v3 weights, v4-v7 values, v16-v31 sums
//
// 16 multiply-adds for 4 + 4 loads, and every register of sums is used once per tap, so that an
// in-order core never waits for one. Fewer outputs at a time would load a value per multiply-add.
// Shapes that do not fill the tile take the portable kernel.

#if defined(__aarch64__)

#include <arm_neon.h>

#include "custom_ops/kernels/float_portable.h"
#include "custom_ops/kernels/neon_float.h"

namespace bifsmn {
namespace {

constexpr int kPositions = 4;
constexpr int kOutputs = 16;

struct Sums {
  float32x4_t v[kPositions][kOutputs / 4];
};

inline Sums Convolve(const float* x, const FloatConvShape& shape, const float* weights,
                     int64_t weight_stride, const float* bias) {
  float32x4_t a0 = vld1q_f32(bias), a1 = vld1q_f32(bias + 4);
  float32x4_t a2 = vld1q_f32(bias + 8), a3 = vld1q_f32(bias + 12);
  float32x4_t b0 = a0, b1 = a1, b2 = a2, b3 = a3;
  float32x4_t c0 = a0, c1 = a1, c2 = a2, c3 = a3;
  float32x4_t d0 = a0, d1 = a1, d2 = a2, d3 = a3;
  const int64_t step = shape.stride_w * shape.right;
  for (int i = 0; i < shape.kernel_h; ++i, x += shape.down) {
    const float* from = x;
    for (int j = 0; j < shape.kernel_w; ++j, weights += weight_stride, from += shape.right) {
      const float32x4_t w0 = vld1q_f32(weights), w1 = vld1q_f32(weights + 4);
      const float32x4_t w2 = vld1q_f32(weights + 8), w3 = vld1q_f32(weights + 12);
      const float xa = from[0], xb = from[step], xc = from[2 * step], xd = from[3 * step];
      a0 = vfmaq_n_f32(a0, w0, xa), a1 = vfmaq_n_f32(a1, w1, xa);
      a2 = vfmaq_n_f32(a2, w2, xa), a3 = vfmaq_n_f32(a3, w3, xa);
      b0 = vfmaq_n_f32(b0, w0, xb), b1 = vfmaq_n_f32(b1, w1, xb);
      b2 = vfmaq_n_f32(b2, w2, xb), b3 = vfmaq_n_f32(b3, w3, xb);
      c0 = vfmaq_n_f32(c0, w0, xc), c1 = vfmaq_n_f32(c1, w1, xc);
      c2 = vfmaq_n_f32(c2, w2, xc), c3 = vfmaq_n_f32(c3, w3, xc);
      d0 = vfmaq_n_f32(d0, w0, xd), d1 = vfmaq_n_f32(d1, w1, xd);
      d2 = vfmaq_n_f32(d2, w2, xd), d3 = vfmaq_n_f32(d3, w3, xd);
    }
  }
  return {{{a0, a1, a2, a3}, {b0, b1, b2, b3}, {c0, c1, c2, c3}, {d0, d1, d2, d3}}};
}

// All ones where IsPositive: by the bits, so that the sign of a subnormal number survives a thread
// that flushes them; -0.0 counts as positive, NaN does not.
inline uint32x4_t PositiveMask(float32x4_t v) {
  const int32x4_t bits = vreinterpretq_s32_f32(v);
  const uint32x4_t number = vceqq_f32(v, v);
  return vorrq_u32(vandq_u32(vcgezq_s32(bits), number),
                   vceqq_s32(bits, vdupq_n_s32(INT32_MIN)));
}

// 16 masks of 32 bits to 16 bits.
inline uint32_t Pack(uint32x4_t m0, uint32x4_t m1, uint32x4_t m2, uint32x4_t m3) {
  static const uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint16x8_t low = vcombine_u16(vmovn_u32(m0), vmovn_u32(m1));
  const uint16x8_t high = vcombine_u16(vmovn_u32(m2), vmovn_u32(m3));
  const uint8x16_t bytes = vandq_u8(vcombine_u8(vmovn_u16(low), vmovn_u16(high)), vld1q_u8(kBits));
  uint8x16_t sums = vpaddq_u8(bytes, bytes);
  sums = vpaddq_u8(sums, sums);
  sums = vpaddq_u8(sums, sums);
  return vgetq_lane_u16(vreinterpretq_u16_u8(sums), 0);
}

}  // namespace

void NeonFloatConv(const float* x, const FloatConvShape& shape, const float* weights,
                   const float* bias, float slope, float* out, uint32_t* signs,
                   int64_t signs_stride) {
  if (shape.out_w % kPositions != 0 || shape.outputs % kOutputs != 0) {
    FloatConvPortable(x, shape, weights, bias, slope, out, signs, signs_stride);
    return;
  }
  const int64_t step = shape.stride_w * shape.right;
  const float32x4_t zero = vdupq_n_f32(0.0f);
  for (int h = 0; h < shape.out_h; ++h) {
    for (int w = 0; w < shape.out_w; w += kPositions) {
      const float* from = x + h * shape.stride_h * shape.down + w * step;
      const int64_t position = int64_t{h} * shape.out_w + w;
      for (int n = 0; n < shape.outputs; n += kOutputs) {
        const Sums sums = Convolve(from, shape, weights + n, shape.outputs, bias + n);
        for (int i = 0; i < kPositions; ++i) {
          uint32x4_t masks[kOutputs / 4];
          for (int q = 0; q < kOutputs / 4; ++q) {
            const float32x4_t sum = sums.v[i][q];
            const float32x4_t v =
                vbslq_f32(vcgeq_f32(sum, zero), sum, vmulq_n_f32(sum, slope));
            if (out != nullptr) {
              vst1q_f32(out + (position + i) * shape.outputs + n + 4 * q, v);
            }
            masks[q] = PositiveMask(v);
          }
          if (signs == nullptr) continue;
          uint32_t* row = signs + (position + i) * signs_stride;
          if (n % kWordBits == 0) {
            for (int64_t word = n / kWordBits; word < signs_stride; ++word) row[word] = 0;
          }
          row[n / kWordBits] |= Pack(masks[0], masks[1], masks[2], masks[3]) << (n % kWordBits);
        }
      }
    }
  }
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
