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
// Convolution of 5 x 5 taps at stride 2, the network's: Winograd's minimal filtering. Along one
// axis two neighbouring outputs need 10 products. Their even taps are a filter of 3 and their odd
// taps one of 2, F(2, 3) and F(2, 2), which need 4 + 3:
//
//   even inputs e0..e3, taps g0..g2:                     odd inputs o0..o2, taps h0, h1:
//     p0 = (e0 - e2) g0    p1 = (e1 + e2) (g0 + g1 + g2) / 2     q0 = (o0 - o1) h0
//     p3 = (e1 - e3) g2    p2 = (e2 - e1) (g0 - g1 + g2) / 2     q1 = o1 (h0 + h1)
//                                                                q2 = (o1 - o2) h1
//   y0 = p0 + p1 + p2 + q0 + q1,  y1 = p1 - p2 - p3 + q1 - q2
//
// Both axes: 49 products for 2 x 2 outputs instead of 100. Tile 4 x (2 x 2 positions) x 16 outputs:
//
//   for every two rows of outputs, 16 positions along the axis on which x is contiguous:
//     transform their inputs: 7 x 7 values for each of 8 tiles, a lane is a tile
//     for every four tiles, for every column j of the 7 x 7:
//       w[0 .. 7) = the transformed weights of column j, 16 outputs each
//       for every tile: a, b = the sums along the column by broadcasts as part of the multiply-add
//         sum[0][..] += a or nothing, sum[1][..] += b or -b or nothing, as y0 and y1 above
//
//   registers: 16 sums, 7 weights, a, b and temporaries. The weights are transformed at every call:
//   72 operations. Lanes are outputs, so that one compare gives the packed signs of 16 outputs.
//
// Other convolutions: tile 8 positions x 16 outputs, a weight per tap, broadcasts of x.
//
// Matrix times vector, tile 5 rows of the matrix x 32 of K: every load of x serves 5 rows.

#if defined(__x86_64__)

#include <cstring>

#include "custom_ops/kernels/avx512_path.h"
#include "custom_ops/kernels/avx512_common.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,popcnt")

namespace bifsmn {
namespace avx512 {
namespace {

// The end of a convolution for the outputs n .. n + 15: slope, floats and signs.
class Stores {
 public:
  BIFSMN_INLINE Stores(int64_t outputs, int64_t n, const FloatConvEnd& end, float* out,
                       uint32_t* signs, int64_t stride)
      : outputs_(outputs), n_(n), stride_(stride), out_(out), signs_(signs),
        mask_(LaneMask(outputs - n)),
        keeps_signs_(end.slope > 0.0f && end.sign_threshold == nullptr),
        slope_(_mm512_set1_ps(end.slope)),
        threshold_(ThresholdsAt(end.sign_threshold, n)) {}

  // A positive slope keeps the order around zero: who wants nothing else need not multiply.
  BIFSMN_INLINE void operator()(int64_t position, __m512 v) const {
    const __m512 plain = v;
    if (out_ != nullptr || !keeps_signs_) {
      const __mmask16 below = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NGE_UQ);
      v = _mm512_mask_mul_ps(v, below, v, slope_);
      if (out_ != nullptr) _mm512_mask_storeu_ps(out_ + position * outputs_ + n_, mask_, v);
    }
    if (signs_ != nullptr) {
      const __mmask16 half = _mm512_mask_cmp_ps_mask(mask_, keeps_signs_ ? plain : v, threshold_,
                                                     _CMP_GE_OQ);
      StoreHalf(signs_ + position * stride_, n_, half);
    }
  }

 private:
  int64_t outputs_, n_, stride_;
  float* out_;
  uint32_t* signs_;
  __mmask16 mask_;
  bool keeps_signs_;
  __m512 slope_, threshold_;
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

template <int kCount>
BIFSMN_INLINE void Convolve(const float* x, const FloatConvShape& shape, const float* weights,
                            int64_t weight_stride, __m512 bias, int64_t position,
                            const Stores& store) {
  __m512 sum[kCount];
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) sum[p] = bias;
  Positions(x, shape, weights, weight_stride, sum);
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) store(position + p, sum[p]);
}

// ---- 5 x 5 taps at stride 2 by minimal filtering

constexpr int kTaps = 5;    // along an axis
constexpr int kTerms = 7;   // products of two outputs along an axis: p0..p3, q0..q2
constexpr int kTiles = 8;   // of 2 x 2 outputs, side by side
constexpr int kGroup = 4;   // of those, at a time

// Weights of five taps to those of the seven products; `step` apart.
BIFSMN_INLINE void TransformTaps(const float* w, int64_t step, float* out, int64_t out_step) {
  const __m512 half = _mm512_set1_ps(0.5f);
  __m512 g[kTaps];
#pragma GCC unroll 5
  for (int i = 0; i < kTaps; ++i) g[i] = _mm512_load_ps(w + i * step);
  const __m512 ends = _mm512_add_ps(g[0], g[4]);
  _mm512_store_ps(out, g[0]);
  _mm512_store_ps(out + out_step, _mm512_mul_ps(_mm512_add_ps(ends, g[2]), half));
  _mm512_store_ps(out + 2 * out_step, _mm512_mul_ps(_mm512_sub_ps(ends, g[2]), half));
  _mm512_store_ps(out + 3 * out_step, g[4]);
  _mm512_store_ps(out + 4 * out_step, g[1]);
  _mm512_store_ps(out + 5 * out_step, _mm512_add_ps(g[1], g[3]));
  _mm512_store_ps(out + 6 * out_step, g[3]);
}

// Inputs of eight tiles. Of a row of products p0..q2 a lane is a tile; two of them share a
// register: (p0, q0), (p2, q2), (p1, q1), (p3, none).
struct TileInputs {
  alignas(64) float values[kTerms][4][16];

  // Where product j of row i lies for tile t.
  BIFSMN_INLINE const float* At(int i, int j, int t) const {
    const int pair = j == 0 || j == 4 ? 0 : j == 2 || j == 6 ? 1 : j == 1 || j == 5 ? 2 : 3;
    return &values[i][pair][(j < 4 ? 0 : kTiles) + t];
  }

  // `x` is the first of 7 rows of 35 values.
  BIFSMN_INLINE void Transform(const float* x, int64_t row) {
    // The seven rows that the products along the other axis want.
    static constexpr int kPlus[kTerms] = {0, 2, 4, 2, 1, 3, 3};
    static constexpr int kMinus[kTerms] = {4, 4, 2, 6, 3, 3, 5};
#pragma GCC unroll 7
    for (int i = 0; i < kTerms; ++i) {
      const float* from = x + kPlus[i] * row;
      const float* other = x + kMinus[i] * row;
      __m512 v[3];
#pragma GCC unroll 3
      for (int k = 0; k < 3; ++k, from += 16, other += 16) {
        const __mmask16 mask = k < 2 ? 0xffff : 0x0007;
        v[k] = _mm512_maskz_loadu_ps(mask, from);
        if (i == 5) continue;
        const __m512 minus = _mm512_maskz_loadu_ps(mask, other);
        v[k] = i == 1 ? _mm512_add_ps(v[k], minus) : _mm512_sub_ps(v[k], minus);
      }
      Columns(v[0], v[1], v[2], values[i]);
    }
  }

 private:
  // Column c of tile t is value 4 t + c of the row; 32 and up are in `high`.
  BIFSMN_INLINE static void Columns(__m512 low, __m512 middle, __m512 high, float (*out)[16]) {
    const __m512i x0_x1 =
        _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    const __m512i x4_x3 =
        _mm512_setr_epi32(4, 8, 12, 16, 20, 24, 28, 0, 3, 7, 11, 15, 19, 23, 27, 31);
    const __m512i x2_x5 =
        _mm512_setr_epi32(2, 6, 10, 14, 18, 22, 26, 30, 5, 9, 13, 17, 21, 25, 29, 1);
    const __m512i x6 =
        _mm512_setr_epi32(6, 10, 14, 18, 22, 26, 30, 2, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m512 a = _mm512_permutex2var_ps(low, x0_x1, middle);
    __m512 b = _mm512_permutex2var_ps(low, x4_x3, middle);
    __m512 c = _mm512_permutex2var_ps(low, x2_x5, middle);
    __m512 d = _mm512_permutex2var_ps(low, x6, middle);
    // The last tile's columns 4, 5 and 6.
    b = _mm512_mask_permutexvar_ps(b, 0x0080, x4_x3, high);
    c = _mm512_mask_permutexvar_ps(c, 0x8000, x2_x5, high);
    d = _mm512_mask_permutexvar_ps(d, 0x0080, x6, high);
    _mm512_store_ps(out[0], _mm512_sub_ps(a, b));
    _mm512_store_ps(out[1], _mm512_sub_ps(b, c));
    _mm512_store_ps(out[2], _mm512_mask_add_ps(b, 0x00ff, b, c));
    _mm512_store_ps(out[3], _mm512_sub_ps(c, d));
  }
};

// Four tiles from `first` on of 16 outputs: sum[tile][row][column].
BIFSMN_INLINE void SumTiles(const TileInputs& x, int first, const float (*w)[kTerms][kLanes],
                            __m512 (&sum)[kGroup][2][2]) {
#pragma GCC unroll 7
  for (int j = 0; j < kTerms; ++j) {
    __m512 u[kTerms];
#pragma GCC unroll 7
    for (int i = 0; i < kTerms; ++i) u[i] = _mm512_load_ps(w[i][j]);
#pragma GCC unroll 4
    for (int t = 0; t < kGroup; ++t) {
      const auto value = [&](int i) __attribute__((always_inline)) {
        return _mm512_set1_ps(*x.At(i, j, first + t));
      };
      const __m512 p2 = _mm512_mul_ps(u[2], value(2));
      const __m512 both = _mm512_fmadd_ps(u[5], value(5), _mm512_mul_ps(u[1], value(1)));
      __m512 a = _mm512_add_ps(both, p2), b = _mm512_sub_ps(both, p2);
      a = _mm512_fmadd_ps(u[0], value(0), a);
      b = _mm512_fnmadd_ps(u[3], value(3), b);
      a = _mm512_fmadd_ps(u[4], value(4), a);
      b = _mm512_fnmadd_ps(u[6], value(6), b);
      // Keeps the compiler from beginning all tiles at once, for which there are no registers.
      asm volatile("" : "+v"(a), "+v"(b), "+v"(sum[t][0][0]), "+v"(sum[t][0][1]),
                        "+v"(sum[t][1][0]), "+v"(sum[t][1][1]));
      if (j != 3 && j != 6) {
        sum[t][0][0] = _mm512_add_ps(sum[t][0][0], a);
        sum[t][1][0] = _mm512_add_ps(sum[t][1][0], b);
      }
      if (j == 1 || j == 5) {
        sum[t][0][1] = _mm512_add_ps(sum[t][0][1], a);
        sum[t][1][1] = _mm512_add_ps(sum[t][1][1], b);
      } else if (j != 0 && j != 4) {
        sum[t][0][1] = _mm512_sub_ps(sum[t][0][1], a);
        sum[t][1][1] = _mm512_sub_ps(sum[t][1][1], b);
      }
    }
  }
}

// 16 outputs of all positions. False if the shape is another one.
BIFSMN_INLINE bool ConvolveFive(const float* x, const FloatConvShape& shape, const float* weights,
                                int64_t weight_stride, __m512 bias, const Stores& store) {
  const bool along_w = shape.right == 1;
  const int inner = along_w ? shape.out_w : shape.out_h;
  const int outer = along_w ? shape.out_h : shape.out_w;
  if ((!along_w && shape.down != 1) || inner % (2 * kTiles) != 0 || outer % 2 != 0 ||
      shape.kernel_h != kTaps || shape.kernel_w != kTaps || shape.stride_h != 2 ||
      shape.stride_w != 2) {
    return false;
  }
  const int64_t row = along_w ? shape.down : shape.right;
  const int64_t inner_position = along_w ? 1 : shape.out_w;
  const int64_t outer_position = along_w ? shape.out_w : 1;
  const int64_t inner_tap = weight_stride * (along_w ? 1 : kTaps);
  const int64_t outer_tap = weight_stride * (along_w ? kTaps : 1);
  alignas(64) float lines[kTerms][kTaps][kLanes], w[kTerms][kTerms][kLanes];
  for (int j = 0; j < kTaps; ++j) {
    TransformTaps(weights + j * inner_tap, outer_tap, lines[0][j], kTaps * kLanes);
  }
  for (int i = 0; i < kTerms; ++i) TransformTaps(lines[i][0], kLanes, w[i][0], kLanes);

  TileInputs inputs;
  for (int o = 0; o < outer; o += 2) {
    for (int i = 0; i < inner; i += 2 * kTiles) {
      inputs.Transform(x + 2 * (o * row + i), row);
      for (int first = 0; first < kTiles; first += kGroup) {
        __m512 sum[kGroup][2][2];
#pragma GCC unroll 4
        for (int t = 0; t < kGroup; ++t) {
          sum[t][0][0] = sum[t][0][1] = sum[t][1][0] = sum[t][1][1] = bias;
        }
        SumTiles(inputs, first, w, sum);
        const int64_t position = o * outer_position + (i + 2 * first) * inner_position;
#pragma GCC unroll 4
        for (int t = 0; t < kGroup; ++t) {
          const int64_t at = position + 2 * t * inner_position;
          store(at, sum[t][0][0]);
          store(at + inner_position, sum[t][0][1]);
          store(at + outer_position, sum[t][1][0]);
          store(at + outer_position + inner_position, sum[t][1][1]);
        }
      }
    }
  }
  return true;
}

// y = W x + bias for kRows rows of the matrix.
template <int kRows>
BIFSMN_INLINE void RowsTimes(const float* x, const float* w, const float* bias, int64_t inputs,
                             float* y) {
  constexpr int kParts = 2;
  __m512 sum[kRows][kParts] = {};
  int64_t k = 0;
  for (; k + kParts * kLanes <= inputs; k += kParts * kLanes) {
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) {
      const __m512 v = _mm512_loadu_ps(x + k + p * kLanes);
#pragma GCC unroll 5
      for (int i = 0; i < kRows; ++i) {
        sum[i][p] = _mm512_fmadd_ps(_mm512_loadu_ps(w + i * inputs + k + p * kLanes), v,
                                    sum[i][p]);
      }
    }
  }
  for (; k < inputs; k += kLanes) {
    const __mmask16 mask = LaneMask(inputs - k);
    const __m512 v = _mm512_maskz_loadu_ps(mask, x + k);
#pragma GCC unroll 5
    for (int i = 0; i < kRows; ++i) {
      sum[i][0] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, w + i * inputs + k), v, sum[i][0]);
    }
  }
#pragma GCC unroll 5
  for (int i = 0; i < kRows; ++i) {
    y[i] = _mm512_reduce_add_ps(_mm512_add_ps(sum[i][0], sum[i][1])) + bias[i];
  }
}

}  // namespace

void FloatConv(const float* x, const FloatConvShape& shape, const float* weights,
               const FloatConvEnd& end, float* out, uint32_t* signs, int64_t stride) {
  const int64_t padded = (int64_t{shape.outputs} + kLanes - 1) / kLanes * kLanes;
  const int64_t step = shape.stride_w * shape.right;
  if (signs != nullptr) {
    ClearTails(signs, int64_t{shape.out_h} * shape.out_w, shape.outputs, stride);
  }
  for (int64_t n = 0; n < shape.outputs; n += kLanes) {
    const __m512 first = _mm512_load_ps(end.bias + n);
    const Stores store(shape.outputs, n, end, out, signs, stride);
    if (ConvolveFive(x, shape, weights + n, padded, first, store)) continue;
    for (int h = 0; h < shape.out_h; ++h) {
      const float* row = x + h * shape.stride_h * shape.down;
      const int64_t position = int64_t{h} * shape.out_w;
      int w = 0;
      for (; w + 8 <= shape.out_w; w += 8) {
        Convolve<8>(row + w * step, shape, weights + n, padded, first, position + w, store);
      }
      for (; w + 4 <= shape.out_w; w += 4) {
        Convolve<4>(row + w * step, shape, weights + n, padded, first, position + w, store);
      }
      for (; w < shape.out_w; ++w) {
        Convolve<1>(row + w * step, shape, weights + n, padded, first, position + w, store);
      }
    }
  }
}

void FloatMatvec(const float* x, const float* w, const float* bias, int64_t outputs,
                 int64_t inputs, float* y) {
  constexpr int64_t kRows = 5;
  int64_t n = 0;
  for (; n + kRows <= outputs; n += kRows) {
    RowsTimes<kRows>(x, w + n * inputs, bias + n, inputs, y + n);
  }
  w += n * inputs, bias += n, y += n;
  switch (outputs - n) {
    case 4: RowsTimes<4>(x, w, bias, inputs, y); break;
    case 3: RowsTimes<3>(x, w, bias, inputs, y); break;
    case 2: RowsTimes<2>(x, w, bias, inputs, y); break;
    case 1: RowsTimes<1>(x, w, bias, inputs, y); break;
    default: break;
  }
}

}  // namespace avx512
}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
