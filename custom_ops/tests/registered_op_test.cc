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

// The registered operators: right answers for sound nodes, clear words for the others.

#include <cfloat>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "custom_ops/tests/example_nodes.h"
#include "custom_ops/tests/flush_subnormals.h"
#include "gtest/gtest.h"

namespace bifsmn {
namespace {

TEST(RegisteredOpTest, AgreesWithReferenceBitByBit) {
  TestData data(1);
  for (const MakeExample make : kMakers) {
    for (const Epilogue epilogue : kEpilogues) {
      for (int round = 0; round < 75; ++round) {
        const bool packed = round % 5 == 4;
        const int shifts = packed ? 0 : round % 5;
        if (!IsPossible(epilogue, packed, shifts)) continue;
        const auto e = make(&data, epilogue, packed, shifts);
        ASSERT_EQ(e->interpreter.Prepare(), abi::kOk) << e->interpreter.errors();
        e->Feed();
        ASSERT_EQ(e->interpreter.Invoke(), abi::kOk) << e->interpreter.errors();
        ASSERT_EQ(e->interpreter.ShapeOf(e->output), e->output_shape);
        ASSERT_EQ(e->interpreter.Data<uint8_t>(e->output), e->expected);
      }
    }
  }
}

TEST(RegisteredOpTest, FollowsAResize) {
  FakeInterpreter interpreter;
  TestData data(2);
  const auto w = data.Bits(33, 40);
  const auto thresholds = data.Thresholds(33, 40);
  const int x = interpreter.AddTensor(abi::kFloat32, {1, 40});
  const int weights = interpreter.AddConstant(abi::kInt32, {33, 2}, w);
  const int threshold = interpreter.AddConstant(abi::kInt16, {33}, thresholds);
  const int out = interpreter.AddTensor(abi::kInt32, {1, 2});
  interpreter.AddNode("BifsmnDense", Pack({{"channels", 40}}), {x, weights, threshold}, {out});
  std::vector<uint32_t> first;
  for (const int batch : {1, 200, 0, 3}) {
    interpreter.Resize(x, {batch, 40});
    ASSERT_EQ(interpreter.Prepare(), abi::kOk) << interpreter.errors();
    TestData same(3);
    const auto values = same.Floats(batch * 40);
    interpreter.SetData(x, values.data(), values.size() * 4);
    ASSERT_EQ(interpreter.Invoke(), abi::kOk) << interpreter.errors();
    EXPECT_EQ(interpreter.ShapeOf(out), (std::vector<int>{batch, 2}));
    const auto result = interpreter.Data<uint32_t>(out);
    if (first.empty()) first = result;
    for (int i = 0; i < 2 && batch > 0; ++i) EXPECT_EQ(result[i], first[i]) << batch;
  }
}

TEST(RegisteredOpTest, FlattensTrailingDimensions) {
  FakeInterpreter interpreter;
  TestData data(4);
  const auto w = data.Bits(5, 96), x_bits = data.Bits(2, 96);
  const auto thresholds = data.Thresholds(5, 96);
  const int x = interpreter.AddTensor(abi::kInt32, {2, 3, 1});
  const int out = interpreter.AddTensor(abi::kInt32, {1});
  interpreter.AddNode("BifsmnDense", Pack({{"channels", 96}}),
                      {x, interpreter.AddConstant(abi::kInt32, {5, 3}, w),
                       interpreter.AddConstant(abi::kInt16, {5}, thresholds)},
                      {out});
  ASSERT_EQ(interpreter.Prepare(), abi::kOk) << interpreter.errors();
  interpreter.SetData(x, x_bits.data(), x_bits.size() * 4);
  ASSERT_EQ(interpreter.Invoke(), abi::kOk);
  EXPECT_EQ(interpreter.ShapeOf(out), (std::vector<int>{2, 1}));
  std::vector<int32_t> dots(10);
  reference::Dense(x_bits.data(), 2, 96, w.data(), 5, dots.data());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(BitAt(interpreter.Data<uint32_t>(out).data() + i / 5, i % 5),
              dots[i] >= thresholds[i % 5]);
  }
}

TEST(RegisteredOpTest, IgnoresUnusedBitsOfPackedInput) {
  TestData data(5);
  for (const MakeExample make : kMakers) {
    for (int round = 0; round < 20; ++round) {
      const auto e = make(&data, Epilogue::kPlain, true, 0);
      ASSERT_EQ(e->interpreter.Prepare(), abi::kOk);
      const int64_t words = WordsFor(e->channels);
      for (size_t last = words - 1; last < e->x_bits.size(); last += words) {
        e->x_bits[last] |= ~LastWordMask(e->channels);
      }
      e->Feed();
      ASSERT_EQ(e->interpreter.Invoke(), abi::kOk);
      ASSERT_EQ(e->interpreter.Data<uint8_t>(e->output), e->expected) << e->channels;
    }
  }
}

// Only the host's way with subnormal numbers differs; it stays as it was.
TEST(RegisteredOpTest, ShiftsDoNotDependOnTheHostsSubnormals) {
  if (!FlushSubnormals::IsKnown()) GTEST_SKIP() << "no such register";
  for (const int kind : {1, 2, kFourLevels}) {
    const int shifts = kind == kFourLevels ? 1 : kind;
    FakeInterpreter interpreter;
    const std::vector<float> ones(1, 1.0f), shift = {0.0f, 1e-45f, 0.0f, -1e-45f};
    const int x = interpreter.AddTensor(abi::kFloat32, {1, 4});
    std::vector<int> inputs = {x, interpreter.AddConstant(abi::kInt32, {1, 1},
                                                          std::vector<uint32_t>{5}),
                               interpreter.AddConstant(abi::kFloat32, {1}, ones),
                               interpreter.AddConstant(abi::kFloat32, {1}, ones)};
    for (int i = 0; i < shifts; ++i) {
      inputs.push_back(interpreter.AddConstant(abi::kFloat32, {4}, shift));
    }
    const int out = interpreter.AddTensor(abi::kFloat32, {1, 1});
    std::vector<Attribute> attributes = {{"channels", 4}, {"shifts", shifts}};
    if (kind == kFourLevels) attributes.emplace_back("step", 1.0f);
    interpreter.AddNode("BifsmnDense", Pack(attributes), inputs, {out});
    ASSERT_EQ(interpreter.Prepare(), abi::kOk) << interpreter.errors();
    // Subnormal shifts count as zeros: signs -, +, -, + against +, -, +, -.
    const std::vector<float> values = {-1e-45f, 0.0f, -1e-45f, 1e-45f};
    interpreter.SetData(x, values.data(), 16);
    for (const bool flushing : {false, true}) {
      abi::Status status = abi::kError;
      {
        const FlushSubnormals mode(flushing);
        status = interpreter.Invoke();
        EXPECT_EQ(FlushSubnormals::IsOn(), flushing);
      }
      ASSERT_EQ(status, abi::kOk);
      // The second signs are the opposite ones, of scale 1 or 1/2.
      const float expected[] = {-3.0f, 1.0f, -1.0f};
      EXPECT_EQ(interpreter.Data<float>(out)[0], expected[kind - 1]);
    }
  }
}

// Of four levels a border may be subnormal though neither shift nor step is.
TEST(RegisteredOpTest, ASubnormalBorderCountsAsZero) {
  if (!FlushSubnormals::IsKnown()) GTEST_SKIP() << "no such register";
  for (const float sign : {1.0f, -1.0f}) {
    FakeInterpreter interpreter;
    const std::vector<float> one(1, 1.0f), zero(1, 0.0f), shift(1, sign * 1.5f * FLT_MIN);
    const int x = interpreter.AddTensor(abi::kFloat32, {4, 1});
    const int weights = interpreter.AddConstant(abi::kInt32, {1, 1}, std::vector<uint32_t>{1});
    const std::vector<int> inputs = {x, weights, interpreter.AddConstant(abi::kFloat32, {1}, one),
                                     interpreter.AddConstant(abi::kFloat32, {1}, zero),
                                     interpreter.AddConstant(abi::kFloat32, {1}, shift)};
    const int out = interpreter.AddTensor(abi::kFloat32, {4, 1});
    interpreter.AddNode("BifsmnDense", Pack({{"channels", 1}, {"shifts", 1}, {"step", FLT_MIN}}),
                        inputs, {out});
    // The border next to zero is 0 in the place of half of FLT_MIN, of either sign.
    const std::vector<float> values = {0.0f, 0.25f * FLT_MIN, -0.25f * FLT_MIN, -0.75f * FLT_MIN};
    const std::vector<float> expected = sign > 0.0f ? std::vector<float>{-0.5f, -0.5f, -1.5f, -1.5f}
                                                    : std::vector<float>{1.5f, 1.5f, 0.5f, 0.5f};
    for (const bool flushing : {false, true}) {
      const FlushSubnormals mode(flushing);
      ASSERT_EQ(interpreter.Prepare(), abi::kOk) << interpreter.errors();
      interpreter.SetData(x, values.data(), 16);
      ASSERT_EQ(interpreter.Invoke(), abi::kOk);
      EXPECT_EQ(interpreter.Data<float>(out), expected) << flushing;
    }
  }
}

// A small sound node and one thing wrong with it.
struct Malformed {
  const char* op;
  const char* expected;  // part of the message
  std::function<void(FakeInterpreter*)> spoil;
};

// Tensors: 0 x, 1 weights, 2 multiplier or threshold, 3 bias, 4 residual, and the output last.
std::unique_ptr<FakeInterpreter> Sound(const std::string& op, bool bits,
                                       std::vector<Attribute> attributes = {}) {
  auto interpreter = std::make_unique<FakeInterpreter>();
  TestData data(6);
  std::vector<int> x_shape = {2, 3, 40}, out_shape = {2, 3, 40};
  int rows = 40, row_bits = 40;
  if (op == "BifsmnConv2D") {
    x_shape = {2, 4, 4, 40}, out_shape = {2, 2, 2, 40}, row_bits = 360;
  } else if (op == "BifsmnMemory") {
    rows = 5;
  }
  if (attributes.empty()) {
    attributes = {{"channels", 40}};
    if (op == "BifsmnConv2D") {
      attributes.emplace_back("kernel_h", 3);
      attributes.emplace_back("kernel_w", 3);
    } else if (op == "BifsmnMemory") {
      attributes.emplace_back("look_back", 2);
    }
  }
  std::vector<int> inputs = {
      interpreter->AddTensor(abi::kFloat32, x_shape),
      interpreter->AddConstant(abi::kInt32, {rows, static_cast<int>(WordsFor(row_bits))},
                               data.Bits(rows, row_bits))};
  if (bits) {
    inputs.push_back(interpreter->AddConstant(abi::kInt16, {40}, data.Thresholds(40, row_bits)));
    out_shape.back() = 2;
  } else {
    inputs.push_back(interpreter->AddConstant(abi::kFloat32, {40}, data.Floats(40)));
    inputs.push_back(interpreter->AddConstant(abi::kFloat32, {40}, data.Floats(40)));
    inputs.push_back(interpreter->AddTensor(abi::kFloat32, out_shape));
  }
  const int out = interpreter->AddTensor(bits ? abi::kInt32 : abi::kFloat32, out_shape);
  interpreter->AddNode(op.c_str(), Pack(attributes), inputs, {out});
  return interpreter;
}

TEST(MalformedNodeTest, TheSoundNodesAreSound) {
  for (const char* op : {"BifsmnDense", "BifsmnConv2D", "BifsmnMemory"}) {
    for (const bool bits : {false, true}) {
      const auto interpreter = Sound(op, bits);
      EXPECT_EQ(interpreter->Prepare(), abi::kOk) << interpreter->errors();
    }
  }
}

void ExpectError(FakeInterpreter* interpreter, const std::string& part) {
  EXPECT_EQ(interpreter->Prepare(), abi::kError) << "expected: " << part;
  EXPECT_NE(interpreter->errors().find(part), std::string::npos)
      << "expected: " << part << "\nreceived: " << interpreter->errors();
}

TEST(MalformedNodeTest, TensorsOfEveryOperator) {
  const std::vector<std::pair<const char*, std::function<void(FakeInterpreter*)>>> faults = {
      {"x should be float32", [](FakeInterpreter* f) { f->tensor(0).type = abi::kInt8; }},
      {"x should", [](FakeInterpreter* f) { f->Resize(0, {40}); }},
      {"x should", [](FakeInterpreter* f) { f->Resize(0, {}); }},
      {"x should", [](FakeInterpreter* f) { f->Resize(0, {2, 3, 41}); }},
      {"x should", [](FakeInterpreter* f) { f->tensor(0).type = abi::kInt32; }},
      {"Received: (-1, 40)", [](FakeInterpreter* f) { f->Resize(0, {-1, 40}); }},
      {"2^31 - 1",
       [](FakeInterpreter* f) { f->Resize(0, {1 << 30, 1 << 30, 1 << 30, 1 << 30, 40}); }},
      {"at most 8 dimensions", [](FakeInterpreter* f) { f->Resize(0, std::vector<int>(9, 1)); }},
      {"shape of at most",
       [](FakeInterpreter* f) {
         std::free(f->tensor(0).dims);
         f->tensor(0).dims = nullptr;
       }},
      {"weights should be int32", [](FakeInterpreter* f) { f->tensor(1).type = abi::kFloat32; }},
      {"weights should have 2", [](FakeInterpreter* f) { f->Resize(1, {40}); }},
      {"weights should", [](FakeInterpreter* f) { f->Resize(1, {2, 1}); }},
      {"should hold", [](FakeInterpreter* f) { f->tensor(1).bytes -= 1; }},
      {"should hold", [](FakeInterpreter* f) { f->tensor(1).data = nullptr; }},
      {"weights should be a constant",
       [](FakeInterpreter* f) { f->tensor(1).allocation_type = abi::kArenaRw; }},
      {"unused bits of the last word",
       [](FakeInterpreter* f) {
         auto* words = static_cast<uint32_t*>(f->tensor(1).data);
         words[f->tensor(1).bytes / 4 - 1] |= 1u << 31;
       }},
      {"multiplier", [](FakeInterpreter* f) { f->tensor(2).type = abi::kInt64; }},
      {"multiplier", [](FakeInterpreter* f) { f->Resize(2, {40, 1}); }},
      {"be a constant", [](FakeInterpreter* f) { f->tensor(2).allocation_type = abi::kArenaRw; }},
      {"bias should be float32", [](FakeInterpreter* f) { f->tensor(3).type = abi::kInt32; }},
      {"bias should have the multiplier's shape",
       [](FakeInterpreter* f) { f->Resize(3, {39}); }},
      {"bias should be a constant",
       [](FakeInterpreter* f) { f->tensor(3).allocation_type = abi::kDynamic; }},
      {"residual should be float32",
       [](FakeInterpreter* f) { f->tensor(4).type = abi::kInt32; }},
      {"residual should be float32 of the output's shape",
       [](FakeInterpreter* f) { f->Resize(4, {1, 40}); }},
      {"float32 output. Received: int32",
       [](FakeInterpreter* f) { f->tensor(5).type = abi::kInt32; }},
      {"output channels", [](FakeInterpreter* f) { f->Resize(2, {0}), f->Resize(3, {0}); }},
      {"tensor index -1", [](FakeInterpreter* f) { f->node(0).inputs->data[0] = -1; }},
      {"tensor index 99", [](FakeInterpreter* f) { f->node(0).outputs->data[0] = 99; }},
      {"3, 4 or 5 inputs", [](FakeInterpreter* f) { f->node(0).inputs->size = 2; }},
      {"3, 4 or 5 inputs", [](FakeInterpreter* f) { f->node(0).inputs->size = 0; }},
      {"4 or 5 inputs", [](FakeInterpreter* f) { f->node(0).inputs->size = 3; }},
      {"one output", [](FakeInterpreter* f) { f->node(0).outputs->size = 0; }},
      {"inputs",
       [](FakeInterpreter* f) {
         std::free(f->node(0).inputs);
         f->node(0).inputs = nullptr;
       }},
      {"tensor index", [](FakeInterpreter* f) { f->context()->tensors = nullptr; }},
  };
  for (const char* op : {"BifsmnDense", "BifsmnConv2D", "BifsmnMemory"}) {
    for (const auto& fault : faults) {
      const auto interpreter = Sound(op, false);
      fault.second(interpreter.get());
      ExpectError(interpreter.get(), fault.first);
    }
  }
}

TEST(MalformedNodeTest, BitsEpilogue) {
  for (const char* op : {"BifsmnDense", "BifsmnConv2D", "BifsmnMemory"}) {
    auto interpreter = Sound(op, true);
    interpreter->tensor(3).type = abi::kFloat32;
    ExpectError(interpreter.get(), "int32 output of packed bits. Received: float32");
    interpreter = Sound(op, true);
    interpreter->tensor(2).allocation_type = abi::kArenaRw;
    ExpectError(interpreter.get(), "threshold should be a constant");
  }
  FakeInterpreter f;
  const int x = f.AddTensor(abi::kFloat32, {1, 8});
  const int w = f.AddConstant(abi::kInt32, {1, 1}, std::vector<uint32_t>{1});
  const int t = f.AddConstant(abi::kInt16, {1}, std::vector<int16_t>{0});
  const int out = f.AddTensor(abi::kInt32, {1, 1});
  f.AddNode("BifsmnDense", Pack({{"channels", 8}}), {x, w, t, x}, {out});
  ExpectError(&f, "3 inputs (x, weights, threshold). Received: 4 inputs");
}

TEST(MalformedNodeTest, Attributes) {
  const auto check = [](const char* op, std::vector<Attribute> attributes, const char* part) {
    const auto interpreter = Sound(op, false, std::move(attributes));
    ExpectError(interpreter.get(), part);
  };
  check("BifsmnDense", {{"slope", 0.1f}}, "\"channels\" is required");
  check("BifsmnDense", {{"channels", 0}}, "\"channels\" should be from 1 to 32767. Received: 0");
  check("BifsmnDense", {{"channels", 32768}}, "Received: 32768");
  check("BifsmnDense", {{"channels", -1}}, "Received: -1");
  check("BifsmnDense", {{"channels", 40.0f}}, "should be an integer. Received: a float");
  check("BifsmnDense", {{"channels", 40}, {"slope", 1}}, "should be a float");
  check("BifsmnDense", {{"channels", 40}, {"slope", NAN}}, "finite");
  check("BifsmnDense", {{"channels", 40}, {"slope", INFINITY}}, "finite");
  check("BifsmnDense", {{"channels", 40}, {"residual_first", 2}}, "from 0 to 1");
  check("BifsmnDense", {{"channels", 40}, {"kernel_h", 1}}, "\"kernel_h\" is unknown");
  check("BifsmnDense", {{"channels", 40}, {"second_scale", 1}}, "newer version");
  check("BifsmnDense", {{"channels", 39}}, "x should");
  check("BifsmnConv2D", {{"channels", 40}, {"kernel_w", 3}}, "\"kernel_h\" is required");
  check("BifsmnConv2D", {{"channels", 40}, {"kernel_h", 3}, {"kernel_w", 0}}, "from 1");
  check("BifsmnConv2D", {{"channels", 40}, {"kernel_h", 181}, {"kernel_w", 182}}, "at most 32767");
  check("BifsmnConv2D", {{"channels", 40}, {"kernel_h", 32767}, {"kernel_w", 32767}},
        "at most 32767");
  check("BifsmnConv2D", {{"channels", 40}, {"kernel_h", 5}, {"kernel_w", 5}}, "hold the 5x5 kernel");
  check("BifsmnConv2D", {{"channels", 40}, {"kernel_h", 3}, {"kernel_w", 3}, {"stride_w", 0}},
        "\"stride_w\" should be from 1");
  check("BifsmnConv2D", {{"channels", 40}, {"kernel_h", 3}, {"kernel_w", 3}, {"pad_h", -1}},
        "\"pad_h\" should be from 0");
  check("BifsmnConv2D", {{"channels", 40}, {"kernel_h", 3}, {"kernel_w", 3}, {"pad_h", 32767},
                         {"pad_w", 32767}},
        "2^31 - 1");
  check("BifsmnMemory", {{"channels", 40}, {"look_back", 5}}, "more taps than look_back=5");
  check("BifsmnMemory", {{"channels", 40}, {"stride_back", 0}}, "from 1");
  check("BifsmnMemory", {{"channels", 40}, {"look_back", -1}}, "from 0");

  auto interpreter = Sound("BifsmnDense", true, {{"channels", 40}, {"slope", 0.5f}});
  ExpectError(interpreter.get(), "neither \"slope\" nor \"residual_first\"");
  interpreter = Sound("BifsmnDense", false, {{"channels", 40}, {"residual_first", 1}});
  interpreter->node(0).inputs->size = 4;
  ExpectError(interpreter.get(), "\"residual_first\" should only be set with a residual");
}

TEST(MalformedNodeTest, Shifts) {
  const std::vector<std::pair<const char*, std::function<void(FakeInterpreter*)>>> faults = {
      {"x should be float32 with shifts=2. Received: int32",
       [](FakeInterpreter* f) { f->tensor(0).type = abi::kInt32; }},
      {"5, 6 or 7 inputs. Received: 4", [](FakeInterpreter* f) { f->node(0).inputs->size = 4; }},
      {"shift should be float32", [](FakeInterpreter* f) { f->tensor(5).type = abi::kInt32; }},
      {"shift should have 1 dimension", [](FakeInterpreter* f) { f->Resize(6, {40, 1}); }},
      {"one entry per input channel. Received: (39)",
       [](FakeInterpreter* f) { f->Resize(5, {39}); }},
      {"shift should be a constant",
       [](FakeInterpreter* f) { f->tensor(6).allocation_type = abi::kArenaRw; }},
      {"shift should be finite. Received: inf for channel 3",
       [](FakeInterpreter* f) { static_cast<float*>(f->tensor(6).data)[3] = INFINITY; }},
  };
  const auto sound = [] {
    auto f = std::make_unique<FakeInterpreter>();
    TestData data(9);
    const auto floats = [&] { return f->AddConstant(abi::kFloat32, {40}, data.Floats(40)); };
    const int x = f->AddTensor(abi::kFloat32, {3, 40});
    const int w = f->AddConstant(abi::kInt32, {40, 2}, data.Bits(40, 40));
    const int multiplier = floats(), bias = floats();
    const int residual = f->AddTensor(abi::kFloat32, {3, 40});
    const int shift0 = floats(), shift1 = floats();
    const int out = f->AddTensor(abi::kFloat32, {3, 40});
    f->AddNode("BifsmnDense", Pack({{"channels", 40}, {"shifts", 2}}),
               {x, w, multiplier, bias, residual, shift0, shift1}, {out});
    return f;
  };
  EXPECT_EQ(sound()->Prepare(), abi::kOk);
  for (const auto& fault : faults) {
    const auto f = sound();
    fault.second(f.get());
    ExpectError(f.get(), fault.first);
  }
  const auto refused = [](const char* op, const std::vector<Attribute>& others,
                          const char* message) {
    std::vector<Attribute> attributes = {{"channels", 40}};
    attributes.insert(attributes.end(), others.begin(), others.end());
    ExpectError(Sound(op, false, attributes).get(), message);
  };
  refused("BifsmnDense", {{"shifts", 3}}, "\"shifts\" should be from 0 to 2");
  const char* too_few = "4 or 5 inputs (x, weights, multiplier, bias[, residual]). Received: 3";
  refused("BifsmnDense", {{"shifts", 2}}, too_few);
  refused("BifsmnDense", {{"step", 1.0f}},
          "\"step\" should only be set with one shift. Received: shifts=0");
  refused("BifsmnDense", {{"shifts", 2}, {"step", 1.0f}},
          "\"step\" should only be set with one shift. Received: shifts=2");
  for (const float step : {0.0f, -1.0f, 1e-40f}) {
    refused("BifsmnDense", {{"shifts", 1}, {"step", step}},
            "\"step\" should be positive and not subnormal. Received: ");
  }
  refused("BifsmnDense", {{"shifts", 1}, {"step", INFINITY}},
          "\"step\" should be a finite float32");
  refused("BifsmnDense", {{"shifts", 1}, {"step", 1}}, "\"step\" should be a float");
  for (const int shifts : {0, 1}) {
    refused("BifsmnDense", {{"shifts", shifts}, {"centre", 1}},
            "\"centre\" should only be set with two shifts or a step. Received: shifts=");
  }
  const std::vector<Attribute> centred = {{"shifts", 1}, {"step", 1.0f}, {"centre", 1}};
  refused("BifsmnDense", centred, "\"centre\" is for operators with padding");
  refused("BifsmnMemory", centred, too_few);

  for (const int kind : {2, kFourLevels}) {
    const int shifts = kind == kFourLevels ? 1 : kind;
    FakeInterpreter f;
    const std::vector<float> shift(8, 0.0f);
    std::vector<int> inputs = {f.AddTensor(abi::kFloat32, {1, 8}),
                               f.AddConstant(abi::kInt32, {1, 1}, std::vector<uint32_t>{1}),
                               f.AddConstant(abi::kInt16, {1}, std::vector<int16_t>{0})};
    for (int i = 0; i < shifts; ++i) inputs.push_back(f.AddConstant(abi::kFloat32, {8}, shift));
    const int out = f.AddTensor(abi::kInt32, {1, 1});
    std::vector<Attribute> attributes = {{"channels", 8}, {"shifts", shifts}};
    if (kind == kFourLevels) attributes.emplace_back("step", 1.0f);
    f.AddNode("BifsmnDense", Pack(attributes), inputs, {out});
    ExpectError(&f, "should have a float32 multiplier and bias. Received: int16");
  }
}

TEST(MalformedNodeTest, GarbageOptions) {
  FakeInterpreter f;
  f.AddNode("BifsmnDense", std::vector<uint8_t>(40, 0xFF), {}, {});
  ExpectError(&f, "not a valid FlexBuffer");
}

TEST(MalformedNodeTest, MemoryDepthMultiplier) {
  FakeInterpreter f;
  TestData data(8);
  const int x = f.AddTensor(abi::kFloat32, {1, 4, 40});
  const int w = f.AddConstant(abi::kInt32, {3, 2}, data.Bits(3, 41));
  const int t = f.AddConstant(abi::kInt16, {41}, data.Thresholds(41, 3));
  const int out = f.AddTensor(abi::kInt32, {1, 4, 2});
  f.AddNode("BifsmnMemory", Pack({{"channels", 40}}), {x, w, t}, {out});
  ExpectError(&f, "multiple of channels=40. Received: 41");
}

TEST(MalformedNodeTest, InvokeWithoutMemory) {
  const auto interpreter = Sound("BifsmnDense", true);
  ASSERT_EQ(interpreter->Prepare(), abi::kOk);
  interpreter->tensor(0).data = nullptr;
  EXPECT_EQ(interpreter->Invoke(), abi::kError);
  EXPECT_NE(interpreter->errors().find("has no memory"), std::string::npos);
}

}  // namespace
}  // namespace bifsmn
