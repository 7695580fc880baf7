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

// The attributes of a node: a FlexBuffers map of integers and floats.

#ifndef BIFSMN_TFLITE_ATTRIBUTES_H_
#define BIFSMN_TFLITE_ATTRIBUTES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "custom_ops/tflite/error.h"

namespace bifsmn {

class Attributes {
 public:
  // Reads the custom options of a node. The bytes may be anything: they are verified first.
  bool Parse(const void* buffer, size_t length, Error* error);

  // Takes an attribute out. With `required` false a missing one leaves `value` as it is. An
  // integer outside [minimum, maximum] is an error.
  bool TakeInt(const char* name, bool required, int minimum, int maximum, int* value,
               Error* error);
  // A finite float.
  bool TakeFloat(const char* name, float* value, Error* error);

  // Fails if an attribute is left: the model is newer than this library.
  bool ExpectEmpty(Error* error) const;

 private:
  struct Value {
    enum Kind { kInt, kFloat, kOther } kind;
    int64_t integer;
    double real;
  };
  std::map<std::string, Value> values_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_ATTRIBUTES_H_
