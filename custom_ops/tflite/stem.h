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

// The real-valued convolution in front of the first binary operator, as the converter writes it:
//
//   [TRANSPOSE (0, 2, 1, 3)]  [PAD]  CONV_2D of one channel, VALID  [LEAKY_RELU]
//
// The weights may be stored in fewer bits, with a DEQUANTIZE node to widen them.
// Run as one loop that transposes and pads on the way and gives packed signs.

#ifndef BIFSMN_TFLITE_STEM_H_
#define BIFSMN_TFLITE_STEM_H_

#include <cstdint>
#include <vector>

#include "custom_ops/kernels/aligned_buffer.h"
#include "custom_ops/kernels/path.h"
#include "custom_ops/tflite/builtin_node.h"
#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/error.h"
#include "custom_ops/tflite/tensor_view.h"

namespace bifsmn {

class Stem {
 public:
  // A tensor that a node of the stem makes.
  struct Made {
    int tensor = -1;
    Shape shape;
  };

  // Reads the nodes, in order of execution. False if they are not of the form above; then nothing
  // else may be called.
  bool Parse(abi::Context* context, const std::vector<int>& nodes);

  int input() const { return input_; }
  int output() const { return convolved().tensor; }
  // All tensors made, the output last.
  const std::vector<Made>& made() const { return made_; }
  const Shape& shape() const { return convolved().shape; }
  int64_t positions() const { return batch_ * conv_.out_h * conv_.out_w; }

  bool Prepare(const TensorView& x, Error* error);

  // What the signs of the output are compared with, one value per channel, or null for zeros. False,
  // and zeros, for null or another number.
  bool SetSignShift(const std::vector<float>* shift);

  // `wanted` has a place or null for each of made(). `signs`, or null, is (positions, stride).
  void Eval(const float* x, const std::vector<float*>& wanted, uint32_t* signs, int64_t stride);

 private:
  const Made& convolved() const { return made_.back(); }

  int input_ = -1;
  bool transpose_ = false;
  int transpose_made_ = -1, pad_made_ = -1, plain_made_ = -1;  // in made_
  int pads_[4] = {0, 0, 0, 0};  // top, bottom, left, right as the convolution sees them
  int kernel_h_ = 0, kernel_w_ = 0, stride_h_ = 1, stride_w_ = 1;
  float slope_ = 1.0f;
  std::vector<Made> made_;
  AlignedBuffer<float> weights_, bias_;
  AlignedBuffer<float> sign_shift_;  // or empty

  int64_t batch_ = 0;
  int height_ = 0, width_ = 0;  // as the convolution sees them, without padding
  FloatConvShape conv_;
  // The padded picture in the order of the input.
  int64_t row_ = 0, first_ = 0;
  AlignedBuffer<float> padded_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_STEM_H_
