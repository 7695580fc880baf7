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

// An operator as the registered operators and the delegate see it: its attributes, its checked
// shapes and its evaluation. It never touches the interpreter.

#ifndef BIFSMN_TFLITE_OP_H_
#define BIFSMN_TFLITE_OP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "custom_ops/tflite/error.h"
#include "custom_ops/tflite/tensor_view.h"

namespace bifsmn {

// Every operator's name starts so; the delegate takes every such node.
constexpr char kOpPrefix[] = "Bifsmn";

// Where a node reads and writes, for tensors of the prepared shapes.
struct Operands {
  // The activations. Either as the interpreter stores them, then x_stride is 0; or packed bits
  // with clear unused bits and `x_stride` words from one row of the last dimension to the next.
  const void* x = nullptr;
  int64_t x_stride = 0;
  // Null, or the second bits of an x of four levels, in rows like those of the first ones at `x`.
  const uint32_t* x_second = nullptr;
  const float* residual = nullptr;  // null without one
  // float32 as the interpreter stores it, or packed bits with `out_stride` words per row.
  void* out = nullptr;
  int64_t out_stride = 0;
  // Where the second bits of an output of two go, in rows like those of the first ones at `out`.
  uint32_t* out_second = nullptr;
  // Of a float output: null, or where its packed signs go.
  uint32_t* signs = nullptr;
  int64_t signs_stride = 0;
};

// What a caller wants of the signs of a float output.
struct SignsWanted {
  // Nothing of the output but its signs.
  bool only = false;
  // What the values are compared with, or null for zero: for a number of rows of the output, one
  // behind the other, which repeat until its end. Finite and not subnormal.
  const std::vector<float>* shift = nullptr;
  // Whether two bits are wanted for readers of four levels: then `shift` has the low ones of all
  // outputs, the middle ones behind them, and the high ones.
  bool levels = false;
};

// What an operator makes of its x, when that is float32: signs, signs of x - shift, the two bits of
// four levels, or more.
enum class Reads { kSigns, kShiftedSigns, kLevels, kFloats };

class Op {
 public:
  // The operator of that name, or null.
  static std::unique_ptr<Op> Create(const char* name);

  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  // Reads the custom options. Once, before anything else.
  virtual bool Init(const void* options, size_t length, Error* error) = 0;

  // Checks the inputs against the attributes, prepares constants and all scratch memory, and gives
  // the output's shape. Again after every change of a shape.
  //
  // Where signs alone are wanted the operator may write packed bits, and bits() is 1, or 2;
  // `output` remains the shape of the floats.
  virtual bool Prepare(const std::vector<TensorView>& inputs, abi::Type output_type,
                       const SignsWanted& signs, Shape* output, Error* error) = 0;

  // Whether the signs that it gives are those of the wanted shift, or the two bits those of the
  // wanted levels. If not, what was wanted is ignored as a whole. Valid after Prepare.
  virtual bool has_sign_shift() const { return false; }

  // How many packed bits the output has for a value, 0 if it is floats. Valid after Prepare.
  virtual int bits() const { return 0; }
  // The last dimension of the output, as values. Valid after Prepare.
  virtual int outputs() const = 0;
  // Valid after Prepare.
  virtual bool has_residual() const { return false; }
  // Valid after Init.
  virtual Reads reads() const { return Reads::kFloats; }
  // The shift of an operator that reads() shifted signs, as its maker of x may want it, or those of
  // one that reads levels, as SignsWanted has them. False where `inputs` are not sound, which
  // Prepare reports. Valid after Init.
  virtual bool ReadShift(const std::vector<TensorView>& inputs, std::vector<float>* shift) const {
    return false;
  }
  // The distance in words of packed rows of x, of `words` words each, that this operator reads in
  // place; any other is copied. -1 if it cannot read x as packed rows, whatever they are signs of.
  // Valid after Prepare.
  virtual int64_t PreferredStride(int64_t words) const { return -1; }

  // Runs the node. Allocates nothing.
  virtual void Eval(const Operands& operands) = 0;

 protected:
  Op() = default;
};

std::unique_ptr<Op> CreateDenseOp();
std::unique_ptr<Op> CreateConv2DOp();
std::unique_ptr<Op> CreateMemoryOp();
std::unique_ptr<Op> CreateLogMelOp();

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_OP_H_
