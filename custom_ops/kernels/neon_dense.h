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

// Binary matrix products of the NEON paths, put together from tiles and epilogues.

#ifndef BIFSMN_KERNELS_NEON_DENSE_H_
#define BIFSMN_KERNELS_NEON_DENSE_H_

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_tiles.h"
#include "custom_ops/kernels/path.h"

namespace bifsmn {

struct NeonTiles {
  NeonCountsTile *k128, *k256, *k128_add, *k256_add;
  NeonBitsTile *k128_bits, *k256_bits;
};

// Layout: for every 256 bits of the reduction, the last one maybe 128, a row for each output.
// Outputs are padded to 32 with rows of zeros.
void NeonDensePrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w);

void NeonDenseDots(const NeonTiles& tiles, const uint32_t* a, int64_t rows, const DenseWeights& w,
                   int32_t* dots);
void NeonDenseToBits(const NeonTiles& tiles, const uint32_t* a, int64_t rows,
                     const DenseWeights& w, const BitsEnd& end, uint32_t* out,
                     int64_t out_stride);
void NeonDenseToFloat(const NeonTiles& tiles, const uint32_t* a, int64_t rows,
                      const DenseWeights& w, const FloatEnd& end, const float* residual,
                      float* out, uint32_t* signs, int64_t signs_stride);

}  // namespace bifsmn

#endif  // defined(__aarch64__)

#endif  // BIFSMN_KERNELS_NEON_DENSE_H_
