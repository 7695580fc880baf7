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

// The real-valued ends of the network for any processor, by vectors that the compiler maps to
// whatever registers there are.
//
//   convolution: for every 16 outputs, for every 4 positions of an output row:
//     for every tap: one load of 16 weights, 4 broadcasts of x, 4 multiply-adds
//   matrix times vector: for every row of the matrix, 4 sums of 4 lanes

#include <cstring>

#include "custom_ops/kernels/float_portable.h"
#include "custom_ops/kernels/path.h"

// These two are allowed to fuse products and sums.
#if !defined(__clang__)
#pragma GCC optimize("fp-contract=fast")
#endif

namespace bifsmn {
namespace {

constexpr int kLanes = 16;
constexpr int kTile = 4;

typedef float Vector __attribute__((vector_size(16)));
constexpr int kParts = kLanes / 4;

inline Vector Load(const float* x) {
  Vector v;
  std::memcpy(&v, x, sizeof(v));
  return v;
}

// Sums of `count` <= kTile positions and 16 outputs.
template <int kCount>
inline void Sums(const float* x, const FloatConvShape& shape, const float* weights,
                 int64_t weight_stride, const float* bias, float* sums) {
  // Unrolled completely: only then do the sums live in registers.
  Vector acc[kCount][kParts];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) acc[i][p] = Load(bias + 4 * p);
  }
  const int64_t step = shape.stride_w * shape.right;
  for (int i = 0; i < shape.kernel_h; ++i, x += shape.down) {
    for (int j = 0; j < shape.kernel_w; ++j, weights += weight_stride) {
      Vector w[kParts];
#pragma GCC unroll 4
      for (int q = 0; q < kParts; ++q) w[q] = Load(weights + 4 * q);
#pragma GCC unroll 4
      for (int p = 0; p < kCount; ++p) {
        const float value = x[p * step + j * shape.right];
        const Vector v = {value, value, value, value};
#pragma GCC unroll 4
        for (int q = 0; q < kParts; ++q) acc[p][q] += v * w[q];
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) {
      std::memcpy(sums + i * kLanes + 4 * p, &acc[i][p], sizeof(Vector));
    }
  }
}

}  // namespace

void FloatConvPortable(const float* x, const FloatConvShape& shape, const float* weights,
                       const FloatConvEnd& end, float* out, uint32_t* signs,
                       int64_t signs_stride) {
  const float* bias = end.bias;
  const float slope = end.slope;
  const int64_t step = shape.stride_w * shape.right;
  const int64_t padded = (int64_t{shape.outputs} + kLanes - 1) / kLanes * kLanes;
  float sums[kTile * kLanes];
  for (int h = 0; h < shape.out_h; ++h) {
    for (int w = 0; w < shape.out_w; w += kTile) {
      const int count = shape.out_w - w < kTile ? shape.out_w - w : kTile;
      const float* from = x + h * shape.stride_h * shape.down + w * step;
      const int64_t position = int64_t{h} * shape.out_w + w;
      for (int n = 0; n < shape.outputs; n += kLanes) {
        if (count == kTile) {
          Sums<kTile>(from, shape, weights + n, padded, bias + n, sums);
        } else {
          for (int i = 0; i < count; ++i) {
            Sums<1>(from + i * step, shape, weights + n, padded, bias + n,
                    sums + i * kLanes);
          }
        }
        const int lanes = shape.outputs - n < kLanes ? shape.outputs - n : kLanes;
        for (int i = 0; i < count; ++i) {
          float* v = sums + i * kLanes;
          uint32_t bits = 0;
          for (int j = 0; j < kLanes; ++j) v[j] = v[j] >= 0.0f ? v[j] : v[j] * slope;
          if (out != nullptr) {
            std::memcpy(out + (position + i) * shape.outputs + n, v, lanes * sizeof(float));
          }
          if (signs == nullptr) continue;
          const float* threshold = end.sign_threshold == nullptr ? nullptr : end.sign_threshold + n;
          for (int j = 0; j < lanes; ++j) {
            bits |= (threshold == nullptr ? IsPositive(v[j])
                                          : static_cast<uint32_t>(v[j] >= threshold[j])) << j;
          }
          uint32_t* row = signs + (position + i) * signs_stride;
          if (n % kWordBits == 0) {
            for (int64_t word = n / kWordBits; word < signs_stride; ++word) row[word] = 0;
          }
          row[n / kWordBits] |= bits << (n % kWordBits);
        }
      }
    }
  }
}

void FloatMatvecPortable(const float* x, const float* w, const float* bias, int64_t outputs,
                         int64_t inputs, float* y) {
  for (int64_t n = 0; n < outputs; ++n, w += inputs) {
    Vector sum[4] = {};
    int64_t k = 0;
    for (; k + 16 <= inputs; k += 16) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[i] += Load(x + k + 4 * i) * Load(w + k + 4 * i);
    }
    const Vector all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    float total = (all[0] + all[1]) + (all[2] + all[3]);
    for (; k < inputs; ++k) total += x[k] * w[k];
    y[n] = total + bias[n];
  }
}

}  // namespace bifsmn
