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

// Float activations to packed bits.

#ifndef BIFSMN_KERNELS_PACK_H_
#define BIFSMN_KERNELS_PACK_H_

#include <cstdint>

namespace bifsmn {

// Writes bit c of a row as x[c] >= 0: the sign bit alone would turn -0.0 into -1. Unused bits of
// the last word are cleared.
void PackPortable(const float* x, int64_t rows, int channels, uint32_t* words);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_PACK_H_
