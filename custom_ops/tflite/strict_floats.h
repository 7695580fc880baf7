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

// Subnormal numbers as IEEE 754 has them, for as long as an object lives. A host's thread may take
// them for zeros (TensorFlow's do), but whether x >= shift must not depend on the host.

#ifndef BIFSMN_TFLITE_STRICT_FLOATS_H_
#define BIFSMN_TFLITE_STRICT_FLOATS_H_

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace bifsmn {

class StrictFloats {
 public:
  StrictFloats() : before_(Read()) {
    if ((before_ & kFlush) != 0) Write(before_ & ~kFlush);
  }
  ~StrictFloats() {
    if ((before_ & kFlush) != 0) Write(before_);
  }
  StrictFloats(const StrictFloats&) = delete;
  StrictFloats& operator=(const StrictFloats&) = delete;

 private:
#if defined(__x86_64__)
  using Register = uint32_t;
  static constexpr Register kFlush = 0x8040;  // of results, and of operands
  static Register Read() { return _mm_getcsr(); }
  static void Write(Register value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
  using Register = uint64_t;
  static constexpr Register kFlush = 1 << 24;
  static Register Read() {
    Register value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void Write(Register value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
  using Register = uint32_t;
  static constexpr Register kFlush = 0;
  static Register Read() { return 0; }
  static void Write(Register) {}
#endif

  Register before_;
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_STRICT_FLOATS_H_
