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

// The registerer, with a resolver of the test's own and with a host that exports one.

#include "custom_ops/tflite/register.h"

#include <map>
#include <string>

#include "custom_ops/tflite/c_abi.h"
#include "gtest/gtest.h"

// Stands in for the host's class of that name: same mangled symbol.
namespace tflite {
class MutableOpResolver {
 public:
  __attribute__((visibility("default"))) void AddCustom(const char* name,
                                                        const TfLiteRegistration* registration,
                                                        int version);
  std::map<std::string, const TfLiteRegistration*> added;
  int version = 0;
};
#ifdef BIFSMN_TEST_HOST_EXPORTS
void MutableOpResolver::AddCustom(const char* name, const TfLiteRegistration* registration,
                                  int version) {
  added[name] = registration;
  this->version = version;
}
#endif
}  // namespace tflite

namespace bifsmn {
namespace {

struct FakeResolver {
  std::map<std::string, const TfLiteRegistration*> added;
  void AddCustom(const char* name, const TfLiteRegistration* registration, int version = 1) {
    added[name] = registration;
    EXPECT_EQ(version, 1);
  }
};

void ExpectAllOperators(const std::map<std::string, const TfLiteRegistration*>& added) {
  ASSERT_EQ(added.size(), 4u);
  for (const char* name : {"BifsmnDense", "BifsmnConv2D", "BifsmnMemory", "BifsmnLogMel"}) {
    ASSERT_EQ(added.count(name), 1u) << name;
    const auto* registration = reinterpret_cast<const abi::Registration*>(added.at(name));
    EXPECT_STREQ(registration->custom_name, name);
    EXPECT_NE(registration->init, nullptr);
    EXPECT_NE(registration->free, nullptr);
    EXPECT_NE(registration->prepare, nullptr);
    EXPECT_NE(registration->invoke, nullptr);
    EXPECT_EQ(registration->registration_external, nullptr);
  }
}

TEST(RegisterTest, TemplateAddsEveryOperator) {
  FakeResolver resolver;
  RegisterBifsmnOps(&resolver);
  ExpectAllOperators(resolver.added);
}

TEST(RegisterTest, EnumerationEnds) {
  const char* name = nullptr;
  EXPECT_NE(BifsmnOpRegistration(0, nullptr), nullptr);
  EXPECT_EQ(BifsmnOpRegistration(4, &name), nullptr);
  EXPECT_EQ(BifsmnOpRegistration(-1, &name), nullptr);
  EXPECT_EQ(name, nullptr);
}

TEST(RegisterTest, SymbolAddsEveryOperatorOrSaysWhyNot) {
  tflite::MutableOpResolver resolver;
  testing::internal::CaptureStderr();
  ::RegisterBifsmnOps(static_cast<void*>(&resolver));
  const std::string text = testing::internal::GetCapturedStderr();
#ifdef BIFSMN_TEST_HOST_EXPORTS
  EXPECT_EQ(text, "");
  EXPECT_EQ(resolver.version, 1);
  ExpectAllOperators(resolver.added);
#else
  EXPECT_NE(text.find("does not export tflite::MutableOpResolver::AddCustom"), std::string::npos);
  EXPECT_TRUE(resolver.added.empty());
#endif
}

TEST(RegisterTest, SymbolRefusesNull) {
  testing::internal::CaptureStderr();
  ::RegisterBifsmnOps(nullptr);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("Received: null"), std::string::npos);
}

}  // namespace
}  // namespace bifsmn
