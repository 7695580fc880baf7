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

// The real-valued classifier behind the last binary operator, as the converter writes it:
//
//   [RESHAPE]  FULLY_CONNECTED  [SOFTMAX]
//
// The weights may be stored in fewer bits, with a DEQUANTIZE node to widen them.

#ifndef BIFSMN_TFLITE_CLASSIFIER_H_
#define BIFSMN_TFLITE_CLASSIFIER_H_

#include <cstdint>
#include <vector>

#include "custom_ops/kernels/aligned_buffer.h"
#include "custom_ops/tflite/builtin_node.h"
#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/error.h"
#include "custom_ops/tflite/tensor_view.h"

namespace bifsmn {

class Classifier {
 public:
  // A tensor that a node of the classifier makes.
  struct Made {
    int tensor = -1;
    Shape shape;
  };

  // Reads the nodes, in order of execution. False if they are not of the form above; then nothing
  // else may be called.
  bool Parse(abi::Context* context, const std::vector<int>& nodes);

  int input() const { return input_; }
  // All tensors made, the output last.
  const std::vector<Made>& made() const { return made_; }

  // `shape` is the input's.
  bool Prepare(const Shape& shape, Error* error);

  // `wanted` has a place or null for each of made(); the last one is never null.
  void Eval(const float* x, const std::vector<float*>& wanted);

 private:
  int input_ = -1;
  int reshape_made_ = -1, logits_made_ = -1;
  bool softmax_ = false;
  std::vector<int> reshape_;  // as stored; -1 is what is left
  int64_t outputs_ = 0, inputs_ = 0;
  AlignedBuffer<float> weights_, bias_;
  std::vector<Made> made_;
  int64_t rows_ = 0;
  std::vector<float> logits_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_CLASSIFIER_H_
