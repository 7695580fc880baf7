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

// Runs the body of a callback so that nothing but a status leaves it.

#ifndef BIFSMN_TFLITE_REPORT_H_
#define BIFSMN_TFLITE_REPORT_H_

#include <exception>

#include "custom_ops/tflite/c_abi.h"
#include "custom_ops/tflite/error.h"

namespace bifsmn {

inline void Report(abi::Context* context, const char* where, const char* text) {
  if (context != nullptr && context->ReportError != nullptr) {
    context->ReportError(context, "%s: %s\n", where, text);
  }
}

// `body` takes an Error* and returns false after setting it.
template <typename Body>
abi::Status Guard(abi::Context* context, const char* where, const Body& body) {
  try {
    Error error;
    if (body(&error)) return abi::kOk;
    Report(context, where, error.text().c_str());
  } catch (const std::exception& exception) {  // out of memory
    Report(context, where, exception.what());
  }
  return abi::kError;
}

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_REPORT_H_
