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

#include "custom_ops/tflite/attributes.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "flatbuffers/flexbuffers.h"

namespace bifsmn {
namespace {

// Far above any map that the converter writes.
constexpr size_t kMaxLength = 1 << 16;

}  // namespace

bool Attributes::Parse(const void* buffer, size_t length, Error* error) {
  values_.clear();
  if (buffer == nullptr || length == 0) return true;  // no attributes
  if (length < 3 || length > kMaxLength) {
    return error->Set("the custom options should be a FlexBuffers map. Received: %zu bytes",
                      length);
  }
  // The model aligns the bytes to 4; FlexBuffers may hold 64-bit numbers.
  std::vector<uint64_t> aligned((length + 7) / 8);
  std::memcpy(aligned.data(), buffer, length);
  const auto* bytes = reinterpret_cast<const uint8_t*>(aligned.data());
  std::vector<uint8_t> visited;  // without it a hostile buffer could take exponential time
  if (!flexbuffers::VerifyBuffer(bytes, length, &visited)) {
    return error->Set("the custom options should be a FlexBuffers map. Received: %zu bytes that "
                      "are not a valid FlexBuffer", length);
  }
  const flexbuffers::Reference root = flexbuffers::GetRoot(bytes, length);
  if (!root.IsMap()) {
    return error->Set("the custom options should be a FlexBuffers map. Received: a FlexBuffer of "
                      "type %d", static_cast<int>(root.GetType()));
  }
  const flexbuffers::Map map = root.AsMap();
  const flexbuffers::TypedVector keys = map.Keys();
  const flexbuffers::Vector values = map.Values();
  if (keys.size() != values.size()) {
    return error->Set("the custom options should be a FlexBuffers map. Received: %zu keys and %zu "
                      "values", keys.size(), values.size());
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const flexbuffers::Reference item = values[i];
    Value value = {Value::kOther, 0, 0.0};
    if (item.IsInt()) {
      value = {Value::kInt, item.AsInt64(), 0.0};
    } else if (item.IsUInt()) {
      const uint64_t number = item.AsUInt64();
      constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      value = {Value::kInt, static_cast<int64_t>(number < kMax ? number : kMax), 0.0};
    } else if (item.IsFloat()) {
      value = {Value::kFloat, 0, item.AsDouble()};
    }
    if (!values_.emplace(keys[i].AsKey(), value).second) {
      return error->Set("the custom options should name an attribute once. Received: \"%s\" twice",
                        keys[i].AsKey());
    }
  }
  return true;
}

bool Attributes::TakeInt(const char* name, bool required, int minimum, int maximum, int* value,
                         Error* error) {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    if (!required) return true;
    return error->Set("attribute \"%s\" is required. Received: no such attribute", name);
  }
  const Value taken = found->second;
  values_.erase(found);
  if (taken.kind != Value::kInt) {
    return error->Set("attribute \"%s\" should be an integer. Received: %s", name,
                      taken.kind == Value::kFloat ? "a float" : "another type");
  }
  if (taken.integer < minimum || taken.integer > maximum) {
    return error->Set("attribute \"%s\" should be from %d to %d. Received: %lld", name, minimum,
                      maximum, static_cast<long long>(taken.integer));
  }
  *value = static_cast<int>(taken.integer);
  return true;
}

bool Attributes::TakeFloat(const char* name, float* value, Error* error) {
  const auto found = values_.find(name);
  if (found == values_.end()) return true;
  const Value taken = found->second;
  values_.erase(found);
  if (taken.kind != Value::kFloat) {
    return error->Set("attribute \"%s\" should be a float. Received: %s", name,
                      taken.kind == Value::kInt ? "an integer" : "another type");
  }
  // The range first: a double beyond float32 must not be converted.
  if (!(std::fabs(taken.real) <= std::numeric_limits<float>::max())) {
    return error->Set("attribute \"%s\" should be a finite float32. Received: %g", name,
                      taken.real);
  }
  *value = static_cast<float>(taken.real);
  return true;
}

bool Attributes::ExpectEmpty(Error* error) const {
  if (values_.empty()) return true;
  return error->Set("attribute \"%s\" is unknown: the model needs a newer version of this library. "
                    "Received: %zu unknown attribute(s)", values_.begin()->first.c_str(),
                    values_.size());
}

}  // namespace bifsmn
