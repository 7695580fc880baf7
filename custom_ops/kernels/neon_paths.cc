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
#include "custom_ops/kernels/neon_float.h"
#include "custom_ops/kernels/neon_memory.h"
#include "custom_ops/kernels/neon_pack.h"

namespace bifsmn {
namespace {

KernelPath Path(const char* name, void (*use_tiles)(KernelPath*)) {
  KernelPath path = PortablePath();
  path.name = name;
  path.pack = NeonPack;
  path.dots_to_float = NeonDotsToFloat;
  path.memory_to_float = NeonMemoryToFloat;
  path.memory_to_bits = NeonMemoryToBits;
  path.float_conv = NeonFloatConv;
  path.float_matvec = NeonFloatMatvec;
  path.dual = NeonDual();
  path.dual.memory_to_float = NeonDualMemoryToFloat;
  use_tiles(&path);
  return path;
}

}  // namespace

const KernelPath& NeonFbckPath() {
  static const KernelPath path = Path("neon_fbck", NeonUseFbck);
  return path;
}

const KernelPath& NeonA53Path() {
  static const KernelPath path = Path("neon_a53", NeonUseTree);
  return path;
}

// The tiles of the in-order path: their 3.0 operations for a pair fill the two vector pipes of a
// Cortex-A72 or A76 in any order (1.5 cycles on LLVM's models), so there is no schedule of their
// own to gain from. Nor is there a path for cores with DotProd: UDOT by ones replaces the additions
// of one (frame, output) pair, but leaves four 32-bit sums to be cleared before and added up
// behind: 16 EOR, 16 CNT, 16 UDOT, 8 MOVI, 6 ADDP and 1 UZP1, 63 operations where the tree takes
// 48.
const KernelPath& NeonPath() {
  static const KernelPath path = Path("neon", NeonUseTree);
  return path;
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
