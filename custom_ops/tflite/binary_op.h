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

// A layer over signs: what the binary operators have in common.

#ifndef BIFSMN_TFLITE_BINARY_OP_H_
#define BIFSMN_TFLITE_BINARY_OP_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "custom_ops/kernels/aligned_buffer.h"
#include "custom_ops/kernels/path.h"
#include "custom_ops/tflite/attributes.h"
#include "custom_ops/tflite/error.h"
#include "custom_ops/tflite/op.h"
#include "custom_ops/tflite/tensor_view.h"

namespace bifsmn {

class BinaryOp : public Op {
 public:
  // Positions of a node's inputs.
  enum Input { kX = 0, kWeights = 1, kMultiplier = 2, kThreshold = 2, kBias = 3, kResidual = 4 };

  // How an operator turns floats into signs: those of x, those of x - shift, or two signs, the
  // second with a scale that is computed at run time. One shift and a step are four levels: two
  // signs, the second with kLevelScale. The shifts are its last inputs, as many as the value says;
  // only a centre follows.
  enum Shifts { kUnshifted = 0, kShifted = 1, kDualScale = 2 };

  bool Init(const void* options, size_t length, Error* error) override;

  // Where signs alone are wanted it writes packed bits if they are a threshold of the dot product.
  bool Prepare(const std::vector<TensorView>& inputs, abi::Type output_type,
               const SignsWanted& signs, Shape* output, Error* error) override;

  bool has_sign_shift() const override { return sign_shift_.size() > 0 || to_levels_; }

  int bits() const override { return to_levels_ ? 2 : to_bits_ ? 1 : 0; }
  int outputs() const override { return outputs_; }
  bool has_residual() const override { return has_residual_; }
  Reads reads() const override {
    if (has_levels()) return HandsLevels() ? Reads::kLevels : Reads::kFloats;
    return shifts_ == kUnshifted ? Reads::kSigns
           : shifts_ == kShifted ? Reads::kShiftedSigns
                                 : Reads::kFloats;
  }
  bool ReadShift(const std::vector<TensorView>& inputs, std::vector<float>* shift) const override;
  // -1 if the rows are flattened and have unused bits.
  int64_t PreferredStride(int64_t words) const override {
    return reads() == Reads::kFloats ? -1 : PackedStride(words);
  }

  void Eval(const Operands& operands) override;

 protected:
  BinaryOp() = default;

  virtual bool ReadAttributes(Attributes* attributes, Error* error) = 0;

  // Whether it can take both bits of a layer of four levels as packed rows, and make such rows.
  virtual bool HandsLevels() const { return false; }

  // PreferredStride of an operator that takes bits.
  virtual int64_t PackedStride(int64_t words) const = 0;

  // Checks x and the weights' shape for `outputs()` channels, prepares weights and scratch, and
  // gives the output's shape but for its last dimension. to_bits() and the epilogue may still
  // change afterwards.
  virtual bool Plan(const TensorView& x, const Shape& weights_shape,
                    const std::vector<uint32_t>& weights, Shape* lead, Error* error) = 0;

  // Whether what signs are compared with may differ between `parts` neighbouring rows of the
  // output.
  virtual bool TakesParts(int64_t parts) const { return parts == 1; }

  // Largest possible |dot|.
  virtual int Reduction() const = 0;

  // Prepares for bits by thresholds(): once per Prepare, after Plan.
  virtual void PlanBits() = 0;

  // Reverses the weights of some outputs. Returns false if that is not worth while.
  virtual bool Negate(const std::vector<bool>& outputs) = 0;

  virtual void Run(const Operands& operands) = 0;

  int channels() const { return channels_; }
  const KernelPath& path() const { return *path_; }
  // Row r of the output has the thresholds of part r % sign_parts(), for bits and for signs.
  int64_t sign_parts() const { return sign_parts_; }
  const int16_t* thresholds(int64_t part = 0) const { return &thresholds_[part * outputs_]; }
  FloatEnd float_end(int64_t part = 0) const {
    const float* signs = sign_shift_.size() > 0 ? sign_shift_.data() + part * padded() : nullptr;
    return {multiplier_.data(), bias_.data(), slope_, residual_first_, signs};
  }
  // Outputs rounded up to whole blocks.
  int64_t padded() const { return (int64_t{outputs_} + kEndBlock - 1) / kEndBlock * kEndBlock; }

  // Checks an activation tensor whose last dimension should hold channels() values.
  bool CheckChannels(const TensorView& x, int rank, const char* layout, Error* error) const;

  // Checks the weights' shape and that the unused bits of every row of `bits` bits are clear.
  static bool CheckWeights(const Shape& shape, const std::vector<uint32_t>& weights, int rows,
                           int64_t bits, Error* error);

  bool to_bits() const { return to_bits_; }
  bool to_levels() const { return to_levels_; }
  // Valid where it gives two bits.
  LevelsEnd levels_end() const {
    LevelsEnd end;
    for (int i = 0; i < 3; ++i) {
      end.threshold[i] = level_thresholds_[i].data();
      end.reverse[i] = level_reverses_[i].data();
      if (level_limits_[i].size() > 0) end.limit[i] = level_limits_[i].data();
      if (level_beyonds_[i].size() > 0) end.beyond[i] = level_beyonds_[i].data();
    }
    return end;
  }

  bool x_is_float() const { return x_is_float_; }
  // Whether x is read as two signs.
  bool is_dual() const { return shifts_ == kDualScale || has_levels(); }
  bool has_levels() const { return step_ > 0.0f; }
  // Whether taps inside have a centre besides their signs: then every position has a bias of its
  // own, that of the taps inside.
  bool has_centre() const { return has_centre_; }
  const AlignedBuffer<float>& centre() const { return centre_; }
  // Output n's bias where the centres of its taps sum up to `sum`.
  float BiasWith(double sum, int n) const {
    return static_cast<float>(double{bias_[n]} + double{multiplier_[n]} * sum);
  }
  // One per input channel, as the kernels want them: those of the inputs, or, of four levels, the
  // borders between these, ascending.
  const AlignedBuffer<float>& shift(int index) const { return shift_[index]; }

  // Writes `rows` rows of `bits` activations each, of one scale, as clean packed rows, from row `first` of x on.
  // A row of x is `parts` rows of its last dimension.
  void CopyRows(const Operands& operands, int64_t first, int64_t rows, int bits, int64_t parts,
                uint32_t* out, int64_t out_stride) const;

  // The limit of differing bits for dot = valid - 2 * differing >= threshold; -1 for never.
  static int Limit(int valid, int threshold);

 private:
  bool PrepareEpilogue(const std::vector<TensorView>& inputs, abi::Type output_type, Error* error);
  // `shifts` are the last inputs, the centre being the very last. After PrepareEpilogue.
  bool PrepareShifts(const TensorView& x, const std::vector<TensorView>& shifts, Error* error);
  // The borders between four levels around `middle`: all the lowest ones, then the middle ones, ...
  std::vector<float> Borders(const std::vector<float>& middle) const;
  // How many there are.
  int ShiftInputs() const { return shifts_ + (has_centre_ ? 1 : 0); }
  // Whether signs can be had as wanted. After PrepareEpilogue.
  bool TakeSigns(const SignsWanted& signs);
  // Turns a float epilogue into thresholds of the same signs, if there are such.
  bool FoldIntoThresholds();
  // The same for two bits, from the sum 2 dot(first) + dot(second). `shifts` as SignsWanted has them.
  bool FoldIntoLevels(const std::vector<float>& shifts);
  // Which outputs have a multiplier below 0; false if some number is not finite.
  bool AreFinite(std::vector<bool>* negated) const;
  // Output n before the slope, for a multiplier without its sign.
  float Affine(float dot, int n) const {
    const float v = dot * std::fabs(multiplier_[n]);
    return v + bias_[n];
  }

  const KernelPath* path_ = nullptr;
  int channels_ = 0;
  int outputs_ = 0;
  bool x_is_float_ = false;
  bool to_bits_ = false;
  bool empty_ = false;
  AlignedBuffer<float> multiplier_;
  AlignedBuffer<float> bias_;
  float slope_ = 1.0f;
  bool residual_first_ = false;
  bool has_residual_ = false;
  int shifts_ = kUnshifted;
  float step_ = 0.0f;  // between the borders of four levels; 0 for none
  AlignedBuffer<float> shift_[3];
  bool has_centre_ = false;
  AlignedBuffer<float> centre_;
  int64_t sign_parts_ = 1;
  AlignedBuffer<float> sign_shift_;  // (sign_parts_, padded()), or empty
  std::vector<int16_t> thresholds_;  // (sign_parts_, outputs_)
  bool to_levels_ = false;
  AlignedBuffer<int32_t> level_thresholds_[3], level_reverses_[3];
  AlignedBuffer<int16_t> level_limits_[3], level_beyonds_[3];
};

}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_BINARY_OP_H_
