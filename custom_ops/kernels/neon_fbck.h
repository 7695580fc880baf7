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

// The paper's kernel as tiles, and its layout of weights.

#ifndef BIFSMN_KERNELS_NEON_FBCK_H_
#define BIFSMN_KERNELS_NEON_FBCK_H_

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_dense.h"

namespace bifsmn {

const NeonTiles& NeonFbckTiles();

void NeonFbckPrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w);

}  // namespace bifsmn

#endif  // defined(__aarch64__)

#endif  // BIFSMN_KERNELS_NEON_FBCK_H_
