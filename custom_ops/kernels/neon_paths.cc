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

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_paths.h"

#include "custom_ops/kernels/neon_dense.h"
#include "custom_ops/kernels/neon_dual.h"
#include "custom_ops/kernels/neon_ends.h"
#include "custom_ops/kernels/neon_fbck.h"
#include "custom_ops/kernels/neon_float.h"
#include "custom_ops/kernels/neon_memory.h"
#include "custom_ops/kernels/neon_pack.h"
#include "custom_ops/kernels/neon_tiles.h"

namespace bifsmn {
namespace {

const NeonTiles& A53Tiles() {
  static const NeonTiles tiles = {NeonTree8x1K128A53,      NeonTree8x1K256A53,
                                  NeonTree8x1K128AddA53,   NeonTree8x1K256AddA53,
                                  NeonTree8x2K128BitsA53, NeonTree8x1K256BitsA53};
  return tiles;
}

using Tiles = const NeonTiles& (*)();

template <Tiles kTiles>
void Dots(const uint32_t* a, int64_t rows, const DenseWeights& w, int32_t* dots) {
  NeonDenseDots(kTiles(), a, rows, w, dots);
}

template <Tiles kTiles>
void ToBits(const uint32_t* a, int64_t rows, const DenseWeights& w, const BitsEnd& end,
            uint32_t* out, int64_t out_stride) {
  NeonDenseToBits(kTiles(), a, rows, w, end, out, out_stride);
}

template <Tiles kTiles>
void ToFloat(const uint32_t* a, int64_t rows, const DenseWeights& w, const FloatEnd& end,
             const float* residual, float* out, uint32_t* signs, int64_t signs_stride) {
  NeonDenseToFloat(kTiles(), a, rows, w, end, residual, out, signs, signs_stride);
}

template <Tiles kTiles>
KernelPath Path(const char* name, decltype(KernelPath::dense_prepare) prepare) {
  KernelPath path = PortablePath();
  path.name = name;
  path.pack = NeonPack;
  path.dense_prepare = prepare;
  path.dense_dots = Dots<kTiles>;
  path.dense_to_bits = ToBits<kTiles>;
  path.dense_to_float = ToFloat<kTiles>;
  path.dots_to_float = NeonDotsToFloat;
  path.memory_to_float = NeonMemoryToFloat;
  path.memory_to_bits = NeonMemoryToBits;
  path.float_conv = NeonFloatConv;
  path.float_matvec = NeonFloatMatvec;
  path.dual = NeonDual();
  return path;
}

}  // namespace

const KernelPath& NeonFbckPath() {
  static const KernelPath path = Path<NeonFbckTiles>("neon_fbck", NeonFbckPrepare);
  return path;
}

const KernelPath& NeonA53Path() {
  static const KernelPath path = Path<A53Tiles>("neon_a53", NeonDensePrepare);
  return path;
}

// The tiles of the in-order path: their 3.0 operations for a pair fill the two vector pipes of a
// Cortex-A72 or A76 in any order (1.5 cycles on LLVM's models). UDOT would not help: it replaces
// the additions one for one, and the tree already ends without a widening to save.
const KernelPath& NeonPath() {
  static const KernelPath path = Path<A53Tiles>("neon", NeonDensePrepare);
  return path;
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
