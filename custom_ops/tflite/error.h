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

// Why a node was refused, in words for the user.

#ifndef BIFSMN_TFLITE_ERROR_H_
#define BIFSMN_TFLITE_ERROR_H_

#include <string>

namespace bifsmn {

class Error {
 public:
  // Sets the text, printf style. Returns false, so that a check can end in `return e->Set(...)`.
  bool Set(const char* format, ...) __attribute__((format(printf, 2, 3)));

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_ERROR_H_
