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

// Random nodes of each operator, with what the reference says they should give.

#ifndef BIFSMN_TESTS_EXAMPLE_NODES_H_
#define BIFSMN_TESTS_EXAMPLE_NODES_H_

#include <algorithm>
#include <string>
#include <vector>

#include "custom_ops/kernels/reference.h"
#include "custom_ops/tests/fake_interpreter.h"
#include "custom_ops/tests/test_data.h"

namespace bifsmn {

enum class Epilogue { kBits, kPlain, kSlope, kResidualFirst, kResidualLast };

constexpr Epilogue kEpilogues[] = {Epilogue::kBits, Epilogue::kPlain, Epilogue::kSlope,
                                   Epilogue::kResidualFirst, Epilogue::kResidualLast};

// A node in an interpreter of its own.
struct Example {
  FakeInterpreter interpreter;
  std::vector<int> inputs;
  int output = -1;
  int node = -1;
  bool packed = false;
  int channels = 0;
  std::vector<float> x_floats;
  std::vector<uint32_t> x_bits;
  std::vector<float> residual;
  int residual_input = -1;
  std::vector<int> output_shape;
  std::vector<uint8_t> expected;  // the bytes of the output

  // After Prepare: the interpreter gives the inputs their memory there.
  void Feed() {
    if (packed) {
      interpreter.SetData(inputs[0], x_bits.data(), x_bits.size() * 4);
    } else {
      interpreter.SetData(inputs[0], x_floats.data(), x_floats.size() * 4);
    }
    if (!residual.empty()) {
      interpreter.SetData(residual_input, residual.data(), residual.size() * 4);
    }
  }
};

// As a number of shifts: one of them, and a step.
constexpr int kFourLevels = 3;

namespace internal {

template <typename T>
std::vector<uint8_t> Bytes(const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const uint8_t*>(values.data());
  return std::vector<uint8_t>(begin, begin + values.size() * sizeof(T));
}

// What an operator reads x as.
struct Read {
  std::vector<uint32_t> first, second;
  std::vector<float> magnitudes;         // of what the first bits are off by
  std::vector<std::vector<float>> shifts;
  float step = 0.0f;  // of four levels
  std::vector<float> centre;  // or empty
};

// Random x of (rows, channels), packed or with `shifts` shifts; kFourLevels is one and a step.
inline Read FillX(Example* e, TestData* data, std::vector<int> shape, int channels, bool packed,
                  int shifts) {
  int64_t rows = 1;
  for (const int size : shape) rows *= size;
  e->packed = packed;
  e->channels = channels;
  Read read;
  if (packed) {
    read.first = e->x_bits = data->Bits(rows, channels);
    shape.push_back(static_cast<int>(WordsFor(channels)));
  } else {
    // A scale of infinity or NaN would say little.
    e->x_floats = shifts == 2 ? data->Floats(rows * channels) : data->Activations(rows * channels);
    std::vector<std::vector<float>> borders;
    for (int i = 0; i < std::min(shifts, 2); ++i) borders.push_back(data->Floats(channels));
    for (auto& border : borders) border[0] = 0.0f;
    read.shifts = borders;
    if (shifts == kFourLevels) {
      read.step = 0.25f * static_cast<float>(data->Int(1, 8));
      read.shifts.resize(1);
      borders.assign(3, read.shifts[0]);
      for (float& value : borders[0]) value -= read.step;
      for (float& value : borders[2]) value += read.step;
    }
    read.first.resize(rows * WordsFor(channels));
    read.second = read.first;
    if (shifts == 0) reference::Pack(e->x_floats.data(), rows, channels, read.first.data());
    for (int64_t i = 0; shifts > 0 && i < rows * channels; ++i) {
      const int64_t c = i % channels, word = i / channels * WordsFor(channels) + c / kWordBits;
      const int kind = data->Int(0, 9);
      if (kind < shifts) e->x_floats[i] = borders[kind][c];
      const reference::Split split =
          shifts == kFourLevels ? reference::LevelOf(e->x_floats[i], borders[0][c], borders[1][c],
                                                     borders[2][c])
                                : reference::SplitOf(e->x_floats[i], borders[0][c],
                                                     shifts == 2 ? borders[1][c] : 0.0f);
      read.first[word] |= uint32_t{split.first} << (c % kWordBits);
      read.second[word] |= uint32_t{split.second} << (c % kWordBits);
      read.magnitudes.push_back(split.magnitude);
    }
    if (shifts >= 2 && data->Int(0, 1) == 1) read.centre = data->Floats(channels);
    shape.push_back(channels);
  }
  e->inputs.push_back(e->interpreter.AddTensor(packed ? abi::kInt32 : abi::kFloat32, shape));
  return read;
}

// The sums of `dots(bits)` for one or both bits of x; `scale(i)` is that of sum i.
template <typename Dots, typename Scale>
std::vector<float> Sums(const Read& x, size_t count, const Dots& dots, const Scale& scale) {
  std::vector<int32_t> first(count), second(count);
  dots(x.first.data(), first.data());
  std::vector<float> sums(first.begin(), first.end());
  const bool levels = x.step > 0.0f;
  if (x.shifts.size() < 2 && !levels) return sums;
  dots(x.second.data(), second.data());
  for (size_t i = 0; i < count; ++i) {
    const float of_second = levels ? reference::kLevelScale : scale(i);
    sums[i] = reference::Combine(first[i], second[i], of_second);
  }
  return sums;
}

// What the centres of taps inside sum up to. A channel's share is half of what turning its signs
// changes in the sums of a constant x.
template <typename Dots>
std::vector<double> CentreSums(const Read& x, int64_t rows, int channels, size_t count,
                               const Dots& dots) {
  std::vector<double> sums(x.centre.empty() ? 0 : count, 0.0);
  if (x.centre.empty()) return sums;
  const int64_t words = WordsFor(channels);
  std::vector<uint32_t> bits(rows * words, ~uint32_t{0});
  std::vector<int32_t> all(count), others(count);
  dots(bits.data(), all.data());
  for (int c = 0; c < channels; ++c) {
    for (int64_t r = 0; r < rows; ++r) bits[r * words + c / 32] ^= uint32_t{1} << (c % 32);
    dots(bits.data(), others.data());
    for (int64_t r = 0; r < rows; ++r) bits[r * words + c / 32] ^= uint32_t{1} << (c % 32);
    for (size_t i = 0; i < count; ++i) sums[i] += (all[i] - others[i]) / 2 * double{x.centre[c]};
  }
  return sums;
}

// Adds the epilogue's inputs and the node, and computes the expected output.
inline void Finish(Example* e, TestData* data, const char* name, Epilogue epilogue,
                   std::vector<Attribute> attributes, std::vector<int> lead, int outputs,
                   int reduction, const Read& x, const std::vector<float>& dots,
                   const std::vector<double>& centres = {}) {
  std::vector<int> shape = lead;
  if (epilogue == Epilogue::kBits) {
    const auto thresholds = data->Thresholds(outputs, reduction);
    e->inputs.push_back(e->interpreter.AddConstant(abi::kInt16, {outputs}, thresholds));
    shape.push_back(static_cast<int>(WordsFor(outputs)));
    std::vector<uint32_t> words(dots.size() / outputs * WordsFor(outputs), 0);
    for (size_t i = 0; i < dots.size(); ++i) {
      const size_t n = i % outputs;
      if (reference::BitsEpilogue(static_cast<int32_t>(dots[i]), thresholds[n])) {
        words[i / outputs * WordsFor(outputs) + n / 32] |= uint32_t{1} << (n % 32);
      }
    }
    e->expected = Bytes(words);
  } else {
    const auto multiplier = data->Floats(outputs), bias = data->Floats(outputs);
    e->inputs.push_back(e->interpreter.AddConstant(abi::kFloat32, {outputs}, multiplier));
    e->inputs.push_back(e->interpreter.AddConstant(abi::kFloat32, {outputs}, bias));
    shape.push_back(outputs);
    const bool has_residual =
        epilogue == Epilogue::kResidualFirst || epilogue == Epilogue::kResidualLast;
    const bool first = epilogue == Epilogue::kResidualFirst;
    const float slope = epilogue == Epilogue::kPlain ? 1.0f : 0.1f;
    if (slope != 1.0f) attributes.emplace_back("slope", slope);
    if (first) attributes.emplace_back("residual_first", 1);
    if (has_residual) {
      e->residual_input = e->interpreter.AddTensor(abi::kFloat32, shape);
      e->inputs.push_back(e->residual_input);
      e->residual = data->Floats(dots.size());
    }
    std::vector<float> values(dots.size());
    for (size_t i = 0; i < dots.size(); ++i) {
      float own = bias[i % outputs];
      if (!centres.empty()) {
        own = static_cast<float>(double{own} + double{multiplier[i % outputs]} * centres[i]);
      }
      values[i] = reference::FloatEpilogue(dots[i], multiplier[i % outputs], own,
                                           has_residual ? &e->residual[i] : nullptr, slope, first);
    }
    e->expected = Bytes(values);
  }
  for (const auto& shift : x.shifts) {
    e->inputs.push_back(
        e->interpreter.AddConstant(abi::kFloat32, {static_cast<int>(shift.size())}, shift));
  }
  if (!x.shifts.empty()) attributes.emplace_back("shifts", static_cast<int>(x.shifts.size()));
  if (x.step > 0.0f) attributes.emplace_back("step", x.step);
  if (!centres.empty()) {
    e->inputs.push_back(e->interpreter.AddConstant(
        abi::kFloat32, {static_cast<int>(x.centre.size())}, x.centre));
    attributes.emplace_back("centre", 1);
  }
  e->output_shape = shape;
  e->output = e->interpreter.AddTensor(
      epilogue == Epilogue::kBits ? abi::kInt32 : abi::kFloat32, std::vector<int>(shape.size(), 1));
  e->node = e->interpreter.AddNode(name, Pack(attributes), e->inputs, {e->output});
}

}  // namespace internal

inline std::unique_ptr<Example> MakeDense(TestData* data, Epilogue epilogue, bool packed,
                                          int shifts) {
  auto e = std::make_unique<Example>();
  const int reduction = InterestingSizes()[data->Int(0, 60)];
  const int outputs = data->Int(1, 70);
  const std::vector<int> lead = {data->Int(1, 3), data->Int(1, 9)};
  const auto x = internal::FillX(e.get(), data, lead, reduction, packed, shifts);
  const auto w = data->Bits(outputs, reduction);
  e->inputs.push_back(e->interpreter.AddConstant(
      abi::kInt32, {outputs, static_cast<int>(WordsFor(reduction))}, w));
  const int rows = lead[0] * lead[1];
  const auto dots = internal::Sums(
      x, static_cast<size_t>(rows) * outputs,
      [&](const uint32_t* bits, int32_t* out) {
        reference::Dense(bits, rows, reduction, w.data(), outputs, out);
      },
      [&](size_t i) {
        return reference::DualScale(&x.magnitudes[i / outputs * reduction], reduction);
      });
  internal::Finish(e.get(), data, "BifsmnDense", epilogue, {{"channels", reduction}}, lead, outputs,
                   reduction, x, dots);
  return e;
}

inline std::unique_ptr<Example> MakeConv2D(TestData* data, Epilogue epilogue, bool packed,
                                           int shifts) {
  auto e = std::make_unique<Example>();
  reference::ConvShape s;
  s.batch = data->Int(1, 2), s.height = data->Int(3, 8), s.width = data->Int(3, 8);
  s.channels = data->Int(0, 2) == 0 ? 32 : data->Int(1, 70);
  s.kernel_h = data->Int(1, 3), s.kernel_w = data->Int(1, 3);
  s.stride_h = data->Int(1, 3), s.stride_w = data->Int(1, 3);
  s.pad_h = data->Int(0, 3), s.pad_w = data->Int(0, 3);
  const int outputs = data->Int(1, 40);
  const int reduction = s.kernel_h * s.kernel_w * s.channels;
  const auto x =
      internal::FillX(e.get(), data, {s.batch, s.height, s.width}, s.channels, packed, shifts);
  const auto w = data->Bits(outputs, reduction);
  e->inputs.push_back(e->interpreter.AddConstant(
      abi::kInt32, {outputs, static_cast<int>(WordsFor(reduction))}, w));
  const int64_t values = int64_t{s.height} * s.width * s.channels;
  const size_t clip = static_cast<size_t>(s.out_h()) * s.out_w() * outputs;
  const auto convolve = [&](const uint32_t* bits, int32_t* out) {
    reference::Conv2D(bits, s, w.data(), outputs, out);
  };
  const auto dots = internal::Sums(
      x, s.batch * clip, convolve,
      [&](size_t i) { return reference::DualScale(&x.magnitudes[i / clip * values], values); });
  internal::Finish(e.get(), data, "BifsmnConv2D", epilogue,
                   {{"channels", s.channels}, {"kernel_h", s.kernel_h}, {"kernel_w", s.kernel_w},
                    {"stride_h", s.stride_h}, {"stride_w", s.stride_w}, {"pad_h", s.pad_h},
                    {"pad_w", s.pad_w}},
                   {s.batch, s.out_h(), s.out_w()}, outputs, reduction, x, dots,
                   internal::CentreSums(x, int64_t{s.batch} * s.height * s.width, s.channels,
                                        s.batch * clip, convolve));
  return e;
}

inline std::unique_ptr<Example> MakeMemory(TestData* data, Epilogue epilogue, bool packed,
                                           int shifts) {
  auto e = std::make_unique<Example>();
  reference::MemoryShape s;
  s.batch = data->Int(1, 3), s.frames = data->Int(1, 12), s.channels = data->Int(1, 70);
  s.outputs = s.channels * data->Int(1, 3), s.taps = data->Int(1, 9);
  s.look_back = data->Int(0, s.taps - 1);
  s.stride_back = data->Int(1, 3), s.stride_ahead = data->Int(1, 3);
  const auto x = internal::FillX(e.get(), data, {s.batch, s.frames}, s.channels, packed, shifts);
  const auto w = data->Bits(s.taps, s.outputs);
  e->inputs.push_back(e->interpreter.AddConstant(
      abi::kInt32, {s.taps, static_cast<int>(WordsFor(s.outputs))}, w));
  const size_t clip = static_cast<size_t>(s.frames) * s.outputs;
  const auto filter = [&](const uint32_t* bits, int32_t* out) {
    reference::Memory(bits, s, w.data(), out);
  };
  const auto dots = internal::Sums(
      x, s.batch * clip, filter,
      [&](size_t i) {
        const size_t channel = i % s.outputs / (s.outputs / s.channels);
        float sum = 0.0f;
        for (int t = 0; t < s.frames; ++t) {
          sum += x.magnitudes[(i / clip * s.frames + t) * s.channels + channel];
        }
        return sum / static_cast<float>(s.frames);
      });
  internal::Finish(e.get(), data, "BifsmnMemory", epilogue,
                   {{"channels", s.channels}, {"look_back", s.look_back},
                    {"stride_back", s.stride_back}, {"stride_ahead", s.stride_ahead}},
                   {s.batch, s.frames}, s.outputs, s.taps, x, dots,
                   internal::CentreSums(x, int64_t{s.batch} * s.frames, s.channels,
                                        s.batch * clip, filter));
  return e;
}

using MakeExample = std::unique_ptr<Example> (*)(TestData*, Epilogue, bool packed, int shifts);
constexpr MakeExample kMakers[] = {MakeDense, MakeConv2D, MakeMemory};

// Whether there are nodes of these properties.
inline bool IsPossible(Epilogue epilogue, bool packed, int shifts) {
  return !(packed && shifts > 0) && !(epilogue == Epilogue::kBits && shifts >= 2);
}

}  // namespace bifsmn

#endif  // BIFSMN_TESTS_EXAMPLE_NODES_H_
