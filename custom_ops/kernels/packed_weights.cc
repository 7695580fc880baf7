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

#include "custom_ops/kernels/packed_weights.h"

#include "custom_ops/kernels/bits.h"

namespace bifsmn {

void PackedWeights::Assign(const uint32_t* weights, int outputs, int reduction) {
  this->outputs = outputs;
  this->reduction = reduction;
  words = static_cast<int>(WordsFor(reduction));
  pairs = (words + 1) / 2;
  const int64_t groups = (int64_t{outputs} + kBlock - 1) / kBlock;
  blocks.assign(groups * pairs * kBlock, 0);
  for (int64_t n = 0; n < outputs; ++n) {
    uint64_t* block = blocks.data() + n / kBlock * pairs * kBlock + n % kBlock;
    for (int w = 0; w < words; ++w) {
      block[int64_t{w / 2} * kBlock] |= uint64_t{weights[n * words + w]} << (w % 2 * kWordBits);
    }
  }
}

}  // namespace bifsmn
