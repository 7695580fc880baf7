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

constexpr NeonTiles kNeonTreeTiles = {NeonTree8x1K128A53,    NeonTree8x1K256A53,
                                      NeonTree8x1K128AddA53, NeonTree8x1K256AddA53,
                                      NeonTree8x2K128BitsA53, NeonTree8x1K256BitsA53};

// Layout: for every 256 bits of the reduction, the last one maybe 128, a row for each output.
// Outputs are padded to 32 with rows of zeros.
void NeonDensePrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w);

// Set the functions of a path that multiply.
void NeonUseTree(KernelPath* path);
void NeonUseFbck(KernelPath* path);

}  // namespace bifsmn

#endif  // defined(__aarch64__)

#endif  // BIFSMN_KERNELS_NEON_DENSE_H_
