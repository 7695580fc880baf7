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

// The paths of x86-64 processors. Each is only called where the processor has what it needs.

#ifndef BIFSMN_KERNELS_PATH_X86_H_
#define BIFSMN_KERNELS_PATH_X86_H_

#include "custom_ops/kernels/path.h"

namespace bifsmn {

#if defined(__x86_64__)
// SSE2 and POPCNT.
const KernelPath& PopcntPath();

// AVX2 and FMA.
const KernelPath& Avx2Path();

// AVX-512 F, BW, VL, DQ and VPOPCNTDQ.
const KernelPath& Avx512Path();

const DualKernels& Avx2Dual();
const DualKernels& Avx512Dual();

void LogMelAvx2(const float* audio, LogMelPlan* plan, float* out);
#endif

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_PATH_X86_H_
