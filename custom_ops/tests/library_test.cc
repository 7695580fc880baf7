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

// The shared library as an interpreter meets it: loaded at run time, with every name resolved.

#include <dlfcn.h>

#include "gtest/gtest.h"

namespace {

constexpr char kLibrary[] = "custom_ops/libbifsmn_ops.so";

TEST(LibraryTest, LoadsAndExportsItsInterface) {
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  for (const char* name : {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate",
                           "BifsmnOpRegistration", "RegisterBifsmnOps"}) {
    EXPECT_NE(dlsym(library, name), nullptr) << name;
  }
  auto* create = reinterpret_cast<void* (*)(char**, char**, size_t, void (*)(const char*))>(
      dlsym(library, "tflite_plugin_create_delegate"));
  auto* destroy =
      reinterpret_cast<void (*)(void*)>(dlsym(library, "tflite_plugin_destroy_delegate"));
  void* delegate = create(nullptr, nullptr, 0, nullptr);
  EXPECT_NE(delegate, nullptr);
  destroy(delegate);
  EXPECT_EQ(dlclose(library), 0);
}

}  // namespace
