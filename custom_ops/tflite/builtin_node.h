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

// A builtin node next to our operators, read for the delegate.

#ifndef BIFSMN_TFLITE_BUILTIN_NODE_H_
#define BIFSMN_TFLITE_BUILTIN_NODE_H_

#include <cstdint>

#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/tensor_view.h"

namespace bifsmn {

struct BuiltinNode {
  int32_t code = -1;
  const abi::Node* node = nullptr;

  // False for nodes of no interest: no builtin operator, or without inputs and one output.
  bool Assign(abi::Context* context, int index) {
    abi::Node* found = nullptr;
    abi::Registration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, index, &found, &registration) != abi::kOk ||
        found == nullptr || registration == nullptr ||
        registration->builtin_code == abi::kBuiltinCustom ||
        registration->builtin_code == abi::kBuiltinDelegate || found->inputs == nullptr ||
        found->inputs->size < 1 || found->outputs == nullptr || found->outputs->size != 1) {
      return false;
    }
    code = registration->builtin_code;
    node = found;
    return true;
  }

  int inputs() const { return node->inputs->size; }
  int input(int i) const { return abi::Data(node->inputs)[i]; }
  int output() const { return abi::Data(node->outputs)[0]; }

  template <typename Params>
  const Params* params() const { return static_cast<const Params*>(node->builtin_data); }

  // Describes an input; false if there is none, or not of that type and rank.
  bool View(abi::Context* context, int i, abi::Type type, int rank, TensorView* view) const {
    Error ignored;
    if (i >= inputs()) return false;
    const abi::Tensor* tensor = TensorAt(context, input(i), &ignored);
    return tensor != nullptr && view->Assign(*tensor, &ignored) && view->type == type &&
           (rank < 0 || view->rank() == rank);
  }
  bool Constant(abi::Context* context, int i, abi::Type type, int rank, TensorView* view) const {
    return View(context, i, type, rank, view) && view->constant && view->data != nullptr;
  }
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_BUILTIN_NODE_H_
