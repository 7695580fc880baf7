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

// The depth multiplier of a memory filter.

#ifndef BIFSMN_KERNELS_REPEAT_CHANNELS_H_
#define BIFSMN_KERNELS_REPEAT_CHANNELS_H_

#include <cstdint>

namespace bifsmn {

// Repeats every channel `multiple` times: (rows, channels) bits to (rows, channels * multiple).
// Strides are words; all words of the output's rows are written.
void RepeatChannels(const uint32_t* x, int64_t x_stride, int64_t rows, int channels, int multiple,
                    uint32_t* out, int64_t out_stride);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_REPEAT_CHANNELS_H_
