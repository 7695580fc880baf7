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

#include "custom_ops/tflite/partition.h"

#include <algorithm>
#include <cstring>

namespace bifsmn {
namespace {

constexpr size_t kAlignment = 64;

bool CopyIndices(const abi::IntArray* array, std::vector<int>* out) {
  if (array == nullptr || array->size < 0) return false;
  out->assign(abi::Data(array), abi::Data(array) + array->size);
  return true;
}

// Prefixes an error with the node it is about.
bool At(const std::string& name, Error* error) {
  const std::string text = error->text();
  return error->Set("%.60s: %s", name.c_str(), text.c_str());
}

}  // namespace

void Partition::Init(abi::Context* context, const abi::DelegateParams& params) {
  std::vector<int> nodes;
  if (!CopyIndices(params.nodes_to_replace, &nodes) ||
      !CopyIndices(params.output_tensors, &outputs_)) {
    init_error_ = "the interpreter gave no nodes to run";
    return;
  }
  for (const int node : nodes) {
    steps_.emplace_back();
    Error error;
    if (!InitStep(context, node, &steps_.back(), &error)) {
      At(steps_.back().name, &error);
      init_error_ = error.text();
      return;
    }
  }
}

bool Partition::InitStep(abi::Context* context, int node_index, Step* step, Error* error) {
  abi::Node* node = nullptr;
  abi::Registration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, node_index, &node, &registration) != abi::kOk ||
      node == nullptr || registration == nullptr || registration->custom_name == nullptr) {
    return error->Set("the interpreter does not know node %d", node_index);
  }
  step->name = registration->custom_name;
  step->op = BinaryOp::Create(registration->custom_name);
  if (step->op == nullptr) {
    return error->Set("unknown operator: the model needs a newer version of this library");
  }
  std::vector<int> outputs;
  if (!CopyIndices(node->inputs, &step->inputs) || !CopyIndices(node->outputs, &outputs) ||
      outputs.size() != 1) {
    return error->Set("a node should have one output. Received: %zu", outputs.size());
  }
  step->output = outputs[0];
  const int length = node->custom_initial_data_size;
  return step->op->Init(node->custom_initial_data, length < 0 ? 0 : length, error);
}

bool Partition::Prepare(abi::Context* context, Error* error) {
  if (!init_error_.empty()) return error->Set("%s", init_error_.c_str());
  producers_.clear();
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!PrepareStep(context, i, error)) return At(steps_[i].name, error);
    producers_[steps_[i].output] = i;
  }
  PlanArena();
  return true;
}

bool Partition::PrepareStep(abi::Context* context, size_t index, Error* error) {
  Step& step = steps_[index];
  std::vector<TensorView> inputs;
  for (const int tensor : step.inputs) {
    const abi::Tensor* host = TensorAt(context, tensor, error);
    if (host == nullptr) return false;
    TensorView view;
    if (!view.Assign(*host, error)) return false;
    const auto producer = producers_.find(tensor);
    if (producer != producers_.end()) {
      // The interpreter's idea of an inner shape may be older than the last resize.
      view.shape = steps_[producer->second].shape;
      view.constant = false;
      view.data = nullptr;
    }
    inputs.push_back(std::move(view));
  }
  abi::Tensor* output = TensorAt(context, step.output, error);
  if (output == nullptr || !step.op->Prepare(inputs, output->type, &step.shape, error)) {
    return false;
  }
  int64_t elements = 0;
  Product(step.shape, &elements);
  step.bytes = static_cast<size_t>(elements) * 4;  // float32 or int32
  step.offset = -1;
  const bool inner = std::find(outputs_.begin(), outputs_.end(), step.output) == outputs_.end();
  if (inner) {
    step.offset = 0;  // PlanArena finds the place
    return true;
  }
  return Resize(context, output, step.shape, error);
}

// First fit by order of execution: a tensor may take the place of one that no later step reads.
void Partition::PlanArena() {
  struct Place {
    size_t begin, end;  // bytes
    size_t last_use;    // step
  };
  std::vector<size_t> last_use(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    last_use[i] = i;
    for (const int tensor : steps_[i].inputs) {
      const auto producer = producers_.find(tensor);
      if (producer != producers_.end()) {
        last_use[producer->second] = std::max(last_use[producer->second], i);
      }
    }
  }
  std::vector<Place> live;  // sorted by begin
  size_t total = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].offset < 0) continue;
    live.erase(std::remove_if(live.begin(), live.end(),
                              [i](const Place& place) { return place.last_use < i; }),
               live.end());
    const size_t size = (steps_[i].bytes + kAlignment - 1) / kAlignment * kAlignment;
    size_t begin = 0;
    auto at = live.begin();
    for (; at != live.end() && at->begin < begin + size; ++at) begin = std::max(begin, at->end);
    live.insert(at, {begin, begin + size, last_use[i]});
    steps_[i].offset = static_cast<int64_t>(begin);
    total = std::max(total, begin + size);
  }
  arena_.assign((total + kAlignment) / sizeof(uint64_t), 0);
}

const void* Partition::InputData(abi::Context* context, int tensor, size_t step,
                                 Error* error) const {
  const auto producer = producers_.find(tensor);
  if (producer != producers_.end() && producer->second < step &&
      steps_[producer->second].offset >= 0) {
    const auto base = reinterpret_cast<uintptr_t>(arena_.data());
    const size_t skip = (kAlignment - base % kAlignment) % kAlignment;
    return reinterpret_cast<const char*>(arena_.data()) + skip + steps_[producer->second].offset;
  }
  const abi::Tensor* host = TensorAt(context, tensor, error);
  if (host == nullptr) return nullptr;
  if (host->data == nullptr && host->bytes != 0) error->Set("an input has no memory");
  return host->data;
}

void* Partition::OutputData(abi::Context* context, const Step& step, Error* error) {
  if (step.offset >= 0) {
    const auto base = reinterpret_cast<uintptr_t>(arena_.data());
    const size_t skip = (kAlignment - base % kAlignment) % kAlignment;
    return reinterpret_cast<char*>(arena_.data()) + skip + step.offset;
  }
  abi::Tensor* host = TensorAt(context, step.output, error);
  if (host == nullptr) return nullptr;
  if (host->bytes < step.bytes) {
    error->Set("the output should hold %zu bytes. Received: %zu", step.bytes, host->bytes);
    return nullptr;
  }
  return host->data;
}

bool Partition::Eval(abi::Context* context, Error* error) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    Step& step = steps_[i];
    if (step.bytes == 0) continue;
    const void* x = InputData(context, step.inputs[BinaryOp::kX], i, error);
    const bool has_residual = step.inputs.size() > BinaryOp::kResidual;
    const void* residual =
        has_residual ? InputData(context, step.inputs[BinaryOp::kResidual], i, error) : nullptr;
    void* out = OutputData(context, step, error);
    if (x == nullptr || out == nullptr || (has_residual && residual == nullptr)) {
      if (error->text().empty()) error->Set("a tensor has no memory");
      return At(step.name, error);
    }
    step.op->Eval(x, static_cast<const float*>(residual), out);
  }
  return true;
}

}  // namespace bifsmn
