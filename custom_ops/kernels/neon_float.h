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

// The real-valued stem and classifier with NEON: as the functions of KernelPath.

#ifndef BIFSMN_KERNELS_NEON_FLOAT_H_
#define BIFSMN_KERNELS_NEON_FLOAT_H_

#include <cstdint>

#include "custom_ops/kernels/path.h"

namespace bifsmn {

void NeonFloatConv(const float* x, const FloatConvShape& shape, const float* weights,
                   const FloatConvEnd& end, float* out, uint32_t* signs, int64_t signs_stride);
void NeonFloatMatvec(const float* x, const float* w, const float* bias, int64_t outputs,
                     int64_t inputs, float* y);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_NEON_FLOAT_H_
