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

// The FSMN memory filter on packed bits: for every channel and frame, how many taps agree.

#ifndef BIFSMN_KERNELS_MEMORY_FILTER_H_
#define BIFSMN_KERNELS_MEMORY_FILTER_H_

#include <cstdint>
#include <vector>

namespace bifsmn {

struct MemoryWeights {
  int outputs = 0;
  int words = 0;                  // 32-bit words of a frame, ceil(outputs / 32)
  std::vector<int64_t> offsets;   // frames from the present one, ascending, one per tap
  std::vector<uint32_t> signs;    // (taps, words)
  int planes = 0;                 // bits of a count of agreeing taps

  // Taps 0 .. look_back - 1 are stride_back apart and end before the present frame; the taps
  // behind it are stride_ahead apart.
  void Assign(const uint32_t* weights, int taps, int outputs, int look_back, int stride_back,
              int stride_ahead);
};

// Filters one clip: `x` is (frames, words) with one bit per output channel, `dots` is
// (count, outputs) for the frames first .. first + count - 1.
void MemoryFilterPortable(const uint32_t* x, int64_t frames, int64_t first, int64_t count,
                          const MemoryWeights& weights, int32_t* dots);

// Repeats every channel `multiple` times: (rows, channels) bits to (rows, channels * multiple).
void RepeatChannels(const uint32_t* x, int64_t rows, int channels, int multiple, uint32_t* out);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_MEMORY_FILTER_H_
