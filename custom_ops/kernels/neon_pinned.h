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

// NEON instructions in the order in which they are written.
//
// In-order cores execute what the compiler emits, and the compiler does not know how the pipeline
// of a particular core overlaps two iterations. Each function below is one instruction that no
// compiler moves past another one of them; registers are still the compiler's choice. Kernels for
// out-of-order cores use ordinary intrinsics instead.

#ifndef BIFSMN_KERNELS_NEON_PINNED_H_
#define BIFSMN_KERNELS_NEON_PINNED_H_

#if defined(__aarch64__)

#include <arm_neon.h>

#include <cstdint>

namespace bifsmn {
namespace pinned {

#define BIFSMN_PINNED inline __attribute__((always_inline))

BIFSMN_PINNED uint8x16_t Load(const void* p, int64_t offset) {
  struct __attribute__((may_alias)) Bytes { uint8_t value[16]; };
  uint8x16_t d;
  const Bytes* from = reinterpret_cast<const Bytes*>(static_cast<const uint8_t*>(p) + offset);
  asm volatile("ldr %q0, %1" : "=w"(d) : "m"(*from));
  return d;
}

// The same with the offset in the instruction: where two loops read the same address, a compiler
// keeps all these addresses in registers, runs out of them and reloads them.
template <int kOffset>
BIFSMN_PINNED uint8x16_t LoadAt(const void* p) {
  struct __attribute__((may_alias)) Bytes { uint8_t value[kOffset + 16]; };
  uint8x16_t d;
  asm volatile("ldr %q0, [%1, %2]"
               : "=w"(d)
               : "r"(p), "i"(kOffset), "m"(*static_cast<const Bytes*>(p)));
  return d;
}

BIFSMN_PINNED uint8x16_t Eor(uint8x16_t a, uint8x16_t b) {
  uint8x16_t d;
  asm volatile("eor %0.16b, %1.16b, %2.16b" : "=w"(d) : "w"(a), "w"(b));
  return d;
}

BIFSMN_PINNED uint8x16_t Cnt(uint8x16_t a) {
  uint8x16_t d;
  asm volatile("cnt %0.16b, %1.16b" : "=w"(d) : "w"(a));
  return d;
}

BIFSMN_PINNED uint8x16_t Add(uint8x16_t a, uint8x16_t b) {
  uint8x16_t d;
  asm volatile("add %0.16b, %1.16b, %2.16b" : "=w"(d) : "w"(a), "w"(b));
  return d;
}

// Sums of neighbouring bytes, those of `a` in the lower half.
BIFSMN_PINNED uint8x16_t Addp(uint8x16_t a, uint8x16_t b) {
  uint8x16_t d;
  asm volatile("addp %0.16b, %1.16b, %2.16b" : "=w"(d) : "w"(a), "w"(b));
  return d;
}

// Sums of neighbouring bytes, as 16 bits.
BIFSMN_PINNED uint16x8_t Uaddlp(uint8x16_t a) {
  uint16x8_t d;
  asm volatile("uaddlp %0.8h, %1.16b" : "=w"(d) : "w"(a));
  return d;
}

// Adds sums of neighbouring bytes to 16-bit counters.
BIFSMN_PINNED uint16x8_t Uadalp(uint16x8_t d, uint8x16_t a) {
  asm volatile("uadalp %0.8h, %1.16b" : "+w"(d) : "w"(a));
  return d;
}

// 16 bits of a register, in every lane.
template <int kLane, typename T>
BIFSMN_PINNED T Dup16(T a) {
  T d;
  asm volatile("dup %0.8h, %1.h[%2]" : "=w"(d) : "w"(a), "i"(kLane));
  return d;
}

// All ones where a >= b, signed.
BIFSMN_PINNED uint16x8_t Cmge(uint16x8_t a, uint16x8_t b) {
  uint16x8_t d;
  asm volatile("cmge %0.8h, %1.8h, %2.8h" : "=w"(d) : "w"(a), "w"(b));
  return d;
}

// All ones where a > b.
BIFSMN_PINNED uint8x16_t Cmhi(uint8x16_t a, uint8x16_t b) {
  uint8x16_t d;
  asm volatile("cmhi %0.16b, %1.16b, %2.16b" : "=w"(d) : "w"(a), "w"(b));
  return d;
}

// Shifts every byte of `bits` left by one and inserts the lowest bit of `mask`.
BIFSMN_PINNED uint8x16_t Sli1(uint8x16_t mask, uint8x16_t bits) {
  asm volatile("sli %0.16b, %1.16b, #1" : "+w"(mask) : "w"(bits));
  return mask;
}

BIFSMN_PINNED uint16x8_t Sli1(uint16x8_t mask, uint16x8_t bits) {
  asm volatile("sli %0.8h, %1.8h, #1" : "+w"(mask) : "w"(bits));
  return mask;
}

BIFSMN_PINNED void Store(void* p, int64_t offset, uint16x8_t value) {
  struct __attribute__((may_alias)) Bytes { uint8_t value[16]; };
  Bytes* to = reinterpret_cast<Bytes*>(static_cast<uint8_t*>(p) + offset);
  asm volatile("str %q1, %0" : "=m"(*to) : "w"(value));
}

}  // namespace pinned
}  // namespace bifsmn

#endif  // defined(__aarch64__)

#endif  // BIFSMN_KERNELS_NEON_PINNED_H_
