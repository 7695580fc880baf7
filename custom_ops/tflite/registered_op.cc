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

#include "custom_ops/tflite/registered_op.h"

#include <memory>
#include <string>
#include <vector>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/tflite/binary_op.h"
#include "custom_ops/tflite/report.h"

namespace bifsmn {
namespace {

constexpr const char* kNames[] = {"BifsmnDense", "BifsmnConv2D", "BifsmnMemory",
                                  "BifsmnLogMel"};
constexpr int kCount = sizeof(kNames) / sizeof(kNames[0]);

struct State {
  std::unique_ptr<Op> op;
  std::string init_error;
  size_t bytes = 0;  // of the output
};

template <int kIndex>
void* Init(abi::Context* context, const char* buffer, size_t length) {
  try {
    auto state = std::make_unique<State>();
    state->op = Op::Create(kNames[kIndex]);
    Error error;
    if (!state->op->Init(buffer, length, &error)) state->init_error = error.text();
    return state.release();
  } catch (const std::exception& exception) {
    Report(context, kNames[kIndex], exception.what());
    return nullptr;
  }
}

void Free(abi::Context*, void* state) { delete static_cast<State*>(state); }

bool PrepareNode(abi::Context* context, abi::Node* node, Error* error) {
  auto* state = static_cast<State*>(node->user_data);
  if (state == nullptr) return error->Set("the node was not initialised");
  if (!state->init_error.empty()) return error->Set("%s", state->init_error.c_str());
  if (node->inputs == nullptr || node->outputs == nullptr || node->outputs->size != 1) {
    return error->Set("a node should have inputs and one output. Received: %d output(s)",
                      node->outputs == nullptr ? 0 : node->outputs->size);
  }
  std::vector<TensorView> inputs;
  const int* first = abi::Data(node->inputs);
  const std::vector<int> tensors(first, first + node->inputs->size);
  if (!ViewsOf(context, tensors, &inputs, error)) return false;
  abi::Tensor* output = TensorAt(context, abi::Data(node->outputs)[0], error);
  Shape shape;
  if (output == nullptr || !state->op->Prepare(inputs, output->type, {}, &shape, error)) {
    return false;
  }
  int64_t elements = 0;
  Product(shape, &elements);
  state->bytes = static_cast<size_t>(elements) * 4;  // float32 or int32
  return Resize(context, output, shape, error);
}

bool InvokeNode(abi::Context* context, abi::Node* node, Error* error) {
  auto* state = static_cast<State*>(node->user_data);
  if (state == nullptr) return error->Set("the node was not initialised");
  if (state->bytes == 0) return true;
  const int* inputs = abi::Data(node->inputs);
  const abi::Tensor* x = TensorAt(context, inputs[BinaryOp::kX], error);
  abi::Tensor* output = TensorAt(context, abi::Data(node->outputs)[0], error);
  if (x == nullptr || output == nullptr) return false;
  const void* residual = nullptr;
  const bool has_residual = state->op->has_residual();
  if (has_residual) {
    const abi::Tensor* tensor = TensorAt(context, inputs[BinaryOp::kResidual], error);
    if (tensor == nullptr) return false;
    residual = tensor->data;
  }
  if (x->data == nullptr || output->data == nullptr || (has_residual && residual == nullptr) ||
      output->bytes < state->bytes) {
    return error->Set("a tensor has no memory");
  }
  Operands operands;
  operands.x = x->data;
  operands.residual = static_cast<const float*>(residual);
  operands.out = output->data;
  operands.out_stride = WordsFor(state->op->outputs());
  state->op->Eval(operands);
  return true;
}

template <int kIndex>
abi::Status Prepare(abi::Context* context, abi::Node* node) {
  return Guard(context, kNames[kIndex],
               [&](Error* error) { return PrepareNode(context, node, error); });
}

template <int kIndex>
abi::Status Invoke(abi::Context* context, abi::Node* node) {
  return Guard(context, kNames[kIndex],
               [&](Error* error) { return InvokeNode(context, node, error); });
}

template <int kIndex>
constexpr abi::Registration Make() {
  abi::Registration registration = {};
  registration.init = Init<kIndex>;
  registration.free = Free;
  registration.prepare = Prepare<kIndex>;
  registration.invoke = Invoke<kIndex>;
  registration.builtin_code = abi::kBuiltinCustom;
  registration.custom_name = kNames[kIndex];
  registration.version = 1;
  return registration;
}

}  // namespace

const abi::Registration* RegisteredOp(int index) {
  static const abi::Registration registrations[kCount] = {Make<0>(), Make<1>(), Make<2>(),
                                                         Make<3>()};
  return index >= 0 && index < kCount ? &registrations[index] : nullptr;
}

}  // namespace bifsmn
