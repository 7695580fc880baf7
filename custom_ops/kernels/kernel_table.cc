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

#include "custom_ops/kernels/kernel_table.h"

namespace bifsmn {

const KernelTable& PortableKernels() {
  static const KernelTable table = {
      "portable",           PackPortable,          BitGemmPortable,      BitGemvMaskedPortable,
      MemoryFilterPortable, FloatEpiloguePortable, BitsEpiloguePortable,
  };
  return table;
}

const KernelTable& Kernels() {
  static const KernelTable table = [] {
    KernelTable best = PortableKernels();
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt")) {
      best.name = "popcnt";
      best.bit_gemm = BitGemmPopcnt;
      best.bit_gemv_masked = BitGemvMaskedPopcnt;
    }
#endif
    return best;
  }();
  return table;
}

}  // namespace bifsmn
