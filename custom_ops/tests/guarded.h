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

// Arrays between pages that must not be touched: an access beyond the end that lies at a page
// faults, and a write beyond the other one leaves a trace.

#ifndef BIFSMN_TESTS_GUARDED_H_
#define BIFSMN_TESTS_GUARDED_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <new>
#include <utility>
#include <vector>

#include "custom_ops/kernels/bits.h"

namespace bifsmn {

// Pages with an inaccessible one at either end.
class GuardedPages {
 public:
  explicit GuardedPages(size_t bytes) : size_((bytes + Page() - 1) / Page() * Page()) {
    if (size_ == 0) size_ = Page();
    auto& unused = Unused()[size_];
    if (!unused.empty()) {
      data_ = unused.back();
      unused.pop_back();
      return;
    }
    void* memory = mmap(nullptr, size_ + 2 * Page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<uint8_t*>(memory) + Page();
    if (mprotect(data_, size_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  }
  ~GuardedPages() {
    if (data_ != nullptr) Unused()[size_].push_back(data_);
  }
  GuardedPages(GuardedPages&& other) noexcept { *this = std::move(other); }
  GuardedPages& operator=(GuardedPages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  static size_t Page() {
    static const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return page;
  }
  // Tests make very many; the system takes its time for each.
  static std::map<size_t, std::vector<uint8_t*>>& Unused() {
    static auto& unused = *new std::map<size_t, std::vector<uint8_t*>>;
    return unused;
  }

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Where an array lies. At the end of its pages it is aligned as its size is a multiple of, and
// every access behind it faults; at their beginning, `skip` elements off, every access before
// those.
struct Place {
  bool at_end = true;
  int skip = 0;
};

template <typename T>
class Guarded {
 public:
  explicit Guarded(int64_t size, Place place = {})
      : size_(size), pages_((size + place.skip) * sizeof(T)) {
    offset_ = place.at_end ? static_cast<int64_t>(pages_.size()) - bytes() : place.skip * sizeof(T);
    std::memset(pages_.data(), kByte, pages_.size());
  }
  explicit Guarded(const std::vector<T>& values, Place place = {})
      : Guarded(static_cast<int64_t>(values.size()), place) {
    if (!values.empty()) std::memcpy(data(), values.data(), bytes());
  }

  T* data() { return reinterpret_cast<T*>(pages_.data() + offset_); }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) { return data()[i]; }
  std::vector<T> values() { return std::vector<T>(data(), data() + size_); }

  // Whether nothing around the elements was written.
  bool intact() const {
    const int64_t end = offset_ + bytes();
    return Untouched(0, offset_) && Untouched(end, static_cast<int64_t>(pages_.size()) - end);
  }

 private:
  static constexpr uint8_t kByte = 0xA7;

  int64_t bytes() const { return size_ * static_cast<int64_t>(sizeof(T)); }
  bool Untouched(int64_t begin, int64_t count) const {
    const uint8_t* at = pages_.data() + begin;
    return count == 0 || (at[0] == kByte && std::memcmp(at, at + 1, count - 1) == 0);
  }

  int64_t size_;
  GuardedPages pages_;
  int64_t offset_ = 0;
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
