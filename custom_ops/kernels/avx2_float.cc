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

// The real-valued ends of the network with AVX2 and FMA: as avx512_float.cc, which explains the
// minimal filtering, by registers of 8.
//
// Convolution of 5 x 5 taps at stride 2, tile 2 x (2 x 2 positions) x 8 outputs:
//
//   for every two rows of outputs, 16 positions along the axis on which x is contiguous:
//     transform their inputs: 7 x 7 values for each of 8 tiles, a lane is a tile
//     for every 8 outputs, for every two tiles, for every column j of the 7 x 7:
//       for every row i: load a weight, for both tiles: broadcast a value, multiply-add
//
//   registers: 8 sums, a weight, a value, and a and b of both tiles. 1.5 loads per multiply-add
//   bound it.
//
// Other convolutions: tile 4 positions x 16 outputs. Matrix times vector: 4 rows x 16 of K.

#if defined(__x86_64__)

#include <cstdint>

#include "custom_ops/kernels/path_x86.h"
#include "custom_ops/kernels/avx2_common.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma,popcnt")

namespace bifsmn {
namespace avx2 {
namespace {

constexpr int kTaps = 5, kTerms = 7, kTiles = 8, kPair = 2;

// The end of a convolution for the outputs n .. n + 7: slope, floats and signs.
class Stores {
 public:
  BIFSMN_INLINE Stores(int64_t outputs, int64_t n, const FloatConvEnd& end, float* out,
                       uint32_t* signs, int64_t stride)
      : outputs_(outputs), n_(n), stride_(stride), out_(out), signs_(signs),
        keeps_signs_(end.slope > 0.0f && end.sign_threshold == nullptr),
        slope_(_mm256_set1_ps(end.slope)),
        threshold_(ThresholdsAt(end.sign_threshold, n)),
        mask_(LaneMask(outputs - n)),
        lane_bits_(static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(mask_)))) {}

  bool any() const { return n_ < outputs_; }

  // A positive slope keeps the order around zero: who wants nothing else need not multiply.
  BIFSMN_INLINE void operator()(int64_t position, __m256 v) const {
    const __m256 zero = _mm256_setzero_ps();
    const __m256 plain = v;
    if (out_ != nullptr || !keeps_signs_) {
      const __m256 keep = _mm256_cmp_ps(v, zero, _CMP_GE_OQ);
      v = _mm256_blendv_ps(_mm256_mul_ps(v, slope_), v, keep);
      if (out_ != nullptr) {
        StoreLanes(out_ + position * outputs_ + n_, outputs_ - n_ >= kLanes, mask_, v);
      }
    }
    if (signs_ != nullptr) {
      const __m256 sign = _mm256_cmp_ps(keeps_signs_ ? plain : v, threshold_, _CMP_GE_OQ);
      StoreByte(signs_ + position * stride_, n_,
                static_cast<unsigned>(_mm256_movemask_ps(sign)) & lane_bits_);
    }
  }

 private:
  int64_t outputs_, n_, stride_;
  float* out_;
  uint32_t* signs_;
  bool keeps_signs_;
  __m256 slope_, threshold_;
  __m256i mask_;
  unsigned lane_bits_;
};

// ---- 5 x 5 taps at stride 2 by minimal filtering

// Weights of five taps to those of the seven products; `step` apart.
BIFSMN_INLINE void TransformTaps(const float* w, int64_t step, float* out, int64_t out_step) {
  const __m256 half = _mm256_set1_ps(0.5f);
  const __m256 g1 = _mm256_load_ps(w + step), g2 = _mm256_load_ps(w + 2 * step);
  const __m256 g3 = _mm256_load_ps(w + 3 * step);
  const __m256 ends = _mm256_add_ps(_mm256_load_ps(w), _mm256_load_ps(w + 4 * step));
  _mm256_store_ps(out, _mm256_load_ps(w));
  _mm256_store_ps(out + out_step, _mm256_mul_ps(_mm256_add_ps(ends, g2), half));
  _mm256_store_ps(out + 2 * out_step, _mm256_mul_ps(_mm256_sub_ps(ends, g2), half));
  _mm256_store_ps(out + 3 * out_step, _mm256_load_ps(w + 4 * step));
  _mm256_store_ps(out + 4 * out_step, g1);
  _mm256_store_ps(out + 5 * out_step, _mm256_add_ps(g1, g3));
  _mm256_store_ps(out + 6 * out_step, g3);
}

// [x[0 .. 4), x[16 .. 20)]
BIFSMN_INLINE __m256 Quads(const float* x) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x)), _mm_loadu_ps(x + 16), 1);
}

// Value 4 t + c of a row to column[c][t].
BIFSMN_INLINE void Columns(__m256 r0, __m256 r1, __m256 r2, __m256 r3, __m256 (&column)[4]) {
  const __m256 a = _mm256_unpacklo_ps(r0, r1), b = _mm256_unpackhi_ps(r0, r1);
  const __m256 c = _mm256_unpacklo_ps(r2, r3), d = _mm256_unpackhi_ps(r2, r3);
  column[0] = _mm256_shuffle_ps(a, c, 0x44);
  column[1] = _mm256_shuffle_ps(a, c, 0xee);
  column[2] = _mm256_shuffle_ps(b, d, 0x44);
  column[3] = _mm256_shuffle_ps(b, d, 0xee);
}

struct TileInputs {
  alignas(32) float values[kTerms][kTerms][kTiles];

  // `x` is the first of 7 rows of 35 values.
  BIFSMN_INLINE void Transform(const float* x, int64_t row) {
    // The seven rows that the products along the other axis want.
    static constexpr int kPlus[kTerms] = {0, 2, 4, 2, 1, 3, 3};
    static constexpr int kMinus[kTerms] = {4, 4, 2, 6, 3, 3, 5};
    const __m128i three = _mm_setr_epi32(-1, -1, -1, 0);
#pragma GCC unroll 7
    for (int i = 0; i < kTerms; ++i) {
      const float* plus = x + kPlus[i] * row;
      const float* minus = x + kMinus[i] * row;
      __m256 r[5];
#pragma GCC unroll 5
      for (int k = 0; k < 5; ++k) {
        // The last one begins with values that the first one has.
        __m256 other;
        if (k < 4) {
          r[k] = Quads(plus + 4 * k);
          other = Quads(minus + 4 * k);
        } else {
          r[k] = _mm256_castps128_ps256(_mm_maskload_ps(plus + 32, three));
          other = _mm256_castps128_ps256(_mm_maskload_ps(minus + 32, three));
        }
        if (i != 5) r[k] = i == 1 ? _mm256_add_ps(r[k], other) : _mm256_sub_ps(r[k], other);
      }
      r[4] = _mm256_permute2f128_ps(r[0], r[4], 0x21);
      __m256 low[4], high[4];
      Columns(r[0], r[1], r[2], r[3], low);
      Columns(r[1], r[2], r[3], r[4], high);
      _mm256_store_ps(values[i][0], _mm256_sub_ps(low[0], high[0]));
      _mm256_store_ps(values[i][1], _mm256_add_ps(low[2], high[0]));
      _mm256_store_ps(values[i][2], _mm256_sub_ps(high[0], low[2]));
      _mm256_store_ps(values[i][3], _mm256_sub_ps(low[2], high[2]));
      _mm256_store_ps(values[i][4], _mm256_sub_ps(low[1], low[3]));
      _mm256_store_ps(values[i][5], low[3]);
      _mm256_store_ps(values[i][6], _mm256_sub_ps(low[3], high[1]));
    }
  }
};

// Two tiles from `first` on of 8 outputs: sum[tile][row][column].
BIFSMN_INLINE void SumTiles(const TileInputs& x, int first, const float (*w)[kTerms][kLanes],
                            __m256 (&sum)[kPair][2][2]) {
#pragma GCC unroll 7
  for (int j = 0; j < kTerms; ++j) {
    const auto value = [&](int i, int t) __attribute__((always_inline)) {
      return _mm256_broadcast_ss(&x.values[i][j][first + t]);
    };
    __m256 a[kPair], b[kPair];
    __m256 u = _mm256_load_ps(w[1][j]);
    b[0] = _mm256_mul_ps(u, value(1, 0)), b[1] = _mm256_mul_ps(u, value(1, 1));
    u = _mm256_load_ps(w[5][j]);
    b[0] = _mm256_fmadd_ps(u, value(5, 0), b[0]), b[1] = _mm256_fmadd_ps(u, value(5, 1), b[1]);
    u = _mm256_load_ps(w[2][j]);
#pragma GCC unroll 2
    for (int t = 0; t < kPair; ++t) {
      a[t] = _mm256_fmadd_ps(u, value(2, t), b[t]);
      b[t] = _mm256_fnmadd_ps(u, value(2, t), b[t]);
    }
#pragma GCC unroll 2
    for (int i = 0; i <= 4; i += 4) {
      u = _mm256_load_ps(w[i][j]);
      a[0] = _mm256_fmadd_ps(u, value(i, 0), a[0]), a[1] = _mm256_fmadd_ps(u, value(i, 1), a[1]);
    }
#pragma GCC unroll 2
    for (int i = 3; i <= 6; i += 3) {
      u = _mm256_load_ps(w[i][j]);
      b[0] = _mm256_fnmadd_ps(u, value(i, 0), b[0]);
      b[1] = _mm256_fnmadd_ps(u, value(i, 1), b[1]);
    }
#pragma GCC unroll 2
    for (int t = 0; t < kPair; ++t) {
      // Keeps the compiler from beginning several columns at once, for want of registers.
      asm volatile("" : "+x"(a[t]), "+x"(b[t]), "+x"(sum[t][0][0]), "+x"(sum[t][0][1]),
                        "+x"(sum[t][1][0]), "+x"(sum[t][1][1]));
      if (j != 3 && j != 6) {
        sum[t][0][0] = _mm256_add_ps(sum[t][0][0], a[t]);
        sum[t][1][0] = _mm256_add_ps(sum[t][1][0], b[t]);
      }
      if (j == 1 || j == 5) {
        sum[t][0][1] = _mm256_add_ps(sum[t][0][1], a[t]);
        sum[t][1][1] = _mm256_add_ps(sum[t][1][1], b[t]);
      } else if (j != 0 && j != 4) {
        sum[t][0][1] = _mm256_sub_ps(sum[t][0][1], a[t]);
        sum[t][1][1] = _mm256_sub_ps(sum[t][1][1], b[t]);
      }
    }
  }
}

// 8 outputs of all positions. False if the shape is another one.
BIFSMN_INLINE bool ConvolveFive(const float* x, const FloatConvShape& shape, const float* weights,
                                int64_t weight_stride, __m256 bias, const Stores& store) {
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
  alignas(32) float lines[kTerms][kTaps][kLanes], w[kTerms][kTerms][kLanes];
  for (int j = 0; j < kTaps; ++j) {
    TransformTaps(weights + j * inner_tap, outer_tap, lines[0][j], kTaps * kLanes);
  }
  for (int i = 0; i < kTerms; ++i) TransformTaps(lines[i][0], kLanes, w[i][0], kLanes);

  TileInputs inputs;
  for (int o = 0; o < outer; o += 2) {
    for (int i = 0; i < inner; i += 2 * kTiles) {
      inputs.Transform(x + 2 * (o * row + i), row);
      for (int first = 0; first < kTiles; first += kPair) {
        __m256 sum[kPair][2][2];
#pragma GCC unroll 2
        for (int t = 0; t < kPair; ++t) {
          sum[t][0][0] = sum[t][0][1] = sum[t][1][0] = sum[t][1][1] = bias;
        }
        SumTiles(inputs, first, w, sum);
        const int64_t position = o * outer_position + (i + 2 * first) * inner_position;
#pragma GCC unroll 2
        for (int t = 0; t < kPair; ++t) {
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

// ---- any convolution

// kCount positions of 16 outputs.
template <int kCount>
BIFSMN_INLINE void Convolve(const float* x, const FloatConvShape& shape, const float* weights,
                            int64_t weight_stride, const float* bias, int64_t position,
                            const Stores& low, const Stores& high) {
  const int64_t step = shape.stride_w * shape.right;
  __m256 sum[kCount][2];
#pragma GCC unroll 4
  for (int p = 0; p < kCount; ++p) {
    sum[p][0] = _mm256_load_ps(bias);
    sum[p][1] = _mm256_load_ps(bias + kLanes);
  }
  for (int i = 0; i < shape.kernel_h; ++i, x += shape.down) {
    for (int j = 0; j < shape.kernel_w; ++j, weights += weight_stride) {
      const __m256 w0 = _mm256_load_ps(weights), w1 = _mm256_load_ps(weights + kLanes);
#pragma GCC unroll 4
      for (int p = 0; p < kCount; ++p) {
        const __m256 value = _mm256_broadcast_ss(x + p * step + j * shape.right);
        sum[p][0] = _mm256_fmadd_ps(w0, value, sum[p][0]);
        sum[p][1] = _mm256_fmadd_ps(w1, value, sum[p][1]);
      }
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < kCount; ++p) {
    low(position + p, sum[p][0]);
    if (high.any()) high(position + p, sum[p][1]);
  }
}

BIFSMN_INLINE float Sum(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

// y = W x + bias for kRows rows of the matrix.
template <int kRows>
BIFSMN_INLINE void RowsTimes(const float* x, const float* w, const float* bias, int64_t inputs,
                             float* y) {
  constexpr int kParts = 2;
  __m256 sum[kRows][kParts];
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = _mm256_setzero_ps();
  int64_t k = 0;
  for (; k + kParts * kLanes <= inputs; k += kParts * kLanes) {
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) {
      const __m256 v = _mm256_loadu_ps(x + k + p * kLanes);
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        sum[i][p] = _mm256_fmadd_ps(_mm256_loadu_ps(w + i * inputs + k + p * kLanes), v,
                                    sum[i][p]);
      }
    }
  }
  for (; k < inputs; k += kLanes) {
    const __m256i mask = LaneMask(inputs - k);
    const __m256 v = _mm256_maskload_ps(x + k, mask);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      sum[i][0] = _mm256_fmadd_ps(_mm256_maskload_ps(w + i * inputs + k, mask), v, sum[i][0]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) y[i] = Sum(_mm256_add_ps(sum[i][0], sum[i][1])) + bias[i];
}

}  // namespace

void FloatConv(const float* x, const FloatConvShape& shape, const float* weights,
               const FloatConvEnd& end, float* out, uint32_t* signs, int64_t stride) {
  constexpr int kBlock = 2 * kLanes;
  const int64_t padded = (int64_t{shape.outputs} + kBlock - 1) / kBlock * kBlock;
  const int64_t step = shape.stride_w * shape.right;
  if (signs != nullptr) {
    ClearTails(signs, int64_t{shape.out_h} * shape.out_w, shape.outputs, stride);
  }
  const float* bias = end.bias;
  for (int64_t n = 0; n < shape.outputs; n += kBlock) {
    const Stores low(shape.outputs, n, end, out, signs, stride);
    const Stores high(shape.outputs, n + kLanes, end, out, signs, stride);
    if (ConvolveFive(x, shape, weights + n, padded, _mm256_load_ps(bias + n), low)) {
      if (high.any()) {
        ConvolveFive(x, shape, weights + n + kLanes, padded, _mm256_load_ps(bias + n + kLanes),
                     high);
      }
      continue;
    }
    for (int h = 0; h < shape.out_h; ++h) {
      const float* row = x + h * shape.stride_h * shape.down;
      const int64_t position = int64_t{h} * shape.out_w;
      int w = 0;
      for (; w + 4 <= shape.out_w; w += 4) {
        Convolve<4>(row + w * step, shape, weights + n, padded, bias + n, position + w, low, high);
      }
      for (; w < shape.out_w; ++w) {
        Convolve<1>(row + w * step, shape, weights + n, padded, bias + n, position + w, low, high);
      }
    }
  }
}

void FloatMatvec(const float* x, const float* w, const float* bias, int64_t outputs,
                 int64_t inputs, float* y) {
  constexpr int64_t kRows = 4;
  int64_t n = 0;
  for (; n + kRows <= outputs; n += kRows) {
    RowsTimes<kRows>(x, w + n * inputs, bias + n, inputs, y + n);
  }
  w += n * inputs, bias += n, y += n;
  switch (outputs - n) {
    case 3: RowsTimes<3>(x, w, bias, inputs, y); break;
    case 2: RowsTimes<2>(x, w, bias, inputs, y); break;
    case 1: RowsTimes<1>(x, w, bias, inputs, y); break;
    default: break;
  }
}

}  // namespace avx2
}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
