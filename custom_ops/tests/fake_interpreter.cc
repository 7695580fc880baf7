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

#include "custom_ops/tests/fake_interpreter.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "custom_ops/tflite/registered_op.h"

namespace bifsmn {
namespace {

abi::IntArray* MakeArray(const std::vector<int>& values) {
  auto* array = static_cast<abi::IntArray*>(std::malloc(sizeof(int) * (values.size() + 2)));
  array->size = static_cast<int>(values.size());
  if (!values.empty()) std::memcpy(array->data, values.data(), sizeof(int) * values.size());
  return array;
}

size_t ElementSize(abi::Type type) {
  if (type == abi::kInt16 || type == abi::kFloat16) return 2;
  return type == abi::kInt64 ? 8 : 4;
}

}  // namespace

struct FakeInterpreter::NodeEntry {
  std::string name;
  std::vector<uint8_t> options;
  abi::Node node = {};
  abi::Registration registration = {};
  bool claimed = false;

  ~NodeEntry() {
    if (registration.free != nullptr && node.user_data != nullptr) {
      registration.free(nullptr, node.user_data);
    }
    std::free(node.inputs);
    std::free(node.outputs);
  }
};

struct FakeInterpreter::PartitionEntry {
  abi::Registration kernel = {};
  abi::Node node = {};
  abi::DelegateParams params = {};

  ~PartitionEntry() {
    if (node.user_data != nullptr) kernel.free(nullptr, node.user_data);
    std::free(params.nodes_to_replace);
    std::free(params.output_tensors);
  }
};

std::vector<uint8_t> Pack(const std::vector<Attribute>& attributes) {
  flexbuffers::Builder builder;
  builder.Map([&] {
    for (const Attribute& attribute : attributes) {
      if (attribute.is_float) {
        builder.Float(attribute.name.c_str(), attribute.real);
      } else {
        builder.Int(attribute.name.c_str(), attribute.integer);
      }
    }
  });
  builder.Finish();
  return builder.GetBuffer();
}

FakeInterpreter::FakeInterpreter() {
  context_.impl = this;
  context_.ResizeTensor = [](abi::Context* context, abi::Tensor* tensor, abi::IntArray* shape) {
    std::free(tensor->dims);
    tensor->dims = shape;
    size_t count = 1;
    for (int i = 0; i < shape->size; ++i) count *= abi::Data(shape)[i];
    tensor->bytes = count * ElementSize(tensor->type);
    return abi::kOk;
  };
  context_.ReportError = Append;
  context_.GetExecutionPlan = [](abi::Context* context, abi::IntArray** plan) {
    FakeInterpreter* self = Self(context);
    std::vector<int> order;
    for (size_t i = 0; i < self->nodes_.size(); ++i) order.push_back(static_cast<int>(i));
    std::free(self->plan_);
    *plan = self->plan_ = MakeArray(order);
    return abi::kOk;
  };
  context_.GetNodeAndRegistration = [](abi::Context* context, int index, abi::Node** node,
                                       abi::Registration** registration) {
    FakeInterpreter* self = Self(context);
    if (index < 0 || static_cast<size_t>(index) >= self->nodes_.size()) return abi::kError;
    *node = &self->nodes_[index]->node;
    *registration = &self->nodes_[index]->registration;
    return abi::kOk;
  };
  context_.ReplaceNodeSubsetsWithDelegateKernels =
      [](abi::Context* context, abi::Registration kernel, const abi::IntArray* nodes,
         abi::Delegate* delegate) { return Self(context)->Replace(kernel, nodes, delegate); };
}

void FakeInterpreter::Append(abi::Context* context, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  Self(context)->errors_ += text;
}

abi::Node& FakeInterpreter::node(int index) { return nodes_[index]->node; }

FakeInterpreter::~FakeInterpreter() {
  partition_.reset();
  nodes_.clear();
  for (abi::Tensor& tensor : tensors_) std::free(tensor.dims);
  std::free(plan_);
}

int FakeInterpreter::AddTensor(abi::Type type, std::vector<int> shape) {
  tensors_.emplace_back();
  memory_.emplace_back();
  const int index = static_cast<int>(tensors_.size()) - 1;
  tensors_[index].type = type;
  tensors_[index].name = "tensor";
  tensors_[index].allocation_type = abi::kArenaRw;
  context_.tensors = tensors_.data();
  context_.tensors_size = tensors_.size();
  Resize(index, shape);
  return index;
}

void FakeInterpreter::Resize(int index, const std::vector<int>& shape) {
  context_.ResizeTensor(&context_, &tensors_[index], MakeArray(shape));
}

void FakeInterpreter::SetData(int index, const void* data, size_t bytes) {
  memory_[index] = std::make_unique<uint8_t[]>(bytes + 1);
  if (bytes > 0) std::memcpy(memory_[index].get(), data, bytes);
  tensors_[index].data = memory_[index].get();
  tensors_[index].bytes = bytes;
}

std::vector<int> FakeInterpreter::ShapeOf(int index) const {
  const abi::IntArray* dims = tensors_[index].dims;
  return std::vector<int>(abi::Data(dims), abi::Data(dims) + dims->size);
}

int FakeInterpreter::AddNode(const char* name, std::vector<uint8_t> options,
                             std::vector<int> inputs, std::vector<int> outputs) {
  auto entry = std::make_unique<NodeEntry>();
  entry->name = name;
  entry->options = std::move(options);
  entry->node.inputs = MakeArray(inputs);
  entry->node.outputs = MakeArray(outputs);
  entry->node.custom_initial_data = entry->options.data();
  entry->node.custom_initial_data_size = static_cast<int>(entry->options.size());
  for (int i = 0; const abi::Registration* registered = RegisteredOp(i); ++i) {
    if (entry->name == registered->custom_name) entry->registration = *registered;
  }
  entry->registration.custom_name = entry->name.c_str();
  entry->registration.builtin_code = abi::kBuiltinCustom;
  nodes_.push_back(std::move(entry));
  return static_cast<int>(nodes_.size()) - 1;
}

abi::Status FakeInterpreter::Replace(const abi::Registration& kernel, const abi::IntArray* nodes,
                                     abi::Delegate* delegate) {
  partition_ = std::make_unique<PartitionEntry>();
  partition_->kernel = kernel;
  std::vector<int> replaced(abi::Data(nodes), abi::Data(nodes) + nodes->size);
  std::vector<int> outputs;
  for (const int index : replaced) nodes_[index]->claimed = true;
  for (const int index : replaced) {
    const abi::IntArray* out = nodes_[index]->node.outputs;
    for (int i = 0; i < out->size; ++i) {
      if (!IsInner(abi::Data(out)[i])) outputs.push_back(abi::Data(out)[i]);
    }
  }
  partition_->params.delegate = delegate;
  partition_->params.nodes_to_replace = MakeArray(replaced);
  partition_->params.output_tensors = MakeArray(outputs);
  partition_->node.user_data = kernel.init(
      &context_, reinterpret_cast<const char*>(&partition_->params), sizeof(abi::DelegateParams));
  return abi::kOk;
}

// Read by a claimed node and kept by nobody.
bool FakeInterpreter::IsInner(int tensor) const {
  if (std::find(keep_.begin(), keep_.end(), tensor) != keep_.end()) return false;
  bool produced = false, read = false;
  for (const auto& entry : nodes_) {
    const abi::IntArray* in = entry->node.inputs;
    const abi::IntArray* out = entry->node.outputs;
    if (!entry->claimed) continue;
    for (int i = 0; in != nullptr && i < in->size; ++i) read |= abi::Data(in)[i] == tensor;
    for (int i = 0; i < out->size; ++i) produced |= abi::Data(out)[i] == tensor;
  }
  return produced && read;
}

abi::Status FakeInterpreter::PrepareEntry(abi::Context* context, NodeEntry* entry) {
  if (entry->registration.init == nullptr) {
    context->ReportError(context, "unresolved custom op: %s", entry->name.c_str());
    return abi::kError;
  }
  if (entry->node.user_data == nullptr) {
    entry->node.user_data = entry->registration.init(
        context, reinterpret_cast<const char*>(entry->options.data()), entry->options.size());
  }
  return entry->registration.prepare(context, &entry->node);
}

abi::Status FakeInterpreter::Prepare(abi::Delegate* delegate, const std::vector<int>& keep) {
  errors_.clear();
  if (delegate != nullptr) {
    keep_ = keep;
    if (delegate->Prepare(&context_, delegate) != abi::kOk) return abi::kError;
  }
  if (partition_ != nullptr) {
    if (partition_->kernel.prepare(&context_, &partition_->node) != abi::kOk) return abi::kError;
  }
  for (const auto& entry : nodes_) {
    if (!entry->claimed && PrepareEntry(&context_, entry.get()) != abi::kOk) return abi::kError;
  }
  Allocate();
  return abi::kOk;
}

void FakeInterpreter::Allocate() {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    abi::Tensor& tensor = tensors_[i];
    if (tensor.allocation_type != abi::kArenaRw) continue;
    tensor.data = nullptr;
    memory_[i].reset();
    if (IsInner(static_cast<int>(i))) continue;  // as in the real one: no memory
    memory_[i] = std::make_unique<uint8_t[]>(tensor.bytes);
    std::memset(memory_[i].get(), 0xAB, tensor.bytes);
    tensor.data = memory_[i].get();
  }
}

abi::Status FakeInterpreter::Invoke() {
  if (partition_ != nullptr &&
      partition_->kernel.invoke(&context_, &partition_->node) != abi::kOk) {
    return abi::kError;
  }
  for (const auto& entry : nodes_) {
    if (!entry->claimed && entry->registration.invoke(&context_, &entry->node) != abi::kOk) {
      return abi::kError;
    }
  }
  return abi::kOk;
}

}  // namespace bifsmn
