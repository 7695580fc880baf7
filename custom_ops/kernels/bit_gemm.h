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

// Binary matrix product: dots[r][n] = sum_k a[r][k] * w[n][k] over signs, which is
// K - 2 * popcount(a XOR w).

#ifndef BIFSMN_KERNELS_BIT_GEMM_H_
#define BIFSMN_KERNELS_BIT_GEMM_H_

#include <cstdint>

#include "custom_ops/kernels/packed_weights.h"

namespace bifsmn {

// `a` is (rows, weights.words), unused bits clear; `dots` is (rows, weights.outputs).
void BitGemmPortable(const uint32_t* a, int64_t rows, const PackedWeights& weights, int32_t* dots);

// One row in which only the bits set in `mask` count; `valid` is how many those are.
void BitGemvMaskedPortable(const uint32_t* a, const uint32_t* mask, int valid,
                           const PackedWeights& weights, int32_t* dots);

#if defined(__x86_64__)
// The same with the POPCNT instruction, which not every x86-64 processor has.
void BitGemmPopcnt(const uint32_t* a, int64_t rows, const PackedWeights& weights, int32_t* dots);
void BitGemvMaskedPopcnt(const uint32_t* a, const uint32_t* mask, int valid,
                         const PackedWeights& weights, int32_t* dots);
#endif

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_BIT_GEMM_H_
