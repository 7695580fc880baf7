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

#include "custom_ops/tflite/real_constants.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace bifsmn {
namespace {

// (-1)^sign * 2^(exponent - 25) * (1024 + mantissa), by the definition of the format.
double ByDefinition(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double size = exponent == 31 ? (mantissa == 0 ? INFINITY : NAN)
                      : exponent == 0
                          ? std::ldexp(mantissa, -24)
                          : std::ldexp(1024 + mantissa, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

TEST(RealConstantsTest, WidensEveryFloat16Exactly) {
  for (uint32_t bits = 0; bits < 1 << 16; ++bits) {
    const double expected = ByDefinition(static_cast<uint16_t>(bits));
    const float value = WidenFloat16(static_cast<uint16_t>(bits));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      continue;
    }
    ASSERT_EQ(value, expected) << bits;
    ASSERT_EQ(std::signbit(value), std::signbit(expected)) << bits;
  }
}

TEST(RealConstantsTest, CopiesFromAnyAddress) {
  std::vector<char> bytes(1 + 2 * 3);
  const uint16_t halves[3] = {0x3C00, 0xC000, 0x0001};  // 1, -2, the smallest
  std::memcpy(&bytes[1], halves, sizeof(halves));
  TensorView view;
  view.type = abi::kFloat16;
  view.shape = {3};
  view.data = &bytes[1];
  float out[4] = {0, 0, 0, 7};
  CopyReals(view, 3, out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -2.0f);
  EXPECT_EQ(out[2], std::ldexp(1.0f, -24));
  EXPECT_EQ(out[3], 7.0f);
}

}  // namespace
}  // namespace bifsmn
