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

// What a thread does with subnormal numbers. Apart from tflite/strict_floats.h, which is what tests
// check with it: a wrong bit there must not be wrong here as well.

#ifndef BIFSMN_TESTS_FLUSH_SUBNORMALS_H_
#define BIFSMN_TESTS_FLUSH_SUBNORMALS_H_

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace bifsmn {

// Takes them for zeros, operands and results, or does not, for as long as it lives.
class FlushSubnormals {
 public:
  explicit FlushSubnormals(bool flush = true) : before_(Read()) {
    Write(flush ? before_ | kFlush : before_ & ~kFlush);
  }
  ~FlushSubnormals() { Write(before_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

  // Whether this processor has a register for it.
  static constexpr bool IsKnown() { return kFlush != 0; }
  static bool IsOn() { return (Read() & kFlush) == kFlush; }

 private:
#if defined(__x86_64__)
  static constexpr uint64_t kFlush = 0x8040;
  static uint64_t Read() { return _mm_getcsr(); }
  static void Write(uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
  static constexpr uint64_t kFlush = 1 << 24;
  static uint64_t Read() {
    uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void Write(uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
  static constexpr uint64_t kFlush = 0;
  static uint64_t Read() { return 0; }
  static void Write(uint64_t) {}
#endif

  uint64_t before_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TESTS_FLUSH_SUBNORMALS_H_
