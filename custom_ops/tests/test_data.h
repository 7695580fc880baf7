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

// Random operands and the sizes that break kernels.

#ifndef BIFSMN_TESTS_TEST_DATA_H_
#define BIFSMN_TESTS_TEST_DATA_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/tests/guarded.h"

namespace bifsmn {

class TestData {
 public:
  explicit TestData(uint32_t seed) : random_(seed) {}

  int Int(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  // Either end of an array at a page; off the alignment of a vector, too.
  Place AnyPlace() {
    const int kind = Int(0, 5);
    return kind < 3 ? Place{true, 0} : Place{false, kind == 3 ? 0 : Int(1, 3)};
  }

  // For arrays that begin at a multiple of 64 bytes, and end at one.
  Place AlignedPlace() { return {Int(0, 1) == 0, 0}; }

  float Float() { return std::normal_distribution<float>(0.0f, 2.0f)(random_); }

  std::vector<float> Floats(int64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = Float();
    return values;
  }

  // Zeros of both signs, NaN and infinities among ordinary numbers.
  std::vector<float> Activations(int64_t count) {
    const float special[] = {0.0f, -0.0f, std::nanf(""), -std::nanf(""), INFINITY, -INFINITY,
                             1e-38f, -1e-38f};
    std::vector<float> values = Floats(count);
    for (float& value : values) {
      if (Int(0, 3) == 0) value = special[Int(0, 7)];
    }
    return values;
  }

  // (rows, ceil(bits / 32)) words with clear unused bits.
  std::vector<uint32_t> Bits(int64_t rows, int64_t bits) {
    const int64_t words = WordsFor(bits);
    std::vector<uint32_t> values(rows * words);
    for (uint32_t& value : values) value = random_();
    for (int64_t r = 1; r <= rows; ++r) values[r * words - 1] &= LastWordMask(bits);
    return values;
  }

  std::vector<int16_t> Thresholds(int count, int reduction) {
    std::vector<int16_t> values(count);
    const int spread = static_cast<int>(2 * std::sqrt(reduction)) + 1;
    for (int16_t& value : values) value = static_cast<int16_t>(Int(-spread, spread));
    return values;
  }

 private:
  std::mt19937 random_;
};

// 1 .. 40, powers of two with their neighbours, primes, and the widths of the networks.
inline std::vector<int> InterestingSizes() {
  std::vector<int> sizes;
  for (int i = 1; i <= 40; ++i) sizes.push_back(i);
  for (int i = 63; i <= 1025; i = (i + 1) * 2 - 1) {
    sizes.insert(sizes.end(), {i, i + 1, i + 2});
  }
  sizes.insert(sizes.end(), {47, 59, 61, 97, 101, 251, 400, 509, 1000});
  return sizes;
}

}  // namespace bifsmn

#endif  // BIFSMN_TESTS_TEST_DATA_H_
