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

// The kernels in use: the fastest that this processor can run. Chosen once.

#ifndef BIFSMN_KERNELS_KERNEL_TABLE_H_
#define BIFSMN_KERNELS_KERNEL_TABLE_H_

#include "custom_ops/kernels/bit_gemm.h"
#include "custom_ops/kernels/epilogue.h"
#include "custom_ops/kernels/memory_filter.h"
#include "custom_ops/kernels/pack.h"

namespace bifsmn {

struct KernelTable {
  const char* name;
  decltype(&PackPortable) pack;
  decltype(&BitGemmPortable) bit_gemm;
  decltype(&BitGemvMaskedPortable) bit_gemv_masked;
  decltype(&MemoryFilterPortable) memory_filter;
  decltype(&FloatEpiloguePortable) float_epilogue;
  decltype(&BitsEpiloguePortable) bits_epilogue;
};

// Runs on every processor.
const KernelTable& PortableKernels();

// The best for the processor at hand. Safe to call from several threads.
const KernelTable& Kernels();

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_KERNEL_TABLE_H_
