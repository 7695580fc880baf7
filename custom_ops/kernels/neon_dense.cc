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

// Blocks of eight frames x 128 outputs: counts on the stack, then their epilogue. A reduction
// longer than 256 bits takes several passes over the counts of a block.

#if defined(__aarch64__)

#include "custom_ops/kernels/neon_dense.h"

#include <cstring>

#include "custom_ops/kernels/neon_ends.h"
#include "custom_ops/kernels/neon_fbck.h"

namespace bifsmn {
namespace {

int PaddedOutputs(int outputs) { return (outputs + kEndBlock - 1) / kEndBlock * kEndBlock; }

int Frames(int64_t rows, int64_t r) {
  return static_cast<int>(rows - r < kNeonFrames ? rows - r : kNeonFrames);
}

// The last frame takes the place of those that do not exist.
NeonFrames FramesAt(const uint32_t* a, int64_t stride, int count) {
  NeonFrames frames;
  for (int f = 0; f < kNeonFrames; ++f) {
    frames.row[f] =
        reinterpret_cast<const uint8_t*>(a + (f < count ? f : count - 1) * stride);
  }
  return frames;
}

// The four frames of either bits.
NeonFrames DualFramesAt(const uint32_t* first, const uint32_t* second, int64_t stride, int count) {
  const NeonFrames a = FramesAt(first, stride, count), b = FramesAt(second, stride, count);
  NeonFrames frames;
  for (int f = 0; f < kNeonFrames / 2; ++f) {
    frames.row[f] = a.row[f];
    frames.row[kNeonFrames / 2 + f] = b.row[f];
  }
  return frames;
}

struct Counts {
  alignas(64) uint16_t scratch_and_counts[(2 + kNeonChunk) * kNeonFrames];
  uint16_t* data() { return scratch_and_counts + 2 * kNeonFrames; }
};

// Counts of the outputs first .. first + count - 1, count a multiple of 32.
BIFSMN_NEON_INLINE void Count(const NeonTiles& tiles, const NeonFrames& frames,
                              const DenseWeights& w, int first, int count, uint16_t* counts) {
  const int64_t padded = PaddedOutputs(w.outputs);
  const int64_t row_bytes = w.a_stride * 4;
  const uint8_t* pass = w.data.data();
  for (int64_t offset = 0; offset < row_bytes; offset += 32) {
    const int bytes = row_bytes - offset >= 32 ? 32 : 16;
    NeonCountsTile* tile = bytes == 32 ? (offset == 0 ? tiles.k256 : tiles.k256_add)
                                       : (offset == 0 ? tiles.k128 : tiles.k128_add);
    tile(frames, offset, pass + int64_t{first} * bytes, count, counts);
    pass += padded * bytes;
  }
}

// Calls `end` with the counts of all outputs, a chunk at a time.
template <typename End>
BIFSMN_NEON_INLINE void ForEachChunk(const NeonTiles& tiles, const NeonFrames& frames,
                                     int frame_count, const DenseWeights& w, Counts* counts,
                                     const End& end) {
  for (int n = 0; n < w.outputs; n += kNeonChunk) {
    const int count = w.outputs - n < kNeonChunk ? w.outputs - n : kNeonChunk;
    Count(tiles, frames, w, n, PaddedOutputs(count), counts->data());
    end(n, NeonCounts{counts->data(), count, frame_count, w.reduction});
  }
}

// Calls `end` with the counts of every block.
template <typename End>
BIFSMN_NEON_INLINE void ForEachBlock(const NeonTiles& tiles, const uint32_t* a, int64_t rows,
                                     const DenseWeights& w, const End& end) {
  Counts counts;
  for (int64_t r = 0; r < rows; r += kNeonFrames) {
    const int frame_count = Frames(rows, r);
    const NeonFrames frames = FramesAt(a + r * w.a_stride, w.a_stride, frame_count);
    ForEachChunk(tiles, frames, frame_count, w, &counts,
                 [&](int n, const NeonCounts& c) BIFSMN_NEON_LAMBDA { end(r, n, c); });
  }
}

using Tiles = const NeonTiles& (*)();

template <Tiles kTiles>
void Dots(const uint32_t* a, int64_t rows, const DenseWeights& w, int32_t* dots) {
  ForEachBlock(kTiles(), a, rows, w,
               [&](int64_t r, int n, const NeonCounts& counts) BIFSMN_NEON_LAMBDA {
    NeonCountsToDots(counts, dots + r * w.outputs + n, w.outputs);
  });
}

template <Tiles kTiles>
void ToBits(const uint32_t* a, int64_t rows, const DenseWeights& w, const BitsEnd& end,
            uint32_t* out, int64_t out_stride) {
  const NeonTiles& tiles = kTiles();
  uint16_t halves[kNeonBitsChunk / 16 * kNeonFrames];
  Counts counts;
  const int padded = PaddedOutputs(w.outputs);
  const int64_t row_bytes = w.a_stride * 4;
  for (int64_t r = 0; r < rows; r += kNeonFrames) {
    const int frame_count = Frames(rows, r);
    const NeonFrames frames = FramesAt(a + r * w.a_stride, w.a_stride, frame_count);
    for (int n = 0; n < padded; n += kNeonBitsChunk) {
      const int count = padded - n < kNeonBitsChunk ? padded - n : kNeonBitsChunk;
      if (row_bytes <= 32) {
        NeonBitsTile* tile = row_bytes == 16 ? tiles.k128_bits : tiles.k256_bits;
        tile(frames, w.data.data() + n * row_bytes, count, end.limit + n, halves);
      } else {
        for (int i = 0; i < count; i += kNeonChunk) {
          const int part = count - i < kNeonChunk ? count - i : kNeonChunk;
          Count(tiles, frames, w, n + i, part, counts.data());
          NeonCountsToHalves({counts.data(), part, frame_count, w.reduction}, end.limit + n + i,
                             halves + i / 16 * kNeonFrames);
        }
      }
      // The last outputs are followed by what is left of the row.
      const bool last = n + kNeonBitsChunk >= padded;
      const int64_t words = last ? out_stride - n / 32 : kNeonBitsChunk / 32;
      NeonHalvesToRows(halves, w.outputs - n, frame_count, words,
                       out + r * out_stride + n / 32, out_stride);
    }
  }
}

// Counts are kept for all outputs of kNeonChunk, and their halves turned at once.
template <Tiles kTiles>
void ToBitsByRow(const uint32_t* a, int64_t rows, const DenseWeights& w, const int16_t* limits,
                 uint32_t* out, int64_t out_stride) {
  uint16_t halves[kNeonChunk / 16 * kNeonFrames];
  const int64_t padded = PaddedOutputs(w.outputs);
  ForEachBlock(kTiles(), a, rows, w,
               [&](int64_t r, int n, const NeonCounts& c) BIFSMN_NEON_LAMBDA {
    NeonCountsToHalvesByRow(c, limits + (r * padded + int64_t{n} * kNeonFrames), halves);
    const bool last = n + kNeonChunk >= w.outputs;
    const int64_t words = last ? out_stride - n / kWordBits : kNeonChunk / kWordBits;
    NeonHalvesToRows(halves, w.outputs - n, c.frames, words,
                     out + r * out_stride + n / kWordBits, out_stride);
  });
}

// The words of signs behind those of the outputs.
void ClearBehind(int outputs, int64_t rows, uint32_t* signs, int64_t stride) {
  const int64_t words = WordsFor(outputs);
  if (signs == nullptr || words >= stride) return;
  for (int64_t r = 0; r < rows; ++r) {
    std::memset(signs + r * stride + words, 0, (stride - words) * sizeof(uint32_t));
  }
}

template <Tiles kTiles>
void ToFloat(const uint32_t* a, int64_t rows, const DenseWeights& w, const FloatEnd& end,
             const float* residual, float* out, uint32_t* signs, int64_t signs_stride) {
  ClearBehind(w.outputs, rows, signs, signs_stride);
  ForEachBlock(kTiles(), a, rows, w,
               [&](int64_t r, int n, const NeonCounts& counts) BIFSMN_NEON_LAMBDA {
    const int64_t at = r * w.outputs + n;
    NeonCountsToFloat(counts, end.From(n), residual == nullptr ? nullptr : residual + at, out + at,
                      w.outputs, signs == nullptr ? nullptr : signs + r * signs_stride + n / 32,
                      signs_stride);
  });
}

// Both bits of four rows make the eight frames of a tile.
template <Tiles kTiles>
void DualToFloat(const uint32_t* first, const uint32_t* second, const float* scale, int64_t rows,
                 const DenseWeights& w, const FloatEnd& end, const float* residual, float* out,
                 uint32_t* signs, int64_t signs_stride) {
  ClearBehind(w.outputs, rows, signs, signs_stride);
  Counts counts;
  constexpr int kRows = kNeonFrames / 2;
  for (int64_t r = 0; r < rows; r += kRows) {
    const int count = static_cast<int>(rows - r < kRows ? rows - r : kRows);
    const NeonFrames frames =
        DualFramesAt(first + r * w.a_stride, second + r * w.a_stride, w.a_stride, count);
    ForEachChunk(kTiles(), frames, count, w, &counts,
                 [&](int n, const NeonCounts& c) BIFSMN_NEON_LAMBDA {
      const int64_t at = r * w.outputs + n;
      NeonDualCountsToFloat(c, scale + r, end.From(n),
                            residual == nullptr ? nullptr : residual + at, out + at, w.outputs,
                            signs == nullptr ? nullptr : signs + r * signs_stride + n / 32,
                            signs_stride);
    });
  }
}

// The two sums of eight rows become one, 2 first + second, which three limits, or six, turn into two
// bits.
template <Tiles kTiles>
void DualToLevels(const uint32_t* first, const uint32_t* second, int64_t rows,
                  const DenseWeights& w, const LevelsEnd& end, uint32_t* out_first,
                  uint32_t* out_second, int64_t out_stride) {
  constexpr int kRows = kNeonFrames / 2;
  Counts counts[2];
  uint16_t halves[3][kNeonChunk / 16 * kNeonFrames];
  for (int64_t r = 0; r < rows; r += kNeonFrames) {
    const int count = Frames(rows, r);
    NeonFrames frames[2];
    for (int i = 0; i < 2; ++i) {
      // Rows that do not exist are again the last one.
      const int64_t at = r + (i * kRows < count ? i * kRows : 0);
      frames[i] = DualFramesAt(first + at * w.a_stride, second + at * w.a_stride, w.a_stride,
                               static_cast<int>(rows - at < kRows ? rows - at : kRows));
    }
    for (int n = 0; n < w.outputs; n += kNeonChunk) {
      const int outputs = w.outputs - n < kNeonChunk ? w.outputs - n : kNeonChunk;
      for (int i = 0; i < 2; ++i) {
        Count(kTiles(), frames[i], w, n, PaddedOutputs(outputs), counts[i].data());
      }
      NeonAddDualCounts(outputs, counts[1].data(), counts[0].data());
      const NeonCounts c = {counts[0].data(), outputs, count, w.reduction};
      for (int i = 0; i < 3; ++i) {
        NeonCountsToHalves(c, end.limit[i] + n, halves[i]);
        if (end.beyond[i] == nullptr) continue;
        uint16_t within[kNeonChunk / 16 * kNeonFrames];
        NeonCountsToHalves(c, end.beyond[i] + n, within);
        NeonOrNotHalves(outputs, within, halves[i]);
      }
      NeonSelectHalves(outputs, halves[1], halves[2], halves[0]);
      const bool last = n + kNeonChunk >= w.outputs;
      const int64_t words = last ? out_stride - n / kWordBits : kNeonChunk / kWordBits;
      const int64_t to = r * out_stride + n / kWordBits;
      NeonHalvesToRows(halves[1], w.outputs - n, count, words, out_first + to, out_stride);
      NeonHalvesToRows(halves[0], w.outputs - n, count, words, out_second + to, out_stride);
    }
  }
}

const NeonTiles& TreeTiles() { return kNeonTreeTiles; }

template <Tiles kTiles>
void UseTiles(KernelPath* path) {
  path->dense_dots = Dots<kTiles>;
  path->dense_to_bits = ToBits<kTiles>;
  path->dense_to_bits_by_row = ToBitsByRow<kTiles>;
  path->dense_to_float = ToFloat<kTiles>;
  path->dual.dense_to_float = DualToFloat<kTiles>;
  path->dual.dense_to_levels = DualToLevels<kTiles>;
}

}  // namespace

void NeonDensePrepare(const uint32_t* weights, int outputs, int reduction, DenseWeights* w) {
  w->outputs = outputs;
  w->reduction = reduction;
  w->words = static_cast<int>(WordsFor(reduction));
  w->a_stride = PaddedWords(reduction);
  const int64_t padded = PaddedOutputs(outputs);
  const int64_t row_bytes = w->a_stride * 4;
  w->data.Assign(padded * row_bytes + kNeonSlack);
  uint8_t* pass = w->data.data();
  for (int64_t offset = 0; offset < row_bytes; offset += 32) {
    const int64_t bytes = row_bytes - offset >= 32 ? 32 : 16;
    const int64_t there = int64_t{w->words} * 4 - offset;
    for (int64_t n = 0; n < outputs; ++n) {
      std::memcpy(pass + n * bytes, weights + n * w->words + offset / 4,
                  there < bytes ? there : bytes);
    }
    pass += padded * bytes;
  }
}

void NeonUseTree(KernelPath* path) {
  UseTiles<TreeTiles>(path);
  path->dense_prepare = NeonDensePrepare;
}

void NeonUseFbck(KernelPath* path) {
  UseTiles<NeonFbckTiles>(path);
  path->dense_prepare = NeonFbckPrepare;
}

}  // namespace bifsmn

#endif  // defined(__aarch64__)
