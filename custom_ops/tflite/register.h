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

// For C++ programs that hold a TensorFlow Lite interpreter and link with this library instead of
// loading the delegate:
//
//   #include "custom_ops/tflite/register.h"
//   tflite::ops::builtin::BuiltinOpResolver resolver;
//   bifsmn::RegisterBifsmnOps(&resolver);
//   tflite::InterpreterBuilder(*model, resolver)(&interpreter);
//
// Needs no TensorFlow Lite header itself.

#ifndef BIFSMN_TFLITE_REGISTER_H_
#define BIFSMN_TFLITE_REGISTER_H_

struct TfLiteRegistration;

extern "C" {

// The registration of operator `index`, counted from 0, as a `const TfLiteRegistration*`, and its
// name; null past the last. Both live as long as the library.
const void* BifsmnOpRegistration(int index, const char** name);

// Adds every operator to a `tflite::MutableOpResolver`, for hosts that look a registerer up by its
// name. It calls the host's `MutableOpResolver::AddCustom`; where the host does not export that,
// it says so on the standard error stream and adds nothing.
void RegisterBifsmnOps(void* resolver);

}  // extern "C"

namespace bifsmn {

template <typename Resolver>
void RegisterBifsmnOps(Resolver* resolver) {
  const char* name = nullptr;
  for (int i = 0; const void* registration = BifsmnOpRegistration(i, &name); ++i) {
    resolver->AddCustom(name, static_cast<const TfLiteRegistration*>(registration));
  }
}

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_REGISTER_H_
