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

// The memory filter with NEON: as the functions of KernelPath.

#ifndef BIFSMN_KERNELS_NEON_MEMORY_H_
#define BIFSMN_KERNELS_NEON_MEMORY_H_

#include <cstdint>

#include "custom_ops/kernels/path.h"

namespace bifsmn {

void NeonMemoryToFloat(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                       const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                       int64_t signs_stride);
// As DualKernels::memory_to_float.
void NeonDualMemoryToFloat(const uint32_t* first, const uint32_t* second, int64_t x_stride,
                           int64_t frames, const MemoryWeights& w, const float* scale,
                           const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                           int64_t signs_stride);

void NeonMemoryToBits(const uint32_t* x, int64_t x_stride, int64_t frames, const MemoryWeights& w,
                      const int16_t* threshold, uint32_t* out, int64_t out_stride);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_NEON_MEMORY_H_
