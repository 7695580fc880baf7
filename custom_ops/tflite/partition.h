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

// A run of neighbouring nodes that the interpreter handed to the delegate as one, compiled into a
// program. The tensors between the nodes have no memory of their own in the interpreter: the
// program holds them, as packed bits wherever nobody asks for floats. A node whose floats are also
// binarised by a later one writes their signs besides, against the later one's thresholds.

#ifndef BIFSMN_TFLITE_PARTITION_H_
#define BIFSMN_TFLITE_PARTITION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "custom_ops/tflite/binary_op.h"
#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/classifier.h"
#include "custom_ops/tflite/error.h"
#include "custom_ops/tflite/stem.h"

namespace bifsmn {

class Partition {
 public:
  // Copies what it needs; the interpreter may move its nodes afterwards. A fault is kept for
  // Prepare to report: older interpreters have no way to fail here.
  void Init(abi::Context* context, const abi::DelegateParams& params);

  bool Prepare(abi::Context* context, Error* error);
  bool Eval(abi::Context* context, Error* error);

 private:
  // A place in the arena, in bytes; `offset` -1 is none.
  struct Place {
    int64_t offset = -1;
    int64_t size = 0;
  };

  // Weights of a DEQUANTIZE node that somebody outside asks for.
  struct Widened {
    int tensor = -1;
    Shape shape;
    std::vector<float> values;
  };

  // Instead of a step that makes something.
  static constexpr int kHost = -1, kStem = -2;

  struct Step {
    std::string name;
    std::unique_ptr<Op> op;
    std::vector<int> inputs;
    int output = -1;

    Shape shape;
    size_t bytes = 0;       // of the output as the interpreter sees it
    int x_step = kHost;     // the steps that made x and the residual
    int residual_step = kHost;
    bool host = false;      // whether the interpreter wants the output
    Place place;            // of the output, unless the interpreter holds it
    int64_t stride = 0;     // words of a row of packed outputs
    int64_t plane = 0;      // and of all rows
    Place signs;            // of a float output
    int64_t signs_stride = 0;
    bool reads_floats = false;  // whether x has to come as floats if it was made as such
    std::vector<float> shift;   // of an operator that reads shifted signs or levels
    bool x_is_shifted = false;  // whether the signs of x are those of x - shift, or its levels

    bool NeedsFloats() const {
      return op->reads() == Reads::kFloats ||
             (op->reads() != Reads::kSigns && !x_is_shifted);
    }
  };

  // Reads the real-valued nodes: the first convolution, and the classifier behind all steps.
  bool InitEnds(abi::Context* context, const std::vector<int>& first,
                const std::vector<int>& last, Error* error);
  bool IsWanted(int tensor) const;
  bool PrepareStem(abi::Context* context, Error* error);
  bool RunStem(abi::Context* context, Error* error);
  bool RunClassifier(abi::Context* context, Error* error);
  template <typename Made>
  bool FindWanted(abi::Context* context, const Made& made, std::vector<float*>* wanted,
                  Error* error);
  bool InitStep(abi::Context* context, int node_index, Step* step, Error* error);
  bool PrepareStep(abi::Context* context, size_t index, Error* error);
  // The shift that the readers of a step (or kStem) agree on, as far as signs are all they read; or
  // null.
  const std::vector<float>* CommonShift(int made) const;
  // The shifts of all readers of a step, if those read the same levels; or null.
  const std::vector<float>* CommonLevels(int made) const;
  // From now on these readers take its signs for those of x - shift, or its bits for their levels.
  void UseShift(int made);
  // Whether later steps use nothing of a step's output but what they read it as.
  bool IsOnly(size_t index, Reads wanted) const;
  void PlanPlaces();
  void PlanArena();
  // The data of a tensor of the interpreter, or null with an error.
  static char* HostData(abi::Context* context, int tensor, size_t bytes, Error* error);
  bool Run(abi::Context* context, Step* step, Error* error);
  char* At(const Place& place) { return arena_.data() + place.offset; }

  std::unique_ptr<Stem> stem_;
  size_t stem_at_ = 0;     // the step it runs before
  int stem_step_ = kHost;  // that makes its input
  AlignedBuffer<uint32_t> stem_signs_;
  AlignedBuffer<float> stem_floats_;
  std::vector<float*> stem_wanted_;
  std::unique_ptr<Classifier> classifier_;
  int classifier_step_ = kHost;  // that makes its input
  std::vector<float*> classifier_wanted_;
  std::vector<Step> steps_;
  std::vector<Widened> widened_;
  std::vector<int> outputs_;
  std::string init_error_;
  AlignedBuffer<char> arena_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_PARTITION_H_
