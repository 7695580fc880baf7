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

#include "custom_ops/kernels/conv2d.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "custom_ops/kernels/bits.h"

namespace bifsmn {
namespace {

constexpr int64_t kCopyBytes = 16;

// Taps [begin, end) of one axis that fall inside a side of `size` entries.
struct Span {
  int begin, end;
};

Span Inside(int64_t start, int kernel, int size) {
  const int64_t begin = std::min<int64_t>(std::max<int64_t>(0, -start), kernel);
  const int64_t end = std::max(begin, std::min<int64_t>(kernel, size - start));
  return {static_cast<int>(begin), static_cast<int>(end)};
}

Span RowSpan(const Conv2DGeometry& g, int out_row) {
  return Inside(int64_t{out_row} * g.stride_h - g.pad_h, g.kernel_h, g.height);
}

Span ColumnSpan(const Conv2DGeometry& g, int out_column) {
  return Inside(int64_t{out_column} * g.stride_w - g.pad_w, g.kernel_w, g.width);
}

// The set bits of every row of weights that belong to taps outside the picture.
std::vector<int32_t> CountOutside(const Conv2DGeometry& g, Span rows, Span columns,
                                  const uint32_t* weights, int outputs) {
  const int64_t words = WordsFor(g.reduction());
  std::vector<uint32_t> mask(words, 0);
  const std::vector<uint32_t> ones(words, ~uint32_t{0});
  for (int i = rows.begin; i < rows.end; ++i) {
    const int64_t from = (int64_t{i} * g.kernel_w + columns.begin) * g.channels;
    const int64_t bits = int64_t{columns.end - columns.begin} * g.channels;
    AppendBits(ones.data(), 0, bits, mask.data(), from);
  }
  std::vector<int32_t> counts(outputs, 0);
  for (int64_t n = 0; n < outputs; ++n) {
    for (int64_t w = 0; w < words; ++w) {
      counts[n] += __builtin_popcount(weights[n * words + w] & ~mask[w]);
    }
  }
  return counts;
}

}  // namespace

void Conv2DPositions::Assign(const Conv2DGeometry& g, const uint32_t* weights, int outputs,
                             int64_t parts) {
  std::map<std::array<int, 5>, std::vector<int>> found;
  for (int oh = 0; oh < g.out_h(); ++oh) {
    const Span rows = RowSpan(g, oh);
    for (int ow = 0; ow < g.out_w(); ++ow) {
      const Span columns = ColumnSpan(g, ow);
      const int position = oh * g.out_w() + ow;
      const int part = static_cast<int>(position % parts);
      found[{rows.begin, rows.end, columns.begin, columns.end, part}].push_back(position);
    }
  }
  classes_.clear();
  order_.clear();
  for (const auto& entry : found) {
    const Span rows = {entry.first[0], entry.first[1]};
    const Span columns = {entry.first[2], entry.first[3]};
    const int64_t begin = static_cast<int64_t>(order_.size());
    order_.insert(order_.end(), entry.second.begin(), entry.second.end());
    const int taps = (rows.end - rows.begin) * (columns.end - columns.begin);
    classes_.push_back({begin, static_cast<int64_t>(order_.size()), entry.first[4],
                        {rows.begin, rows.end}, {columns.begin, columns.end}, taps * g.channels,
                        CountOutside(g, rows, columns, weights, outputs)});
  }
}

void PatchGatherer::Assign(const Conv2DGeometry& geometry, int64_t stride) {
  geometry_ = geometry;
  stride_ = stride;
  const int64_t columns = int64_t{geometry.width} + 2 * geometry.pad_w;
  const int64_t rows = int64_t{geometry.height} + 2 * geometry.pad_h;
  row_bytes_ = columns * geometry.channels / 8;
  // A border much larger than the picture is not worth the memory.
  constexpr int64_t kMaxBytes = 1 << 22;
  bytes_ = geometry.channels % 8 == 0 && row_bytes_ <= kMaxBytes / rows;
  padded_.Assign(bytes_ ? row_bytes_ * rows + kCopyBytes : 0);
  starts_.clear();
  if (!bytes_) return;
  for (int64_t oh = 0; oh < geometry.out_h(); ++oh) {
    for (int64_t ow = 0; ow < geometry.out_w(); ++ow) {
      starts_.push_back(oh * geometry.stride_h * row_bytes_ +
                        ow * geometry.stride_w * geometry.channels / 8);
    }
  }
}

void PatchGatherer::SetPicture(const uint32_t* picture, int64_t pixel_stride) {
  picture_ = picture;
  pixel_stride_ = pixel_stride;
  if (!bytes_) return;
  const Conv2DGeometry& g = geometry_;
  const int64_t pixel_bytes = g.channels / 8;
  for (int h = 0; h < g.height; ++h) {
    uint8_t* row = padded_.data() + (h + g.pad_h) * row_bytes_ + g.pad_w * pixel_bytes;
    if (pixel_bytes == 2) {
      int w = 0;
      for (; w + 4 <= g.width; w += 4) {
        const uint32_t* pixels = picture + w * pixel_stride;
        const uint64_t four = uint64_t{pixels[0] & 0xffff} |
                              uint64_t{pixels[pixel_stride] & 0xffff} << 16 |
                              uint64_t{pixels[2 * pixel_stride] & 0xffff} << 32 |
                              uint64_t{pixels[3 * pixel_stride]} << 48;
        std::memcpy(row + w * 2, &four, 8);
      }
      for (; w < g.width; ++w) std::memcpy(row + w * 2, picture + w * pixel_stride, 2);
    } else {
      for (int w = 0; w < g.width; ++w) {
        std::memcpy(row + w * pixel_bytes, picture + w * pixel_stride, pixel_bytes);
      }
    }
    picture += g.width * pixel_stride;
  }
}

void PatchGatherer::SetDensePicture(const uint32_t* picture) {
  const Conv2DGeometry& g = geometry_;
  const int64_t pixel_bytes = g.channels / 8, bytes = g.width * pixel_bytes;
  const auto* from = reinterpret_cast<const uint8_t*>(picture);
  for (int h = 0; h < g.height; ++h, from += bytes) {
    std::memcpy(padded_.data() + (h + g.pad_h) * row_bytes_ + g.pad_w * pixel_bytes, from, bytes);
  }
}

void PatchGatherer::Gather(const int* positions, int64_t count, uint32_t* patches) {
  if (bytes_) {
    GatherBytes(positions, count, patches);
  } else {
    GatherBits(positions, count, patches);
  }
}

// Rows of taps are copied 16 bytes at a time, in order: what is too much is overwritten by the
// next row, and cleared behind the last one.
void PatchGatherer::GatherBytes(const int* positions, int64_t count, uint32_t* patches) const {
  const Conv2DGeometry& g = geometry_;
  const int64_t pixel_bytes = g.channels / 8;
  const int64_t span = g.kernel_w * pixel_bytes;
  const int64_t used = g.kernel_h * span, patch_bytes = stride_ * 4;
  const uint8_t* const padded = padded_.data();
  const int64_t* const starts = starts_.data();
  const int64_t row_bytes = row_bytes_;
  const int rows = g.kernel_h;
  for (int64_t p = 0; p < count; ++p, patches += stride_) {
    const uint8_t* from = padded + starts[positions[p]];
    uint8_t* to = reinterpret_cast<uint8_t*>(patches);
    if (span <= kCopyBytes) {
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i, from += row_bytes, to += span) {
        std::memcpy(to, from, kCopyBytes);
      }
    } else {
      for (int i = 0; i < rows; ++i, from += row_bytes, to += span) {
        for (int64_t at = 0; at < span; at += kCopyBytes) {
          std::memcpy(to + at, from + at, kCopyBytes);
        }
      }
    }
    // Like the copies, up to 15 bytes into the next patch.
    for (int64_t at = used; at < patch_bytes; at += kCopyBytes, to += kCopyBytes) {
      std::memset(to, 0, kCopyBytes);
    }
  }
}

void PatchGatherer::GatherBits(const int* positions, int64_t count, uint32_t* patches) const {
  const Conv2DGeometry& g = geometry_;
  const int out_w = g.out_w();
  std::memset(patches, 0, count * stride_ * sizeof(uint32_t));
  // Neighbouring pixels are neighbouring bits when a pixel fills its words: then a row of taps is
  // one copy.
  const bool whole = g.channels % kWordBits == 0 && pixel_stride_ == WordsFor(g.channels);
  for (int64_t p = 0; p < count; ++p, patches += stride_) {
    const int oh = positions[p] / out_w, ow = positions[p] % out_w;
    const Span rows = RowSpan(g, oh);
    const Span columns = ColumnSpan(g, ow);
    if (columns.begin == columns.end) continue;
    const int64_t left = int64_t{ow} * g.stride_w - g.pad_w;
    for (int i = rows.begin; i < rows.end; ++i) {
      const int64_t h = int64_t{oh} * g.stride_h - g.pad_h + i;
      const uint32_t* pixels = picture_ + (h * g.width + left + columns.begin) * pixel_stride_;
      int64_t bit = (int64_t{i} * g.kernel_w + columns.begin) * g.channels;
      if (whole) {
        AppendBits(pixels, 0, int64_t{columns.end - columns.begin} * g.channels, patches, bit);
        continue;
      }
      for (int j = columns.begin; j < columns.end; ++j, bit += g.channels, pixels += pixel_stride_) {
        AppendBits(pixels, 0, g.channels, patches, bit);
      }
    }
  }
}

}  // namespace bifsmn
