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

// Two-dimensional binary convolution as a matrix product over gathered bits.

#ifndef BIFSMN_KERNELS_CONV2D_H_
#define BIFSMN_KERNELS_CONV2D_H_

#include <cstdint>
#include <vector>

namespace bifsmn {

struct Conv2DGeometry {
  int height = 0, width = 0, channels = 0;
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;

  int out_h() const { return (height + 2 * pad_h - kernel_h) / stride_h + 1; }
  int out_w() const { return (width + 2 * pad_w - kernel_w) / stride_w + 1; }
  int reduction() const { return kernel_h * kernel_w * channels; }
};

// Which taps of each output position lie inside the picture. Positions that miss the same taps
// share a mask; positions that miss none have no mask.
class Conv2DMasks {
 public:
  static constexpr int kNone = -1;

  void Assign(const Conv2DGeometry& geometry);

  // Index of the mask of an output position, or kNone.
  int index(int out_row, int out_column) const {
    return index_[static_cast<int64_t>(out_row) * columns_ + out_column];
  }
  const uint32_t* mask(int index) const { return masks_.data() + static_cast<int64_t>(index) * words_; }
  int valid(int index) const { return valid_[index]; }

 private:
  int columns_ = 0;
  int words_ = 0;
  std::vector<int> index_;
  std::vector<uint32_t> masks_;
  std::vector<int> valid_;
};

// Gathers the taps of the output positions first .. first + count - 1 of one output row into
// `patches`, (count, ceil(reduction / 32)), densely packed; taps outside the picture are clear
// bits. `picture` is (height, width, ceil(channels / 32)).
void GatherPatches(const uint32_t* picture, const Conv2DGeometry& geometry, int out_row, int first,
                   int count, uint32_t* patches);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_CONV2D_H_
