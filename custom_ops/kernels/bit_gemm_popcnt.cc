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

#if defined(__x86_64__)

#include "custom_ops/kernels/bit_gemm.h"
#include "custom_ops/kernels/bit_gemm_scalar.h"

namespace bifsmn {

__attribute__((target("popcnt"))) void BitGemmPopcnt(const uint32_t* a, int64_t rows,
                                                     const PackedWeights& weights,
                                                     int32_t* dots) {
  BitGemmScalar(a, rows, weights, dots);
}

__attribute__((target("popcnt"))) void BitGemvMaskedPopcnt(const uint32_t* a, const uint32_t* mask,
                                                           int valid, const PackedWeights& weights,
                                                           int32_t* dots) {
  BitGemvScalar<true>(a, mask, valid, weights, dots);
}

}  // namespace bifsmn

#endif  // defined(__x86_64__)
