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

#include "custom_ops/kernels/repeat_channels.h"

#include <cstring>

#include "custom_ops/kernels/bits.h"

namespace bifsmn {

void RepeatChannels(const uint32_t* x, int64_t x_stride, int64_t rows, int channels, int multiple,
                    uint32_t* out, int64_t out_stride) {
  std::memset(out, 0, rows * out_stride * sizeof(uint32_t));
  for (int64_t r = 0; r < rows; ++r, x += x_stride, out += out_stride) {
    int64_t bit = 0;
    for (int c = 0; c < channels; ++c) {
      if (!BitAt(x, c)) {
        bit += multiple;
        continue;
      }
      for (int i = 0; i < multiple; ++i, ++bit) {
        out[bit / kWordBits] |= uint32_t{1} << (bit % kWordBits);
      }
    }
  }
}

}  // namespace bifsmn
