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

// The real-valued ends of the network with AVX-512 and FMA.
//
// Convolution, tile 16 positions along the axis on which x is contiguous x 16 outputs:
//
//   for every row of taps:
//     w[0 .. 5) = the weights of its taps, 16 outputs each
//     for every value under the 16 positions, from the left: broadcast it, and
//       sum[p] += w[j] * value for the two or three positions whose tap j it is
//
//   registers: 16 sums, 5 weights, 1 value; other widths than 5 taps at stride 2 load a weight per
//   tap instead and broadcast as part of the multiply-add. Neighbouring positions share values: 35
//   broadcasts serve 80 multiply-adds. Lanes are outputs, so that one compare gives the packed
//   signs of 16 outputs.
//
// Matrix times vector, tile 4 rows of the matrix x 16 lanes of K: every load of x serves 4 rows.

#if defined(__x86_64__)

#include <cstring>

#include "custom_ops/kernels/avx512_path.h"
#include "custom_ops/kernels/avx512_common.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,popcnt")

namespace bifsmn {
namespace avx512 {
namespace {

constexpr int kTile = 16;

struct Stores {
  const FloatConvShape* shape;
  float slope;
  float* out;
  uint32_t* signs;
  int64_t stride;

  BIFSMN_INLINE void operator()(int64_t position, int64_t n, __m512 v) const {
    const __mmask16 mask = LaneMask(shape->outputs - n);
    const __mmask16 below = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NGE_UQ);
    v = _mm512_mask_mul_ps(v, below, v, _mm512_set1_ps(slope));
    if (out != nullptr) _mm512_mask_storeu_ps(out + position * shape->outputs + n, mask, v);
    if (signs != nullptr) {
      StoreHalf(signs + position * stride, n, Signs(v) & mask);
    }
  }
};

template <int kCount>
BIFSMN_INLINE void Positions(const float* x, const FloatConvShape& shape, const float* weights,
                             int64_t weight_stride, __m512 (&sum)[kCount]) {
  const int64_t step = shape.stride_w * shape.right;
  for (int i = 0; i < shape.kernel_h; ++i, x += shape.down) {
    for (int j = 0; j < shape.kernel_w; ++j, weights += weight_stride) {
      const __m512 w = _mm512_load_ps(weights);
      const float* from = x + j * shape.right;
#pragma GCC unroll 16
      for (int p = 0; p < kCount; ++p) {
        sum[p] = _mm512_fmadd_ps(w, _mm512_set1_ps(from[p * step]), sum[p]);
      }
    }
  }
}

// The same with five taps along the inner axis, a stride of two, and x contiguous there. `lines`
// is the number of taps along the other axis, whose values are `x_step` and whose weights
// `weight_step` apart.
template <int kCount>
BIFSMN_INLINE void PositionsOfFive(const float* x, int lines, int64_t x_step,
                                   const float* weights, int64_t weight_step,
                                   int64_t inner_weight_step, __m512 (&sum)[kCount]) {
  constexpr int kTaps = 5, kStride = 2;
  for (int i = 0; i < lines; ++i, x += x_step, weights += weight_step) {
    __m512 w[kTaps];
#pragma GCC unroll 5
    for (int j = 0; j < kTaps; ++j) w[j] = _mm512_load_ps(weights + j * inner_weight_step);
#pragma GCC unroll 35
    for (int c = 0; c < (kCount - 1) * kStride + kTaps; ++c) {
      const __m512 value = _mm512_set1_ps(x[c]);
#pragma GCC unroll 16
      for (int p = 0; p < kCount; ++p) {
        const int j = c - p * kStride;
        if (j >= 0 && j < kTaps) sum[p] = _mm512_fmadd_ps(w[j], value, sum[p]);
      }
    }
  }
}

template <int kCount>
BIFSMN_INLINE void Convolve(const float* x, const FloatConvShape& shape, const float* weights,
                            int64_t weight_stride, __m512 bias, int64_t position, int64_t n,
                            const Stores& store) {
  __m512 sum[kCount];
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) sum[p] = bias;
  Positions(x, shape, weights, weight_stride, sum);
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) store(position + p, n, sum[p]);
}

// 16 outputs of all positions, 16 positions at a time along the axis on which x is contiguous.
// False if that axis has other than five taps, another stride, or too few positions.
BIFSMN_INLINE bool ConvolveFive(const float* x, const FloatConvShape& shape, const float* weights,
                                int64_t weight_stride, __m512 bias, int64_t n,
                                const Stores& store) {
  const bool along_w = shape.right == 1;
  const int inner = along_w ? shape.out_w : shape.out_h;
  const int outer = along_w ? shape.out_h : shape.out_w;
  if ((!along_w && shape.down != 1) || inner % kTile != 0 ||
      (along_w ? shape.kernel_w : shape.kernel_h) != 5 ||
      (along_w ? shape.stride_w : shape.stride_h) != 2) {
    return false;
  }
  const int lines = along_w ? shape.kernel_h : shape.kernel_w;
  const int64_t x_step = along_w ? shape.down : shape.right;
  const int64_t line_step = x_step * (along_w ? shape.stride_h : shape.stride_w);
  const int64_t row_of_weights = shape.kernel_w * weight_stride;
  const int64_t inner_position = along_w ? 1 : shape.out_w;
  const int64_t outer_position = along_w ? shape.out_w : 1;
  for (int o = 0; o < outer; ++o) {
    for (int i = 0; i < inner; i += kTile) {
      __m512 sum[kTile];
#pragma GCC unroll 16
      for (int p = 0; p < kTile; ++p) sum[p] = bias;
      PositionsOfFive(x + o * line_step + 2 * i, lines, x_step, weights,
                      along_w ? row_of_weights : weight_stride,
                      along_w ? weight_stride : row_of_weights, sum);
      const int64_t position = o * outer_position + i * inner_position;
#pragma GCC unroll 16
      for (int p = 0; p < kTile; ++p) store(position + p * inner_position, n, sum[p]);
    }
  }
  return true;
}

}  // namespace

void FloatConv(const float* x, const FloatConvShape& shape, const float* weights,
               const float* bias, float slope, float* out, uint32_t* signs, int64_t stride) {
  const int64_t padded = (int64_t{shape.outputs} + kLanes - 1) / kLanes * kLanes;
  const int64_t step = shape.stride_w * shape.right;
  const Stores store = {&shape, slope, out, signs, stride};
  if (signs != nullptr) {
    ClearTails(signs, int64_t{shape.out_h} * shape.out_w, shape.outputs, stride);
  }
  for (int64_t n = 0; n < shape.outputs; n += kLanes) {
    const __m512 first = _mm512_load_ps(bias + n);
    if (ConvolveFive(x, shape, weights + n, padded, first, n, store)) continue;
    for (int h = 0; h < shape.out_h; ++h) {
      const float* row = x + h * shape.stride_h * shape.down;
      const int64_t position = int64_t{h} * shape.out_w;
      int w = 0;
      for (; w + 8 <= shape.out_w; w += 8) {
        Convolve<8>(row + w * step, shape, weights + n, padded, first, position + w, n, store);
      }
      for (; w + 4 <= shape.out_w; w += 4) {
        Convolve<4>(row + w * step, shape, weights + n, padded, first, position + w, n, store);
      }
      for (; w < shape.out_w; ++w) {
        Convolve<1>(row + w * step, shape, weights + n, padded, first, position + w, n, store);
      }
    }
  }
}

void FloatMatvec(const float* x, const float* w, const float* bias, int64_t outputs,
                 int64_t inputs, float* y) {
  constexpr int kRows = 4;
  for (int64_t n = 0; n < outputs; n += kRows) {
    const int64_t left = outputs - n < kRows ? outputs - n : kRows;
    const float* row[kRows];
    for (int i = 0; i < kRows; ++i) row[i] = w + (n + (i < left ? i : 0)) * inputs;
    __m512 sum[kRows] = {};
    for (int64_t k = 0; k < inputs; k += kLanes) {
      const __mmask16 mask = LaneMask(inputs - k);
      const __m512 v = _mm512_maskz_loadu_ps(mask, x + k);
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        sum[i] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, row[i] + k), v, sum[i]);
      }
    }
    for (int i = 0; i < left; ++i) y[n + i] = _mm512_reduce_add_ps(sum[i]) + bias[n + i];
  }
}

}  // namespace avx512
}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
