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

// Layers of two bits on the NEON paths.

#ifndef BIFSMN_KERNELS_NEON_DUAL_H_
#define BIFSMN_KERNELS_NEON_DUAL_H_

#include "custom_ops/kernels/path.h"

namespace bifsmn {

const DualKernels& NeonDual();

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_NEON_DUAL_H_
