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
//
// A tap outside the picture is gathered as a clear bit, like a -1. How many of those differ from
// the weights depends on the place at the border alone, so the epilogue makes up for it, and the
// dense kernels need no mask:
//
//   dot = valid - 2 * (popcount(a ^ w) - outside),   outside[n] = popcount(w[n] & ~mask)

#ifndef BIFSMN_KERNELS_CONV2D_H_
#define BIFSMN_KERNELS_CONV2D_H_

#include <cstdint>
#include <vector>

#include "custom_ops/kernels/aligned_buffer.h"

namespace bifsmn {

struct Conv2DGeometry {
  int height = 0, width = 0, channels = 0;
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;

  int out_h() const { return (height + 2 * pad_h - kernel_h) / stride_h + 1; }
  int out_w() const { return (width + 2 * pad_w - kernel_w) / stride_w + 1; }
  int reduction() const { return kernel_h * kernel_w * channels; }
};

// The output positions, those of a class one behind the other: positions that miss the same taps
// and whose number leaves the same remainder, by `parts`.
class Conv2DPositions {
 public:
  struct Class {
    int64_t begin, end;  // in order()
    int64_t part;        // position % parts
    int rows[2], columns[2];  // first tap inside the picture, and the one behind the last
    int valid;           // taps inside the picture times channels
    std::vector<int32_t> outside;  // per output: set weight bits of the taps outside
  };

  // `weights` is (outputs, ceil(reduction / 32)).
  void Assign(const Conv2DGeometry& geometry, const uint32_t* weights, int outputs,
              int64_t parts = 1);

  const std::vector<Class>& classes() const { return classes_; }
  // Positions as row * out_w + column.
  const std::vector<int>& order() const { return order_; }

 private:
  std::vector<Class> classes_;
  std::vector<int> order_;
};

class PatchGatherer {
 public:
  // `stride` is the number of words of a patch, at least ceil(reduction / 32).
  void Assign(const Conv2DGeometry& geometry, int64_t stride);

  // How many words `patches` of Gather must hold for `count` positions.
  int64_t PatchWords(int64_t count) const { return count * stride_ + kSlackWords; }

  // Takes over a picture: (height, width) pixels of `pixel_stride` words. Once, before Gather.
  void SetPicture(const uint32_t* picture, int64_t pixel_stride);

  // The same from pixels that follow each other without gaps, if there are whole bytes to copy.
  bool TakesDensePicture() const { return bytes_; }
  void SetDensePicture(const uint32_t* picture);

  // Gathers the taps of some output positions, densely packed; unused bits are clear.
  void Gather(const int* positions, int64_t count, uint32_t* patches);

 private:
  static constexpr int64_t kSlackWords = 4;

  void GatherBytes(const int* positions, int64_t count, uint32_t* patches) const;
  void GatherBits(const int* positions, int64_t count, uint32_t* patches) const;

  Conv2DGeometry geometry_;
  int64_t stride_ = 0;
  const uint32_t* picture_ = nullptr;
  int64_t pixel_stride_ = 0;
  // With whole bytes per pixel: the picture with its border and no gaps between pixels.
  bool bytes_ = false;
  int64_t row_bytes_ = 0;
  AlignedBuffer<uint8_t> padded_;
  std::vector<int64_t> starts_;  // in padded_, per position
};

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_CONV2D_H_
