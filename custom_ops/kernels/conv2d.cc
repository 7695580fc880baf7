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

}  // namespace

void Conv2DMasks::Assign(const Conv2DGeometry& g) {
  columns_ = g.out_w();
  words_ = static_cast<int>(WordsFor(g.reduction()));
  index_.assign(int64_t{g.out_h()} * columns_, kNone);
  masks_.clear();
  valid_.clear();
  std::map<std::array<int, 4>, int> seen;
  const std::vector<uint32_t> ones(words_, ~uint32_t{0});
  for (int oh = 0; oh < g.out_h(); ++oh) {
    const Span rows = RowSpan(g, oh);
    for (int ow = 0; ow < columns_; ++ow) {
      const Span columns = ColumnSpan(g, ow);
      const int taps = (rows.end - rows.begin) * (columns.end - columns.begin);
      if (taps == g.kernel_h * g.kernel_w) continue;
      const std::array<int, 4> key = {rows.begin, rows.end, columns.begin, columns.end};
      const auto found = seen.emplace(key, static_cast<int>(valid_.size()));
      if (found.second) {
        valid_.push_back(taps * g.channels);
        masks_.resize(masks_.size() + words_, 0);
        uint32_t* mask = masks_.data() + masks_.size() - words_;
        for (int i = rows.begin; i < rows.end; ++i) {
          const int64_t from = (int64_t{i} * g.kernel_w + columns.begin) * g.channels;
          const int64_t bits = int64_t{columns.end - columns.begin} * g.channels;
          AppendBits(ones.data(), 0, bits, mask, from);
        }
      }
      index_[int64_t{oh} * columns_ + ow] = found.first->second;
    }
  }
}

void GatherPatches(const uint32_t* picture, const Conv2DGeometry& g, int out_row, int first,
                   int count, uint32_t* patches) {
  const int64_t words = WordsFor(g.reduction());
  const int64_t pixel_words = WordsFor(g.channels);
  std::memset(patches, 0, count * words * sizeof(uint32_t));
  const Span rows = RowSpan(g, out_row);
  // Neighbouring pixels are neighbouring bits when a pixel fills its words: then a row of taps is
  // one copy.
  const bool whole = g.channels % kWordBits == 0;
  for (int p = 0; p < count; ++p, patches += words) {
    const Span columns = ColumnSpan(g, first + p);
    if (columns.begin == columns.end) continue;
    const int64_t left = int64_t{first + p} * g.stride_w - g.pad_w;
    for (int i = rows.begin; i < rows.end; ++i) {
      const int64_t h = int64_t{out_row} * g.stride_h - g.pad_h + i;
      const uint32_t* pixels = picture + (h * g.width + left + columns.begin) * pixel_words;
      int64_t bit = (int64_t{i} * g.kernel_w + columns.begin) * g.channels;
      if (whole) {
        AppendBits(pixels, 0, int64_t{columns.end - columns.begin} * g.channels, patches, bit);
        continue;
      }
      for (int j = columns.begin; j < columns.end; ++j, bit += g.channels, pixels += pixel_words) {
        AppendBits(pixels, 0, g.channels, patches, bit);
      }
    }
  }
}

}  // namespace bifsmn
