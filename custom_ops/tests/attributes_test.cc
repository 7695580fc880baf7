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

// The attribute parser, on maps and on garbage.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "custom_ops/tests/test_data.h"
#include "custom_ops/tflite/attributes.h"
#include "flatbuffers/flexbuffers.h"
#include "gtest/gtest.h"

namespace bifsmn {
namespace {

std::vector<uint8_t> Example() {
  flexbuffers::Builder builder;
  builder.Map([&] {
    builder.Int("channels", 128);
    builder.Float("slope", 0.25f);
    builder.Int("large", int64_t{1} << 40);
    builder.UInt("huge", ~uint64_t{0});
    builder.String("text", "abc");
    builder.Double("double", 1e300);
  });
  builder.Finish();
  return builder.GetBuffer();
}

TEST(AttributesTest, ReadsIntegersAndFloats) {
  const auto buffer = Example();
  Attributes attributes;
  Error error;
  ASSERT_TRUE(attributes.Parse(buffer.data(), buffer.size(), &error)) << error.text();
  int channels = 0, absent = 7;
  float slope = 1.0f, none = 3.0f;
  EXPECT_TRUE(attributes.TakeInt("channels", true, 1, 1000, &channels, &error));
  EXPECT_TRUE(attributes.TakeFloat("slope", &slope, &error));
  EXPECT_TRUE(attributes.TakeInt("absent", false, 1, 10, &absent, &error));
  EXPECT_TRUE(attributes.TakeFloat("nothing", &none, &error));
  EXPECT_EQ(channels, 128);
  EXPECT_EQ(slope, 0.25f);
  EXPECT_EQ(absent, 7);
  EXPECT_EQ(none, 3.0f);
}

TEST(AttributesTest, NamesWhatIsWrong) {
  const auto buffer = Example();
  const auto message = [&](auto&& take) {
    Attributes attributes;
    Error error;
    EXPECT_TRUE(attributes.Parse(buffer.data(), buffer.size(), &error));
    EXPECT_FALSE(take(&attributes, &error));
    return error.text();
  };
  int i = 0;
  float f = 0;
  using A = Attributes*;
  using E = Error*;
  EXPECT_EQ(message([&](A a, E e) { return a->TakeInt("taps", true, 0, 9, &i, e); }),
            "attribute \"taps\" is required. Received: no such attribute");
  EXPECT_EQ(message([&](A a, E e) { return a->TakeInt("channels", true, 0, 9, &i, e); }),
            "attribute \"channels\" should be from 0 to 9. Received: 128");
  EXPECT_EQ(message([&](A a, E e) { return a->TakeInt("slope", true, 0, 9, &i, e); }),
            "attribute \"slope\" should be an integer. Received: a float");
  EXPECT_EQ(message([&](A a, E e) { return a->TakeInt("text", true, 0, 9, &i, e); }),
            "attribute \"text\" should be an integer. Received: another type");
  EXPECT_EQ(message([&](A a, E e) { return a->TakeInt("large", true, 0, 9, &i, e); }),
            "attribute \"large\" should be from 0 to 9. Received: 1099511627776");
  EXPECT_FALSE(message([&](A a, E e) { return a->TakeInt("huge", true, 0, 9, &i, e); }).empty());
  EXPECT_EQ(message([&](A a, E e) { return a->TakeFloat("channels", &f, e); }),
            "attribute \"channels\" should be a float. Received: an integer");
  EXPECT_EQ(message([&](A a, E e) { return a->TakeFloat("double", &f, e); }),
            "attribute \"double\" should be a finite float32. Received: 1e+300");
  EXPECT_NE(message([&](A a, E e) { return a->ExpectEmpty(e); }).find("newer version"),
            std::string::npos);
}

TEST(AttributesTest, NoBytesAreNoAttributes) {
  Attributes attributes;
  Error error;
  EXPECT_TRUE(attributes.Parse(nullptr, 0, &error));
  EXPECT_TRUE(attributes.Parse("", 0, &error));
  EXPECT_TRUE(attributes.ExpectEmpty(&error));
}

TEST(AttributesTest, RefusesOtherFlexBuffers) {
  flexbuffers::Builder builder;
  builder.Vector([&] { builder.Int(1); });
  builder.Finish();
  Attributes attributes;
  Error error;
  EXPECT_FALSE(attributes.Parse(builder.GetBuffer().data(), builder.GetSize(), &error));
  EXPECT_NE(error.text().find("should be a FlexBuffers map"), std::string::npos);
}

TEST(AttributesTest, RefusesAnOversizedBuffer) {
  const std::vector<uint8_t> buffer(1 << 20, 0x24);
  Attributes attributes;
  Error error;
  EXPECT_FALSE(attributes.Parse(buffer.data(), buffer.size(), &error));
}

// Reads whatever parses: nothing may crash or hang.
void ReadAll(const std::vector<uint8_t>& buffer) {
  Attributes attributes;
  Error error;
  int i = 0;
  float f = 0;
  if (!attributes.Parse(buffer.data(), buffer.size(), &error)) {
    EXPECT_FALSE(error.text().empty());
    return;
  }
  attributes.TakeInt("channels", true, 0, 1000, &i, &error);
  attributes.TakeFloat("slope", &f, &error);
  attributes.ExpectEmpty(&error);
}

TEST(AttributesTest, SurvivesTruncation) {
  const auto buffer = Example();
  for (size_t size = 0; size <= buffer.size(); ++size) {
    ReadAll({buffer.begin(), buffer.begin() + size});
    ReadAll({buffer.begin() + size, buffer.end()});
  }
}

TEST(AttributesTest, SurvivesEveryChangedByte) {
  for (size_t at = 0; at < Example().size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      auto buffer = Example();
      buffer[at] = static_cast<uint8_t>(value);
      ReadAll(buffer);
    }
  }
}

TEST(AttributesTest, SurvivesGarbage) {
  TestData data(1);
  for (int round = 0; round < 50000; ++round) {
    std::vector<uint8_t> buffer(data.Int(0, 60));
    for (uint8_t& byte : buffer) byte = static_cast<uint8_t>(data.Int(0, 255));
    if (buffer.size() > 2 && round % 2 == 0) {
      buffer[buffer.size() - 2] = 0x24;  // a map
      buffer.back() = static_cast<uint8_t>(1 << data.Int(0, 3));
    }
    ReadAll(buffer);
  }
}

}  // namespace
}  // namespace bifsmn
