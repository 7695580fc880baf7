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

// An array on its own cache lines, for kernels that load whole vectors.

#ifndef BIFSMN_KERNELS_ALIGNED_BUFFER_H_
#define BIFSMN_KERNELS_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace bifsmn {

template <typename T>
class AlignedBuffer {
 public:
  static_assert(std::is_trivially_copyable<T>::value, "elements are copied as bytes");
  static constexpr size_t kAlignment = 64;

  AlignedBuffer() = default;
  ~AlignedBuffer() { std::free(data_); }
  AlignedBuffer(AlignedBuffer&& other) noexcept { *this = std::move(other); }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  // Makes room for `size` elements, all zero; the previous content is lost. Throws
  // std::bad_alloc.
  void Assign(int64_t size) {
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    if (size <= 0) return;
    // The length is rounded up to whole cache lines, and those bytes are zero, too.
    const size_t bytes =
        (static_cast<size_t>(size) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    void* memory = nullptr;
    if (posix_memalign(&memory, kAlignment, bytes) != 0) throw std::bad_alloc();
    std::memset(memory, 0, bytes);
    data_ = static_cast<T*>(memory);
    size_ = size;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_ALIGNED_BUFFER_H_
