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

// One node: its attributes, its checked shapes, its prepared weights and its evaluation. Used by
// the registered operators and by the delegate alike, so it never touches the interpreter.

#ifndef BIFSMN_TFLITE_BINARY_OP_H_
#define BIFSMN_TFLITE_BINARY_OP_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "custom_ops/kernels/kernel_table.h"
#include "custom_ops/tflite/attributes.h"
#include "custom_ops/tflite/error.h"
#include "custom_ops/tflite/tensor_view.h"

namespace bifsmn {

// Every operator's name starts so; the delegate takes every such node.
constexpr char kOpPrefix[] = "Bifsmn";

class BinaryOp {
 public:
  // Positions of a node's inputs.
  enum Input { kX = 0, kWeights = 1, kMultiplier = 2, kThreshold = 2, kBias = 3, kResidual = 4 };

  // The operator of that name, or null.
  static std::unique_ptr<BinaryOp> Create(const char* name);

  virtual ~BinaryOp() = default;
  BinaryOp(const BinaryOp&) = delete;
  BinaryOp& operator=(const BinaryOp&) = delete;

  // Reads the custom options. Once, before anything else.
  bool Init(const void* options, size_t length, Error* error);

  // Checks the inputs against the attributes, prepares the weights and all scratch memory, and
  // gives the output's shape. Again after every change of a shape.
  bool Prepare(const std::vector<TensorView>& inputs, abi::Type output_type, Shape* output,
               Error* error);

  // Runs the node. Pointers are to tensors of the prepared shapes; `residual` is null without
  // one. Allocates nothing.
  void Eval(const void* x, const float* residual, void* out);

 protected:
  BinaryOp() : kernels_(Kernels()) {}

  virtual bool ReadAttributes(Attributes* attributes, Error* error) = 0;

  // Checks x and the weights' shape for `outputs()` channels, prepares weights and scratch, and
  // gives the output's shape but for its last dimension.
  virtual bool Plan(const TensorView& x, const Shape& weights_shape,
                    const std::vector<uint32_t>& weights, Shape* lead, Error* error) = 0;

  virtual void Run(const void* x, const float* residual, void* out) = 0;

  int outputs() const { return outputs_; }
  int channels() const { return channels_; }
  const KernelTable& kernels() const { return kernels_; }

  // Checks an activation tensor whose last dimension should hold channels() values.
  bool CheckChannels(const TensorView& x, int rank, const char* layout, Error* error) const;

  // Checks the weights' shape and that the unused bits of every row of `bits` bits are clear.
  static bool CheckWeights(const Shape& shape, const std::vector<uint32_t>& weights, int rows,
                           int64_t bits, Error* error);

  // The packed bits of `rows` rows of `bits` activations each: x itself, or `scratch`, which
  // ScratchWords() sizes.
  const uint32_t* Bits(const void* x, int64_t rows, int bits, std::vector<uint32_t>* scratch) const;
  int64_t ScratchWords(int64_t rows, int64_t bits) const;
  // The activations `rows` rows of `bits` further on.
  const void* Advance(const void* x, int64_t rows, int64_t bits) const;

  // Ends the rows first .. first + count - 1 of the output from their dot products.
  void Finish(const int32_t* dots, int64_t first, int64_t count, const float* residual, void* out);

  // Rows to treat at a time, so that their dot products stay in the cache.
  int64_t TileRows(int64_t rows) const;

 private:
  bool PrepareEpilogue(const std::vector<TensorView>& inputs, abi::Type output_type, Error* error);

  const KernelTable& kernels_;
  int channels_ = 0;
  int outputs_ = 0;
  bool x_is_float_ = false;
  bool to_bits_ = false;
  bool empty_ = false;
  FloatEpilogueParams float_epilogue_;
  std::vector<int16_t> thresholds_;
};

std::unique_ptr<BinaryOp> CreateDenseOp();
std::unique_ptr<BinaryOp> CreateConv2DOp();
std::unique_ptr<BinaryOp> CreateMemoryOp();

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_BINARY_OP_H_
