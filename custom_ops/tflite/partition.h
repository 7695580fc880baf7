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

// A run of neighbouring nodes that the interpreter handed to the delegate as one. The tensors
// between them have no memory of their own there: the partition holds them.

#ifndef BIFSMN_TFLITE_PARTITION_H_
#define BIFSMN_TFLITE_PARTITION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "custom_ops/tflite/binary_op.h"
#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/error.h"

namespace bifsmn {

class Partition {
 public:
  // Copies what it needs; the interpreter may move its nodes afterwards. A fault is kept for
  // Prepare to report: older interpreters have no way to fail here.
  void Init(abi::Context* context, const abi::DelegateParams& params);

  bool Prepare(abi::Context* context, Error* error);
  bool Eval(abi::Context* context, Error* error);

 private:
  struct Step {
    std::string name;
    std::unique_ptr<BinaryOp> op;
    std::vector<int> inputs;
    int output = -1;
    Shape shape;
    size_t bytes = 0;
    int64_t offset = -1;  // in the arena, or -1 for a tensor of the interpreter
  };

  bool InitStep(abi::Context* context, int node_index, Step* step, Error* error);
  bool PrepareStep(abi::Context* context, size_t index, Error* error);
  void PlanArena();
  // The data of an input of a step, or null with an error.
  const void* InputData(abi::Context* context, int tensor, size_t step, Error* error) const;
  void* OutputData(abi::Context* context, const Step& step, Error* error);

  std::vector<Step> steps_;
  std::vector<int> outputs_;
  std::map<int, size_t> producers_;  // tensor to step
  std::string init_error_;
  std::vector<uint64_t> arena_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_PARTITION_H_
