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

// Kernel paths of 64-bit ARM.

#ifndef BIFSMN_KERNELS_NEON_PATHS_H_
#define BIFSMN_KERNELS_NEON_PATHS_H_

#include "custom_ops/kernels/path.h"

namespace bifsmn {

// The paper's kernel: runs on every core, for comparison.
const KernelPath& NeonFbckPath();

// For in-order cores: Cortex-A53, A55 and their like. Runs on every core.
const KernelPath& NeonA53Path();

// For out-of-order cores. Runs on every core.
const KernelPath& NeonPath();

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_NEON_PATHS_H_
