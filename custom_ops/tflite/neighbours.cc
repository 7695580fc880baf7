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

#include "custom_ops/tflite/neighbours.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "custom_ops/tflite/binary_op.h"
#include "custom_ops/tflite/builtin_node.h"
#include "custom_ops/tflite/classifier.h"
#include "custom_ops/tflite/stem.h"

namespace bifsmn {
namespace {

class Graph {
 public:
  Graph(abi::Context* context, const std::vector<int>& plan) : context_(context) {
    for (const int index : plan) {
      abi::Node* node = nullptr;
      abi::Registration* registration = nullptr;
      if (context->GetNodeAndRegistration(context, index, &node, &registration) != abi::kOk ||
          node == nullptr || registration == nullptr || node->inputs == nullptr ||
          node->outputs == nullptr) {
        continue;
      }
      for (int i = 0; i < node->inputs->size; ++i) {
        readers_[abi::Data(node->inputs)[i]].push_back(index);
      }
      for (int i = 0; i < node->outputs->size; ++i) {
        makers_[abi::Data(node->outputs)[i]] = index;
      }
      const char* name = registration->custom_name;
      if (registration->builtin_code == abi::kBuiltinCustom && name != nullptr &&
          std::strncmp(name, kOpPrefix, std::strlen(kOpPrefix)) == 0 && node->inputs->size > 0 &&
          node->outputs->size == 1) {
        ours_[index] = {std::strcmp(name, "BifsmnConv2D") == 0, abi::Data(node->inputs)[0]};
      }
    }
  }

  // Walks up from the x of every convolution.
  std::vector<std::vector<int>> Stems() const {
    std::vector<std::vector<int>> found;
    for (const auto& entry : ours_) {
      if (!entry.second.is_conv) continue;
      std::vector<int> nodes;
      int tensor = entry.second.x;
      for (const int32_t code : {abi::kBuiltinLeakyRelu, abi::kBuiltinConv2D, abi::kBuiltinPad,
                                 abi::kBuiltinTranspose}) {
        const auto maker = makers_.find(tensor);
        BuiltinNode node;
        if (maker == makers_.end() || ReaderCount(tensor) != 1 ||
            !node.Assign(context_, maker->second) || node.code != code) {
          continue;
        }
        nodes.insert(nodes.begin(), maker->second);
        tensor = node.input(0);
      }
      if (!nodes.empty() && Stem().Parse(context_, nodes) && AddDequantizes(&nodes)) {
        found.push_back(nodes);
      }
    }
    return found;
  }

  // Walks down from what each of our nodes makes.
  std::vector<std::vector<int>> Classifiers() const {
    std::vector<std::vector<int>> found;
    for (const auto& made : makers_) {
      if (ours_.count(made.second) == 0) continue;
      const auto readers = readers_.find(made.first);
      if (readers == readers_.end()) continue;
      for (int next : readers->second) {
        std::vector<int> nodes;
        for (const int32_t code :
             {abi::kBuiltinReshape, abi::kBuiltinFullyConnected, abi::kBuiltinSoftmax}) {
          BuiltinNode node;
          if (next < 0 || !node.Assign(context_, next) || node.code != code) continue;
          nodes.push_back(next);
          next = ReaderCount(node.output()) == 1 ? readers_.at(node.output())[0] : -1;
        }
        if (!nodes.empty() && Classifier().Parse(context_, nodes) && AddDequantizes(&nodes)) {
          found.push_back(nodes);
        }
      }
    }
    return found;
  }

 private:
  struct Ours {
    bool is_conv;
    int x;
  };

  // Adds the nodes that widen the weights of `nodes`. False if one of them serves others, too: a
  // node left to the interpreter among ours would split the partition.
  bool AddDequantizes(std::vector<int>* nodes) const {
    const size_t count = nodes->size();
    for (size_t at = 0; at < count; ++at) {
      BuiltinNode node, maker;
      if (!node.Assign(context_, (*nodes)[at])) return false;
      for (int i = 1; i < node.inputs(); ++i) {
        const auto made = makers_.find(node.input(i));
        if (made == makers_.end()) continue;
        if (ReaderCount(node.input(i)) != 1 || !maker.Assign(context_, made->second) ||
            maker.code != abi::kBuiltinDequantize) {
          return false;
        }
        nodes->push_back(made->second);
      }
    }
    return true;
  }

  size_t ReaderCount(int tensor) const {
    const auto readers = readers_.find(tensor);
    return readers == readers_.end() ? 0 : readers->second.size();
  }

  abi::Context* context_;
  std::map<int, std::vector<int>> readers_;  // tensor to nodes
  std::map<int, int> makers_;                // tensor to node
  std::map<int, Ours> ours_;                 // node
};

}  // namespace

std::vector<int> FindNeighbours(abi::Context* context, const std::vector<int>& plan) {
  const Graph graph(context, plan);
  std::vector<int> nodes;
  for (const auto& found : {graph.Stems(), graph.Classifiers()}) {
    if (found.size() == 1) nodes.insert(nodes.end(), found[0].begin(), found[0].end());
  }
  return nodes;
}

}  // namespace bifsmn
