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

// The scalar kernels with the POPCNT instruction, which not every x86-64 processor has.

#if defined(__x86_64__)

#include "custom_ops/kernels/path.h"
#include "custom_ops/kernels/path_x86.h"
#include "custom_ops/kernels/scalar.h"

namespace bifsmn {
namespace {

#define BIFSMN_TARGET __attribute__((target("popcnt")))

BIFSMN_TARGET void DenseDots(const uint32_t* a, int64_t rows, const DenseWeights& w,
                             int32_t* dots) {
  scalar::DenseDots(a, rows, w, dots);
}

BIFSMN_TARGET void DenseToBits(const uint32_t* a, int64_t rows, const DenseWeights& w,
                               const BitsEnd& end, uint32_t* out, int64_t out_stride) {
  scalar::DenseToBits(a, rows, w, end, out, out_stride);
}

BIFSMN_TARGET void DenseToFloat(const uint32_t* a, int64_t rows, const DenseWeights& w,
                                const FloatEnd& end, const float* residual, float* out,
                                uint32_t* signs, int64_t signs_stride) {
  scalar::DenseToFloat(a, rows, w, end, residual, out, signs, signs_stride);
}

}  // namespace

const KernelPath& PopcntPath() {
  static const KernelPath path = [] {
    KernelPath p = PortablePath();
    p.name = "popcnt";
    p.dense_dots = DenseDots;
    p.dense_to_bits = DenseToBits;
    p.dense_to_float = DenseToFloat;
    return p;
  }();
  return path;
}

}  // namespace bifsmn

#endif  // defined(__x86_64__)
