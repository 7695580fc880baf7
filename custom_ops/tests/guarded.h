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

// Memory between canaries, at a chosen distance from a cache line.

#ifndef BIFSMN_TESTS_GUARDED_H_
#define BIFSMN_TESTS_GUARDED_H_

#include <cstdint>
#include <cstring>
#include <vector>

#include "custom_ops/kernels/aligned_buffer.h"
#include "custom_ops/kernels/bits.h"

namespace bifsmn {

template <typename T>
class Guarded {
 public:
  // `skip` elements off a 64-byte boundary.
  explicit Guarded(int64_t size, int64_t skip = 0) : size_(size), skip_(kGuard + skip) {
    memory_.Assign(size + 2 * kGuard + skip);
    std::memset(memory_.data(), kByte, memory_.size() * sizeof(T));
  }
  Guarded(const std::vector<T>& values, int64_t skip = 0)
      : Guarded(static_cast<int64_t>(values.size()), skip) {
    if (!values.empty()) std::memcpy(data(), values.data(), values.size() * sizeof(T));
  }

  T* data() { return memory_.data() + skip_; }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) { return data()[i]; }
  std::vector<T> values() { return std::vector<T>(data(), data() + size_); }

  // Whether nothing around the elements was written.
  bool intact() {
    const auto* bytes = reinterpret_cast<const uint8_t*>(memory_.data());
    const int64_t begin = skip_ * sizeof(T), end = (skip_ + size_) * sizeof(T);
    for (int64_t i = 0; i < static_cast<int64_t>(memory_.size() * sizeof(T)); ++i) {
      if ((i < begin || i >= end) && bytes[i] != kByte) return false;
    }
    return true;
  }

 private:
  static constexpr int64_t kGuard = 64;
  static constexpr uint8_t kByte = 0xA7;
  int64_t size_;
  int64_t skip_;
  AlignedBuffer<T> memory_;
};

// (rows, ceil(bits / 32)) words with `stride` words per row; the rest is zero.
inline std::vector<uint32_t> WithStride(const std::vector<uint32_t>& words, int64_t bits,
                                        int64_t stride) {
  const int64_t used = WordsFor(bits), rows = static_cast<int64_t>(words.size()) / used;
  std::vector<uint32_t> out(rows * stride, 0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t w = 0; w < used; ++w) out[r * stride + w] = words[r * used + w];
  }
  return out;
}

}  // namespace bifsmn

#endif  // BIFSMN_TESTS_GUARDED_H_
