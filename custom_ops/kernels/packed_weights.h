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

// Weights of a binary matrix product, laid out for the kernels when the model is loaded.

#ifndef BIFSMN_KERNELS_PACKED_WEIGHTS_H_
#define BIFSMN_KERNELS_PACKED_WEIGHTS_H_

#include <cstdint>
#include <vector>

namespace bifsmn {

struct PackedWeights {
  // Outputs that a kernel computes side by side.
  static constexpr int kBlock = 4;

  int outputs = 0;
  int reduction = 0;
  int words = 0;  // 32-bit words of a row of activations
  int pairs = 0;  // 64-bit words of a row of weights, ceil(words / 2)

  // blocks[outputs / kBlock][pairs][kBlock]; missing rows and the upper half of an odd last word
  // are zero.
  std::vector<uint64_t> blocks;

  // `weights` is (outputs, ceil(reduction / 32)) as stored in the model.
  void Assign(const uint32_t* weights, int outputs, int reduction);
};

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_PACKED_WEIGHTS_H_
