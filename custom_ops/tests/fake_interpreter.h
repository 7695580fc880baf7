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

// The side of the interpreter that operators and delegates see, in memory that the sanitizers
// watch: tensors, nodes, and one delegate partition over all claimed nodes.

#ifndef BIFSMN_TESTS_FAKE_INTERPRETER_H_
#define BIFSMN_TESTS_FAKE_INTERPRETER_H_

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "custom_ops/tflite/c_abi.h"
#include "flatbuffers/flexbuffers.h"

namespace bifsmn {

struct Attribute {
  Attribute(const char* name, int value) : name(name), integer(value) {}
  Attribute(const char* name, float value) : name(name), is_float(true), real(value) {}
  std::string name;
  bool is_float = false;
  int integer = 0;
  float real = 0;
};

std::vector<uint8_t> Pack(const std::vector<Attribute>& attributes);

class FakeInterpreter {
 public:
  FakeInterpreter();
  ~FakeInterpreter();

  // A tensor that the interpreter computes.
  int AddTensor(abi::Type type, std::vector<int> shape);
  template <typename T>
  int AddConstant(abi::Type type, std::vector<int> shape, const std::vector<T>& values) {
    const int index = AddTensor(type, std::move(shape));
    tensors_[index].allocation_type = abi::kMmapRo;
    SetData(index, values.data(), values.size() * sizeof(T));
    return index;
  }
  int AddNode(const char* name, std::vector<uint8_t> options, std::vector<int> inputs,
              std::vector<int> outputs);

  abi::Tensor& tensor(int index) { return tensors_[index]; }
  abi::Node& node(int index);
  abi::Context* context() { return &context_; }
  void Resize(int index, const std::vector<int>& shape);
  void SetData(int index, const void* data, size_t bytes);
  template <typename T>
  std::vector<T> Data(int index) {
    const auto* begin = static_cast<const T*>(tensors_[index].data);
    return std::vector<T>(begin, begin + tensors_[index].bytes / sizeof(T));
  }
  std::vector<int> ShapeOf(int index) const;

  // Runs the nodes as registered operators, or those that `delegate` claims through it. `keep`
  // are tensors that leave the partition although a node of it reads them.
  abi::Status Prepare(abi::Delegate* delegate = nullptr, const std::vector<int>& keep = {});
  abi::Status Invoke();

  const std::string& errors() const { return errors_; }
  int partitions() const { return partition_ ? 1 : 0; }

 private:
  struct NodeEntry;
  struct PartitionEntry;

  static FakeInterpreter* Self(abi::Context* context) {
    return static_cast<FakeInterpreter*>(context->impl);
  }
  abi::Status Replace(const abi::Registration& kernel, const abi::IntArray* nodes,
                      abi::Delegate* delegate);
  bool IsInner(int tensor) const;
  void Allocate();
  static void Append(abi::Context* context, const char* format, ...);
  static abi::Status PrepareEntry(abi::Context* context, NodeEntry* entry);

  abi::Context context_ = {};
  std::vector<abi::Tensor> tensors_;
  std::vector<std::unique_ptr<uint8_t[]>> memory_;
  std::deque<std::unique_ptr<NodeEntry>> nodes_;
  std::unique_ptr<PartitionEntry> partition_;
  std::vector<int> keep_;
  abi::IntArray* plan_ = nullptr;
  std::string errors_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TESTS_FAKE_INTERPRETER_H_
