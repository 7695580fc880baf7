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

// The scalar kernels for any processor.

#include "custom_ops/kernels/float_portable.h"
#include "custom_ops/kernels/path.h"
#include "custom_ops/kernels/scalar.h"
#include "custom_ops/kernels/scalar_dual.h"

namespace bifsmn {

void MemoryWeights::Assign(const uint32_t* weights, int taps, int outputs, int look_back,
                           int stride_back, int stride_ahead) {
  this->outputs = outputs;
  words = static_cast<int>(WordsFor(outputs));
  stride = PaddedWords(outputs);
  signs.Assign(int64_t{taps} * stride);
  offsets.resize(taps);
  for (int i = 0; i < taps; ++i) {
    for (int w = 0; w < words; ++w) signs[i * stride + w] = weights[int64_t{i} * words + w];
    const int64_t steps = int64_t{i} - look_back;
    offsets[i] = steps * (steps < 0 ? stride_back : stride_ahead);
  }
  planes = 0;
  while ((taps >> planes) != 0) ++planes;
}

float DualScale(const float* sums, int64_t count) {
  // Loops of constant length: vectors.
  float s[16];
  for (int l = 0; l < 16; ++l) s[l] = sums[l] + sums[l + 16];
  for (int l = 0; l < 8; ++l) s[l] += s[l + 8];
  for (int l = 0; l < 4; ++l) s[l] += s[l + 4];
  return ((s[0] + s[2]) + (s[1] + s[3])) / static_cast<float>(count);
}

const KernelPath& PortablePath() {
  static const KernelPath path = {
      "portable",         scalar::Pack,         scalar::DensePrepare,
      scalar::DenseDots,  scalar::DenseToBits,  scalar::DenseToFloat,
      scalar::DotsToFloat, scalar::MemoryToFloat, scalar::MemoryToBits,
      FloatConvPortable,  FloatMatvecPortable,
      {scalar::PackShifted, scalar::Split, scalar::SplitOverTime, scalar::SplitLevels,
       scalar::DualDotsToFloat, scalar::DotsToLevels, scalar::ValuesToFloat},
  };
  return path;
}

}  // namespace bifsmn
