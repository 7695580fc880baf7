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

#include "custom_ops/tflite/register.h"

#include <cstdio>

#include "custom_ops/tflite/export.h"
#include "custom_ops/tflite/registered_op.h"

extern "C" {

// tflite::MutableOpResolver::AddCustom(const char*, const TfLiteRegistration*, int): a member
// function, so the resolver comes first. Weak: null where the host does not export it.
__attribute__((weak, visibility("default"))) void BifsmnHostAddCustom(
    void* resolver, const char* name, const void* registration, int version)
    __asm__("_ZN6tflite17MutableOpResolver9AddCustomEPKcPK18TfLiteRegistrationi");

BIFSMN_EXPORT const void* BifsmnOpRegistration(int index, const char** name) {
  const bifsmn::abi::Registration* registration = bifsmn::RegisteredOp(index);
  if (registration != nullptr && name != nullptr) *name = registration->custom_name;
  return registration;
}

BIFSMN_EXPORT void RegisterBifsmnOps(void* resolver) {
  if (resolver == nullptr) {
    std::fprintf(stderr, "RegisterBifsmnOps: `resolver` should be a tflite::MutableOpResolver. "
                         "Received: null\n");
    return;
  }
  if (BifsmnHostAddCustom == nullptr) {
    std::fprintf(stderr,
                 "RegisterBifsmnOps: this program does not export "
                 "tflite::MutableOpResolver::AddCustom, so the operators cannot be added to its "
                 "resolver. Load this library as a delegate instead, or use the template "
                 "bifsmn::RegisterBifsmnOps of custom_ops/tflite/register.h in C++.\n");
    return;
  }
  const char* name = nullptr;
  for (int i = 0; const void* registration = BifsmnOpRegistration(i, &name); ++i) {
    BifsmnHostAddCustom(resolver, name, registration, 1);
  }
}

}  // extern "C"
