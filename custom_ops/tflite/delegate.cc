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

// The delegate: what `load_delegate("libbifsmn_ops.so")` finds.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "custom_ops/tflite/binary_op.h"
#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/export.h"
#include "custom_ops/tflite/neighbours.h"
#include "custom_ops/tflite/partition.h"
#include "custom_ops/tflite/report.h"

namespace bifsmn {
namespace {

constexpr char kName[] = "BifsmnDelegate";

void* KernelInit(abi::Context* context, const char* buffer, size_t) {
  if (buffer == nullptr) return nullptr;
  try {
    auto partition = std::make_unique<Partition>();
    partition->Init(context, *reinterpret_cast<const abi::DelegateParams*>(buffer));
    return partition.release();
  } catch (const std::exception& exception) {
    Report(context, kName, exception.what());
    return nullptr;
  }
}

void KernelFree(abi::Context*, void* partition) { delete static_cast<Partition*>(partition); }

abi::Status KernelPrepare(abi::Context* context, abi::Node* node) {
  return Guard(context, kName, [&](Error* error) {
    auto* partition = static_cast<Partition*>(node->user_data);
    return partition != nullptr ? partition->Prepare(context, error)
                                : error->Set("the nodes could not be read");
  });
}

abi::Status KernelInvoke(abi::Context* context, abi::Node* node) {
  return Guard(context, kName, [&](Error* error) {
    auto* partition = static_cast<Partition*>(node->user_data);
    return partition != nullptr ? partition->Eval(context, error)
                                : error->Set("the nodes could not be read");
  });
}

bool IsOurs(const abi::Registration* registration) {
  // A node of another delegate may carry a name too.
  return registration != nullptr && registration->builtin_code == abi::kBuiltinCustom &&
         registration->custom_name != nullptr &&
         std::strncmp(registration->custom_name, kOpPrefix, std::strlen(kOpPrefix)) == 0;
}

// Claims every node whose operator has our prefix, known or not: an unknown one then gets a clear
// message rather than the interpreter's. And the real-valued neighbours that we can run.
abi::Status Prepare(abi::Context* context, abi::Delegate* delegate) {
  return Guard(context, kName, [&](Error* error) {
    abi::IntArray* plan = nullptr;
    if (context->GetExecutionPlan(context, &plan) != abi::kOk || plan == nullptr) {
      return error->Set("the interpreter gave no execution plan");
    }
    // Copied: the next question may overwrite it.
    const std::vector<int> nodes(abi::Data(plan), abi::Data(plan) + plan->size);
    std::vector<int> claimed = {0};  // laid out as an IntArray: the size, then the numbers
    for (const int index : nodes) {
      abi::Node* node = nullptr;
      abi::Registration* registration = nullptr;
      if (context->GetNodeAndRegistration(context, index, &node, &registration) != abi::kOk) {
        return error->Set("the interpreter does not know node %d", index);
      }
      if (IsOurs(registration)) claimed.push_back(index);
    }
    if (claimed.size() == 1) return true;
    const std::vector<int> neighbours = FindNeighbours(context, nodes);
    claimed.insert(claimed.end(), neighbours.begin(), neighbours.end());
    std::sort(claimed.begin() + 1, claimed.end(), [&nodes](int a, int b) {
      return std::find(nodes.begin(), nodes.end(), a) < std::find(nodes.begin(), nodes.end(), b);
    });
    claimed[0] = static_cast<int>(claimed.size()) - 1;
    abi::Registration kernel = {};
    kernel.init = KernelInit;
    kernel.free = KernelFree;
    kernel.prepare = KernelPrepare;
    kernel.invoke = KernelInvoke;
    kernel.builtin_code = abi::kBuiltinDelegate;
    kernel.custom_name = kName;
    kernel.version = 1;
    const abi::Status status = context->ReplaceNodeSubsetsWithDelegateKernels(
        context, kernel, reinterpret_cast<const abi::IntArray*>(claimed.data()), delegate);
    return status == abi::kOk || error->Set("the interpreter refused the nodes");
  });
}

}  // namespace
}  // namespace bifsmn

extern "C" {

// Options arrive as `count` pairs of texts. There are none yet; an unknown one is an error rather
// than a silent misunderstanding.
BIFSMN_EXPORT bifsmn::abi::Delegate* tflite_plugin_create_delegate(
    char** keys, char**, size_t count, void (*report_error)(const char*)) {
  if (count > 0) {
    if (report_error != nullptr) {
      const char* key = keys != nullptr && keys[0] != nullptr ? keys[0] : "";
      char text[256];
      std::snprintf(text, sizeof(text),
                    "BifsmnDelegate: delegate options should be empty. Received: \"%.100s\"", key);
      report_error(text);
    }
    return nullptr;
  }
  auto* delegate = new (std::nothrow) bifsmn::abi::Delegate();
  if (delegate == nullptr) {
    if (report_error != nullptr) report_error("BifsmnDelegate: out of memory");
    return nullptr;
  }
  delegate->Prepare = bifsmn::Prepare;
  // Without it the interpreter asks for the operators before it asks the delegate.
  delegate->flags = bifsmn::abi::kDelegateAllowDynamicTensors;
  return delegate;
}

BIFSMN_EXPORT void tflite_plugin_destroy_delegate(bifsmn::abi::Delegate* delegate) {
  delete delegate;
}

}  // extern "C"
