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

#include "custom_ops/tflite/binary_op.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/tflite/real_constants.h"
#include "custom_ops/tflite/strict_floats.h"

namespace bifsmn {
namespace {

template <typename T>
void CopyConstant(const TensorView& view, int64_t count, std::vector<T>* out) {
  out->resize(count);
  if (count > 0) std::memcpy(out->data(), view.data, count * sizeof(T));
}

// A constant on cache lines, padded to whole blocks of outputs.
void CopyConstant(const TensorView& view, int64_t count, AlignedBuffer<float>* out) {
  out->Assign((count + kEndBlock - 1) / kEndBlock * kEndBlock);
  CopyReals(view, count, out->data());
}

bool CheckConstant(const TensorView& view, const char* name, abi::Type type, int rank,
                   Error* error) {
  if (view.type != type) {
    return error->Set("%s should be %s. Received: %s", name, TypeName(type), TypeName(view.type));
  }
  if (view.rank() != rank) {
    return error->Set("%s should have %d dimension(s). Received: shape %s", name, rank,
                      ToString(view.shape).c_str());
  }
  if (!view.constant || view.data == nullptr) {
    return error->Set("%s should be a constant of the model. Received: a computed tensor", name);
  }
  return true;
}

// The least number of low .. high - 1 from which on all are set, or `high`.
template <typename IsSet>
int Least(int low, int high, const IsSet& is_set) {
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (is_set(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

bool CheckReals(const TensorView& view, const char* name, Error* error) {
  if (view.type != abi::kFloat32 && view.type != abi::kFloat16) {
    return error->Set("%s should be float32 or float16. Received: %s", name, TypeName(view.type));
  }
  return CheckConstant(view, name, view.type, 1, error);
}

// So no difference from a shift is subnormal, in any host.
float Normal(float shift) { return std::fabs(shift) < FLT_MIN ? 0.0f : shift; }

bool CheckShift(const TensorView& view, const char* name, int channels, std::vector<float>* shift,
                Error* error) {
  if (!CheckConstant(view, name, abi::kFloat32, 1, error)) return false;
  if (view.shape[0] != channels) {
    return error->Set("%s should have shape (%d), one entry per input channel. Received: %s", name,
                      channels, ToString(view.shape).c_str());
  }
  CopyConstant(view, channels, shift);
  for (int c = 0; c < channels; ++c) {
    float& value = (*shift)[c];
    if (!std::isfinite(value)) {
      return error->Set("%s should be finite. Received: %g for channel %d", name, value, c);
    }
    value = Normal(value);
  }
  return true;
}

}  // namespace

bool BinaryOp::Init(const void* options, size_t length, Error* error) {
  Attributes attributes;
  int residual_first = 0, centre = 0;
  float step = NAN;
  if (!attributes.Parse(options, length, error) ||
      !attributes.TakeInt("channels", true, 1, kMaxReduction, &channels_, error) ||
      !attributes.TakeFloat("slope", &slope_, error) ||
      !attributes.TakeInt("residual_first", false, 0, 1, &residual_first, error) ||
      !attributes.TakeInt("shifts", false, kUnshifted, kDualScale, &shifts_, error) ||
      !attributes.TakeFloat("step", &step, error) ||
      !attributes.TakeInt("centre", false, 0, 1, &centre, error)) {
    return false;
  }
  if (!std::isnan(step)) {
    if (shifts_ != kShifted) {
      return error->Set("attribute \"step\" should only be set with one shift. Received: shifts=%d",
                        shifts_);
    }
    if (!(step >= FLT_MIN)) {
      return error->Set("attribute \"step\" should be positive and not subnormal. Received: %g",
                        step);
    }
    step_ = step;
  }
  has_centre_ = centre != 0;
  if (has_centre_ && !is_dual()) {
    return error->Set("attribute \"centre\" should only be set with two shifts or a step. "
                      "Received: shifts=%d", shifts_);
  }
  residual_first_ = residual_first != 0;
  return ReadAttributes(&attributes, error) && attributes.ExpectEmpty(error);
}

bool BinaryOp::PrepareEpilogue(const std::vector<TensorView>& inputs, abi::Type output_type,
                               Error* error) {
  const TensorView& third = inputs[kThreshold];
  if (third.type == abi::kInt16) {
    if (inputs.size() != 3) {
      return error->Set("a node with int16 thresholds should have 3 inputs (x, weights, "
                        "threshold). Received: %zu inputs", inputs.size());
    }
    if (output_type != abi::kInt32) {
      return error->Set("a node with int16 thresholds should have an int32 output of packed bits. "
                        "Received: %s", TypeName(output_type));
    }
    if (slope_ != 1.0f || residual_first_) {
      return error->Set("a node with int16 thresholds should have neither \"slope\" nor "
                        "\"residual_first\". Received: slope=%g, residual_first=%d",
                        slope_, residual_first_);
    }
    if (!CheckConstant(third, "threshold", abi::kInt16, 1, error)) return false;
    to_bits_ = true;
    outputs_ = third.shape[0];
    CopyConstant(third, outputs_, &thresholds_);
  } else {
    if (!CheckReals(third, "multiplier (or an int16 threshold)", error)) return false;
    if (inputs.size() != 4 && inputs.size() != 5) {
      return error->Set("a node with a multiplier should have 4 or 5 inputs (x, weights, "
                        "multiplier, bias[, residual]). Received: %zu inputs", inputs.size());
    }
    if (output_type != abi::kFloat32) {
      return error->Set("a node with a multiplier should have a float32 output. "
                        "Received: %s", TypeName(output_type));
    }
    if (!CheckReals(inputs[kBias], "bias", error)) return false;
    if (inputs[kBias].shape != third.shape) {
      return error->Set("bias should have the multiplier's shape %s. Received: %s",
                        ToString(third.shape).c_str(), ToString(inputs[kBias].shape).c_str());
    }
    if (residual_first_ && inputs.size() == 4) {
      return error->Set("\"residual_first\" should only be set with a residual. Received: 4 inputs");
    }
    to_bits_ = false;
    outputs_ = third.shape[0];
    CopyConstant(third, outputs_, &multiplier_);
    CopyConstant(inputs[kBias], outputs_, &bias_);
  }
  if (outputs_ < 1) return error->Set("a node should have output channels. Received: 0");
  return true;
}

bool BinaryOp::PrepareShifts(const TensorView& x, const std::vector<TensorView>& shifts,
                             Error* error) {
  if (shifts.empty()) return true;
  if (x.type != abi::kFloat32) {
    return error->Set("x should be float32 with shifts=%d. Received: %s", shifts_,
                      TypeName(x.type));
  }
  if (is_dual() && to_bits_) {
    return error->Set("a node with two shifts or a step should have a float32 multiplier and bias. "
                      "Received: int16 thresholds");
  }
  for (size_t i = 0; i < shifts.size(); ++i) {
    std::vector<float> values;
    const bool is_centre = static_cast<int>(i) == shifts_;
    const char* name = is_centre ? "centre" : "shift";
    if (!CheckShift(shifts[i], name, channels_, &values, error)) return false;
    const bool is_middle = has_levels() && !is_centre;
    if (is_middle) values = Borders(values);
    for (int part = 0; part < (is_middle ? 3 : 1); ++part) {
      AlignedBuffer<float>& to = is_centre ? centre_ : shift_[i + part];
      to.Assign((channels_ + kEndBlock - 1) / kEndBlock * kEndBlock);
      std::copy_n(values.begin() + part * channels_, channels_, to.data());
    }
  }
  return true;
}

std::vector<float> BinaryOp::Borders(const std::vector<float>& middle) const {
  std::vector<float> result;
  for (const float step : {-step_, 0.0f, step_}) {
    for (const float value : middle) result.push_back(Normal(value + step));
  }
  return result;
}

bool BinaryOp::ReadShift(const std::vector<TensorView>& inputs, std::vector<float>* shift) const {
  Error ignored;
  const size_t count = ShiftInputs();
  if (shifts_ != kShifted || inputs.size() < count) return false;
  if (!CheckShift(inputs[inputs.size() - count], "shift", channels_, shift, &ignored)) return false;
  if (has_levels()) *shift = Borders(*shift);
  return true;
}

bool BinaryOp::TakeSigns(const SignsWanted& signs) {
  sign_parts_ = 1;
  sign_shift_.Assign(0);
  if (to_bits_ || signs.levels) return false;  // they are made already, or not the signs of floats
  if (signs.shift == nullptr) return true;
  const int64_t count = static_cast<int64_t>(signs.shift->size());
  if (count == 0 || count % outputs_ != 0 || !TakesParts(count / outputs_)) return false;
  sign_parts_ = count / outputs_;
  sign_shift_.Assign(sign_parts_ * padded());
  for (int64_t i = 0; i < count; ++i) {
    sign_shift_[i / outputs_ * padded() + i % outputs_] = (*signs.shift)[i];
  }
  return true;
}

bool BinaryOp::FoldIntoThresholds() {
  // As Eval computes it, whatever this thread does to subnormals.
  std::optional<StrictFloats> strict;
  if (reads() != Reads::kSigns) strict.emplace();
  // Without unused bits the rows may be flattened.
  std::vector<bool> negated;
  if (outputs_ % kWordBits != 0 || !(slope_ >= 0.0f) || !AreFinite(&negated)) return false;
  const int reduction = Reduction();
  thresholds_.resize(sign_parts_ * outputs_);
  for (size_t i = 0; i < thresholds_.size(); ++i) {
    const int n = static_cast<int>(i % outputs_);
    const float* threshold =
        has_sign_shift() ? &sign_shift_[i / outputs_ * padded() + n] : nullptr;
    // Rounding keeps the order: the value grows with the dot product, and so does its sign. A
    // positive slope keeps the sign but for what becomes too small a number.
    const int least = Least(-reduction, reduction + 1, [&](int dot) {
      float v = Affine(static_cast<float>(dot), n);
      if (slope_ != 1.0f && !(v >= 0.0f)) v = v * slope_;
      return threshold == nullptr ? IsPositive(v) != 0 : v >= *threshold;
    });
    if (least > 32767) return false;
    thresholds_[i] = static_cast<int16_t>(least);
  }
  // Last, since it cannot be taken back.
  return std::find(negated.begin(), negated.end(), true) == negated.end() || Negate(negated);
}

bool BinaryOp::FoldIntoLevels(const std::vector<float>& shifts) {
  const StrictFloats strict;
  std::vector<bool> negated;
  if (static_cast<int64_t>(shifts.size()) != 3 * int64_t{outputs_} || !AreFinite(&negated)) {
    return false;
  }
  const int most = 3 * Reduction();
  const bool has_limits = Reduction() <= kMostLevelReduction, turns = slope_ < 0.0f;
  for (int i = 0; i < 3; ++i) {
    level_thresholds_[i].Assign(padded());
    level_reverses_[i].Assign(padded());
    level_limits_[i].Assign(has_limits ? padded() : 0);
    level_beyonds_[i].Assign(has_limits && turns ? padded() : 0);
    for (int n = 0; n < padded(); ++n) {
      int least = most + 1, greatest = -most - 1;
      if (n < outputs_) {
        const float threshold = shifts[int64_t{i} * outputs_ + n];
        // dot(first) + kLevelScale * dot(second), exactly. Where the slope turns values back, those
        // above and below zero have a threshold each.
        const auto value = [&](int sum) { return Affine(kLevelScale * sum, n); };
        least = Least(-most, most + 1, [&](int sum) {
          float v = value(sum);
          if (turns && !(v >= 0.0f)) return false;
          if (slope_ != 1.0f && !(v >= 0.0f)) v = v * slope_;
          return v >= threshold;
        });
        greatest = !turns ? -most - 1 : -Least(-most, most + 1, [&](int minus_sum) {
          const float v = value(-minus_sum);
          return !(v >= 0.0f) && v * slope_ >= threshold;
        });
      }
      level_thresholds_[i][n] = least;
      level_reverses_[i][n] = greatest;
      if (!has_limits) continue;
      level_limits_[i][n] = static_cast<int16_t>(Limit(most, least));
      // D <= greatest, if that is possible: C >= (most - greatest) / 2, rounded up.
      const int first = greatest < -most ? most + 1 : (most - greatest + 1) / 2;
      if (turns) level_beyonds_[i][n] = static_cast<int16_t>(first - 1);
    }
  }
  return std::find(negated.begin(), negated.end(), true) == negated.end() || Negate(negated);
}

bool BinaryOp::AreFinite(std::vector<bool>* negated) const {
  negated->assign(outputs_, false);
  for (int n = 0; n < outputs_; ++n) {
    if (!std::isfinite(multiplier_[n]) || !std::isfinite(bias_[n])) return false;
    (*negated)[n] = multiplier_[n] < 0.0f;
  }
  return true;
}

int BinaryOp::Limit(int valid, int threshold) {
  const int difference = valid - threshold;
  if (difference < 0) return -1;
  return std::min(difference / 2, valid);
}

bool BinaryOp::Prepare(const std::vector<TensorView>& all_inputs, abi::Type output_type,
                       const SignsWanted& signs, Shape* output, Error* error) {
  std::string reason;
  path_ = ChosenPath(&reason);
  if (path_ == nullptr) return error->Set("%s", reason.c_str());
  to_levels_ = false;
  const int shifts = ShiftInputs();
  const int given = static_cast<int>(all_inputs.size());
  if (given < 3 + shifts || given > 5 + shifts) {
    return error->Set("a node should have %d, %d or %d inputs. Received: %d inputs", 3 + shifts,
                      4 + shifts, 5 + shifts, given);
  }
  const auto end = all_inputs.end() - shifts;
  const std::vector<TensorView> inputs(all_inputs.begin(), end);
  if (!PrepareEpilogue(inputs, output_type, error)) return false;

  const TensorView& x = inputs[kX];
  if (x.type != abi::kFloat32 && x.type != abi::kInt32) {
    return error->Set("x should be float32, or int32 packed bits. Received: %s", TypeName(x.type));
  }
  x_is_float_ = x.type == abi::kFloat32;
  if (!PrepareShifts(x, {end, all_inputs.end()}, error)) return false;

  const TensorView& weights = inputs[kWeights];
  if (!CheckConstant(weights, "weights", abi::kInt32, 2, error)) return false;
  int64_t words = 0;
  Product(weights.shape, &words);
  std::vector<uint32_t> stored;
  CopyConstant(weights, words, &stored);
  const bool has_signs = TakeSigns(signs);
  Shape shape;
  if (!Plan(x, weights.shape, stored, &shape, error)) return false;

  shape.push_back(to_bits_ ? static_cast<int>(WordsFor(outputs_)) : outputs_);
  int64_t elements = 0;
  if (!Product(shape, &elements)) {
    return error->Set("the output should have at most 2^31 - 1 elements. Received: shape %s",
                      ToString(shape).c_str());
  }
  if (inputs.size() == 5) {
    const TensorView& residual = inputs[kResidual];
    if (residual.type != abi::kFloat32 || residual.shape != shape) {
      return error->Set("residual should be float32 of the output's shape %s. Received: %s of "
                        "shape %s", ToString(shape).c_str(), TypeName(residual.type),
                        ToString(residual.shape).c_str());
    }
  }
  has_residual_ = inputs.size() == 5;
  empty_ = elements == 0;
  if (signs.only && has_signs && !has_residual_ && !is_dual()) to_bits_ = FoldIntoThresholds();
  to_levels_ = signs.only && signs.levels && signs.shift != nullptr && !has_residual_ &&
               has_levels() && HandsLevels() && FoldIntoLevels(*signs.shift);
  if (to_bits_) PlanBits();
  *output = std::move(shape);
  return true;
}

void BinaryOp::Eval(const Operands& operands) {
  if (empty_) return;
  if (reads() == Reads::kSigns) return Run(operands);
  const StrictFloats strict;
  Run(operands);
}

bool BinaryOp::CheckChannels(const TensorView& x, int rank, const char* layout,
                             Error* error) const {
  const int64_t last = x_is_float_ ? channels_ : WordsFor(channels_);
  if (x.rank() != rank || x.shape.back() != last) {
    return error->Set("x should be %s with a last dimension of %lld %s for channels=%d. Received: "
                      "%s of shape %s", layout, static_cast<long long>(last),
                      x_is_float_ ? "values" : "packed words", channels_, TypeName(x.type),
                      ToString(x.shape).c_str());
  }
  return true;
}

bool BinaryOp::CheckWeights(const Shape& shape, const std::vector<uint32_t>& weights, int rows,
                            int64_t bits, Error* error) {
  const int64_t words = WordsFor(bits);
  if (shape[0] != rows || shape[1] != words) {
    return error->Set("weights should have shape (%d, %lld), that is %lld bits per row. Received: "
                      "%s", rows, static_cast<long long>(words), static_cast<long long>(bits),
                      ToString(shape).c_str());
  }
  const uint32_t unused = ~LastWordMask(bits);
  for (int64_t r = 0; r < rows; ++r) {
    const uint32_t last = weights[(r + 1) * words - 1];
    if ((last & unused) != 0) {
      return error->Set("the unused bits of the last word of every row of the weights should be 0. "
                        "Received: 0x%08x in row %lld, of which %d bits are used", last,
                        static_cast<long long>(r), static_cast<int>((bits - 1) % kWordBits + 1));
    }
  }
  return true;
}

void BinaryOp::CopyRows(const Operands& operands, int64_t first, int64_t rows, int bits,
                        int64_t parts, uint32_t* out, int64_t out_stride) const {
  if (x_is_float_ && operands.x_stride == 0) {
    const float* x = static_cast<const float*>(operands.x) + first * bits;
    if (shifts_ == kUnshifted) {
      path_->pack(x, rows, bits, out, out_stride);
    } else {
      path_->dual.pack_shifted(x, rows, bits, shift_[0].data(), out, out_stride);
    }
    return;
  }
  const int64_t words = WordsFor(bits);
  const int64_t part_words = words / parts;  // several parts fill their words
  const int64_t stride = operands.x_stride == 0 ? part_words : operands.x_stride;
  const uint32_t* from = static_cast<const uint32_t*>(operands.x) + first * parts * stride;
  for (int64_t r = 0; r < rows; ++r, out += out_stride) {
    for (int64_t p = 0; p < parts; ++p, from += stride) {
      std::memcpy(out + p * part_words, from, part_words * sizeof(uint32_t));
    }
    // Bits come from outside: clear the unused ones, the kernels count on it.
    out[words - 1] &= LastWordMask(bits);
    std::memset(out + words, 0, (out_stride - words) * sizeof(uint32_t));
  }
}

}  // namespace bifsmn
