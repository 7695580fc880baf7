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

// The functions behind the AVX-512 path.

#ifndef BIFSMN_KERNELS_AVX512_PATH_H_
#define BIFSMN_KERNELS_AVX512_PATH_H_

#include <cstdint>

#include "custom_ops/kernels/path.h"

namespace bifsmn {
namespace avx512 {

void Pack(const float* x, int64_t rows, int channels, uint32_t* out, int64_t stride);
void DensePrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w);
void DenseDots(const uint32_t* a, int64_t rows, const DenseWeights& w, int32_t* dots);
void DenseToBits(const uint32_t* a, int64_t rows, const DenseWeights& w, const BitsEnd& end,
                 uint32_t* out, int64_t stride);
void DenseToFloat(const uint32_t* a, int64_t rows, const DenseWeights& w, const FloatEnd& end,
                  const float* residual, float* out, uint32_t* signs, int64_t stride);
void DotsToFloat(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                 const float* residual, float* out, uint32_t* signs, int64_t stride);
void MemoryToFloat(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                   const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                   int64_t stride);
void MemoryToBits(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                  const int16_t* threshold, uint32_t* out, int64_t stride);
void FloatConv(const float* x, const FloatConvShape& shape, const float* weights,
               const FloatConvEnd& end, float* out, uint32_t* signs, int64_t stride);
void FloatMatvec(const float* x, const float* w, const float* bias, int64_t outputs,
                 int64_t inputs, float* y);

}  // namespace avx512
}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_AVX512_PATH_H_
