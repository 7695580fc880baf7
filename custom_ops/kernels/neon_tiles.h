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

// The inner kernels of the NEON paths: popcounts of a block of frames with a run of outputs.
//
// A block is eight frames; callers repeat the last frame where there are fewer. Weights are rows
// of 128-bit words, padded with rows of zeros to a multiple of 32 outputs.
//
// Counts are kept with the frames side by side, counts[output][8 frames] in 16 bits: a reduction
// may be 32767 long, and one output is one register.

#ifndef BIFSMN_KERNELS_NEON_TILES_H_
#define BIFSMN_KERNELS_NEON_TILES_H_

#include <cstdint>

namespace bifsmn {

constexpr int kNeonFrames = 8;

// Outputs whose counts are kept on the stack between a tile and its epilogue.
constexpr int kNeonChunk = 128;

// Outputs of one call of a tile that ends in bits, at most.
constexpr int kNeonBitsChunk = 256;

// Tiles load the weights of the step that follows before they know whether there is one: so many
// bytes behind the weights must be readable.
constexpr int kNeonSlack = 1536;

struct NeonFrames {
  const uint8_t* row[kNeonFrames];
};

// Differing bits of one or two 128-bit words of every frame, starting `offset` bytes into the
// rows, with `outputs` (a multiple of 8) rows of `weights`, 16 or 32 bytes each. The
// `Add` functions add to the counts that are there. The two registers (16 numbers) in front of
// `counts` are scratch.
using NeonCountsTile = void(const NeonFrames& frames, int64_t offset, const uint8_t* weights,
                            int outputs, uint16_t* counts);

// Bit n of frame f = (differing bits <= limit[n]), for `outputs`, a multiple of 32, outputs;
// 16 outputs to a number: bits[outputs / 16][8 frames].
using NeonBitsTile = void(const NeonFrames& frames, const uint8_t* weights, int outputs,
                          const int16_t* limit, uint16_t* bits);

NeonCountsTile NeonTree8x1K128A53, NeonTree8x1K256A53;
NeonCountsTile NeonTree8x1K128AddA53, NeonTree8x1K256AddA53;
NeonBitsTile NeonTree8x2K128BitsA53, NeonTree8x1K256BitsA53;

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_NEON_TILES_H_
