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

// Shifts every 16 bits of `bits` left and inserts the lower bits of `low`.
template <int kShift>
BIFSMN_PINNED uint16x8_t Sli(uint16x8_t low, uint16x8_t bits) {
  asm volatile("sli %0.8h, %1.8h, %2" : "+w"(low) : "w"(bits), "i"(kShift));
  return low;
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

// 16 bytes, `offset` bytes behind a pointer that the instruction adds it to.
BIFSMN_PINNED float32x4_t LoadIndexed(const float* p, int64_t offset) {
  float32x4_t d;
  asm volatile("ldr %q0, [%1, %2]"
               : "=w"(d)
               : "r"(p), "r"(offset), "m"(*reinterpret_cast<const float(*)[]>(p)));
  return d;
}

BIFSMN_PINNED void StoreIndexed(float* p, int64_t offset, float32x4_t value) {
  asm volatile("str %q1, [%2, %3]"
               : "=m"(*reinterpret_cast<float(*)[]>(p))
               : "w"(value), "r"(p), "r"(offset));
}

// Instructions of two operands by their names.
#define BIFSMN_PINNED_BINARY(Name, Result, Operand, text)        \
  BIFSMN_PINNED Result Name(Operand a, Operand b) {              \
    Result d;                                                    \
    asm volatile(text : "=w"(d) : "w"(a), "w"(b));               \
    return d;                                                    \
  }

BIFSMN_PINNED_BINARY(And, uint8x16_t, uint8x16_t, "and %0.16b, %1.16b, %2.16b")
BIFSMN_PINNED_BINARY(Zip1, uint8x16_t, uint8x16_t, "zip1 %0.16b, %1.16b, %2.16b")
BIFSMN_PINNED_BINARY(Zip2, uint8x16_t, uint8x16_t, "zip2 %0.16b, %1.16b, %2.16b")
BIFSMN_PINNED_BINARY(Zip1, uint16x8_t, uint16x8_t, "zip1 %0.8h, %1.8h, %2.8h")
BIFSMN_PINNED_BINARY(Zip2, uint16x8_t, uint16x8_t, "zip2 %0.8h, %1.8h, %2.8h")
BIFSMN_PINNED_BINARY(Uzp1, uint8x16_t, uint8x16_t, "uzp1 %0.16b, %1.16b, %2.16b")
BIFSMN_PINNED_BINARY(Uzp1, uint16x8_t, uint16x8_t, "uzp1 %0.8h, %1.8h, %2.8h")
BIFSMN_PINNED_BINARY(Uzp2, uint8x16_t, uint8x16_t, "uzp2 %0.16b, %1.16b, %2.16b")
BIFSMN_PINNED_BINARY(Uzp2, uint16x8_t, uint16x8_t, "uzp2 %0.8h, %1.8h, %2.8h")
BIFSMN_PINNED_BINARY(Sub, uint16x8_t, uint16x8_t, "sub %0.8h, %1.8h, %2.8h")
BIFSMN_PINNED_BINARY(SsublLow, int32x4_t, uint16x8_t, "ssubl %0.4s, %1.4h, %2.4h")
BIFSMN_PINNED_BINARY(SsublHigh, int32x4_t, uint16x8_t, "ssubl2 %0.4s, %1.8h, %2.8h")
BIFSMN_PINNED_BINARY(Tbl, uint8x16_t, uint8x16_t, "tbl %0.16b, {%1.16b}, %2.16b")
BIFSMN_PINNED_BINARY(Cmtst, uint8x16_t, uint8x16_t, "cmtst %0.16b, %1.16b, %2.16b")
BIFSMN_PINNED_BINARY(Fmul, float32x4_t, float32x4_t, "fmul %0.4s, %1.4s, %2.4s")
BIFSMN_PINNED_BINARY(Fadd, float32x4_t, float32x4_t, "fadd %0.4s, %1.4s, %2.4s")
BIFSMN_PINNED_BINARY(Fsub, float32x4_t, float32x4_t, "fsub %0.4s, %1.4s, %2.4s")
BIFSMN_PINNED_BINARY(Fmax, float32x4_t, float32x4_t, "fmax %0.4s, %1.4s, %2.4s")

// All ones where a >= b.
BIFSMN_PINNED_BINARY(Fcmge, uint32x4_t, float32x4_t, "fcmge %0.4s, %1.4s, %2.4s")

#define BIFSMN_PINNED_UNARY(Name, Result, Operand, text)         \
  BIFSMN_PINNED Result Name(Operand a) {                         \
    Result d;                                                    \
    asm volatile(text : "=w"(d) : "w"(a));                       \
    return d;                                                    \
  }

BIFSMN_PINNED_UNARY(Scvtf, float32x4_t, int32x4_t, "scvtf %0.4s, %1.4s")
BIFSMN_PINNED_UNARY(Fabs, float32x4_t, float32x4_t, "fabs %0.4s, %1.4s")
// All ones where a >= 0, signed.
BIFSMN_PINNED_UNARY(Cmge0, uint8x16_t, uint8x16_t, "cmge %0.16b, %1.16b, #0")
// All ones where a >= 0.0.
BIFSMN_PINNED_UNARY(Fcmge0, uint32x4_t, float32x4_t, "fcmge %0.4s, %1.4s, #0.0")
// 16 bits to the upper halves of 32.
BIFSMN_PINNED_UNARY(ShllLow16, float32x4_t, uint8x16_t, "shll %0.4s, %1.4h, #16")
BIFSMN_PINNED_UNARY(ShllHigh16, float32x4_t, uint8x16_t, "shll2 %0.4s, %1.8h, #16")

// `d` with the bits of `a` where `mask` has ones.
BIFSMN_PINNED uint8x16_t Bit(uint8x16_t d, uint8x16_t a, uint8x16_t mask) {
  asm volatile("bit %0.16b, %1.16b, %2.16b" : "+w"(d) : "w"(a), "w"(mask));
  return d;
}

// `mask` chooses bits of `a`, where it has ones, or of `b`.
BIFSMN_PINNED float32x4_t Bsl(uint32x4_t mask, float32x4_t a, float32x4_t b) {
  asm volatile("bsl %0.16b, %1.16b, %2.16b" : "+w"(mask) : "w"(a), "w"(b));
  return vreinterpretq_f32_u32(mask);
}

// x * (one lane of y).
template <int kLane>
BIFSMN_PINNED float32x4_t FmulLane(float32x4_t x, float32x4_t y) {
  float32x4_t d;
  asm volatile("fmul %0.4s, %1.4s, %2.s[%3]" : "=w"(d) : "w"(x), "w"(y), "i"(kLane));
  return d;
}

// sum += x * y, rounded once.
BIFSMN_PINNED float32x4_t Fmla(float32x4_t sum, float32x4_t x, float32x4_t y) {
  asm volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(sum) : "w"(x), "w"(y));
  return sum;
}

// sum += x * (one lane of y), rounded once.
template <int kLane>
BIFSMN_PINNED float32x4_t FmlaLane(float32x4_t sum, float32x4_t x, float32x4_t y) {
  asm volatile("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(sum) : "w"(x), "w"(y), "i"(kLane));
  return sum;
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
