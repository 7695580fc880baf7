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

// The delegate, through the functions that an interpreter looks up.

#include <string>
#include <thread>
#include <vector>

#include "custom_ops/tests/example_nodes.h"
#include "custom_ops/tests/flush_subnormals.h"
#include "gtest/gtest.h"

extern "C" {
bifsmn::abi::Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count,
                                                     void (*report_error)(const char*));
void tflite_plugin_destroy_delegate(bifsmn::abi::Delegate* delegate);
}

namespace bifsmn {
namespace {

std::string* reported = new std::string;
void ReportTo(const char* text) { *reported = text; }

class DelegateTest : public testing::Test {
 protected:
  void SetUp() override {
    delegate_ = tflite_plugin_create_delegate(nullptr, nullptr, 0, ReportTo);
    ASSERT_NE(delegate_, nullptr);
  }
  void TearDown() override { tflite_plugin_destroy_delegate(delegate_); }

  abi::Delegate* delegate_ = nullptr;
};

TEST_F(DelegateTest, AllowsDynamicTensors) {
  EXPECT_EQ(delegate_->flags, abi::kDelegateAllowDynamicTensors);
  EXPECT_EQ(delegate_->opaque_delegate_builder, nullptr);
}

TEST(DelegateOptionsTest, RefusesUnknownOptions) {
  char key[] = "threads", value[] = "4";
  char *keys[] = {key}, *values[] = {value};
  EXPECT_EQ(tflite_plugin_create_delegate(keys, values, 1, ReportTo), nullptr);
  EXPECT_NE(reported->find("Received: \"threads\""), std::string::npos) << *reported;
  EXPECT_EQ(tflite_plugin_create_delegate(nullptr, nullptr, 1, nullptr), nullptr);
  tflite_plugin_destroy_delegate(nullptr);
}

TEST_F(DelegateTest, SingleNodesAgreeWithReference) {
  TestData data(1);
  for (const MakeExample make : kMakers) {
    for (const Epilogue epilogue : kEpilogues) {
      for (const int kind : {-1, 0, 1, 2, kFourLevels}) {  // packed, or so many shifts
        const bool packed = kind < 0;
        const int shifts = packed ? 0 : kind;
        if (!IsPossible(epilogue, packed, shifts)) continue;
        const auto e = make(&data, epilogue, packed, shifts);
        ASSERT_EQ(e->interpreter.Prepare(delegate_), abi::kOk) << e->interpreter.errors();
        ASSERT_EQ(e->interpreter.partitions(), 1);
        e->Feed();
        ASSERT_EQ(e->interpreter.Invoke(), abi::kOk) << e->interpreter.errors();
        ASSERT_EQ(e->interpreter.ShapeOf(e->output), e->output_shape);
        ASSERT_EQ(e->interpreter.Data<uint8_t>(e->output), e->expected);
      }
    }
  }
}

// x -> dense to bits -> memory -> dense with residual x, three times.
struct Stack {
  FakeInterpreter interpreter;
  int x = -1;
  std::vector<int> outputs;  // of every node

  Stack() {
    TestData data(2);
    int at = x = interpreter.AddTensor(abi::kFloat32, {1, 8, 40});
    for (int block = 0; block < 3; ++block) {
      const int w1 = interpreter.AddConstant(abi::kInt32, {70, 2}, data.Bits(70, 40));
      const int t1 = interpreter.AddConstant(abi::kInt16, {70}, data.Thresholds(70, 40));
      const int bits = interpreter.AddTensor(abi::kInt32, {1, 8, 3});
      interpreter.AddNode("BifsmnDense", Pack({{"channels", 40}}), {at, w1, t1}, {bits});
      const int wm = interpreter.AddConstant(abi::kInt32, {5, 3}, data.Bits(5, 70));
      const int sm = interpreter.AddConstant(abi::kFloat32, {70}, data.Floats(70));
      const int memory = interpreter.AddTensor(abi::kFloat32, {1, 8, 70});
      interpreter.AddNode("BifsmnMemory", Pack({{"channels", 70}, {"look_back", 2}}),
                          {bits, wm, sm, sm}, {memory});
      const int w2 = interpreter.AddConstant(abi::kInt32, {40, 3}, data.Bits(40, 70));
      const int s2 = interpreter.AddConstant(abi::kFloat32, {40}, data.Floats(40));
      const int next = interpreter.AddTensor(abi::kFloat32, {1, 8, 40});
      interpreter.AddNode("BifsmnDense", Pack({{"channels", 70}, {"slope", 0.1f}}),
                          {memory, w2, s2, s2, at}, {next});
      outputs.insert(outputs.end(), {bits, memory, next});
      at = next;
    }
  }

  void Feed(int batch, int frames) {
    TestData data(3);
    const auto values = data.Floats(batch * frames * 40);
    interpreter.SetData(x, values.data(), values.size() * 4);
  }
};

TEST_F(DelegateTest, AFusedStackAgreesWithItsNodesOneByOne) {
  for (const bool keep_all : {false, true}) {
    Stack fused, single;
    std::vector<int> keep = keep_all ? fused.outputs : std::vector<int>{fused.outputs[4]};
    ASSERT_EQ(fused.interpreter.Prepare(delegate_, keep), abi::kOk) << fused.interpreter.errors();
    ASSERT_EQ(single.interpreter.Prepare(), abi::kOk) << single.interpreter.errors();
    for (int round = 0; round < 2; ++round) {
      fused.Feed(1, 8), single.Feed(1, 8);
      ASSERT_EQ(fused.interpreter.Invoke(), abi::kOk) << fused.interpreter.errors();
      ASSERT_EQ(single.interpreter.Invoke(), abi::kOk);
      keep.push_back(fused.outputs.back());
      for (const int tensor : keep) {
        EXPECT_EQ(fused.interpreter.Data<uint8_t>(tensor),
                  single.interpreter.Data<uint8_t>(tensor)) << "tensor " << tensor;
      }
    }
  }
}

// Layers of two bits, whose x has to come as floats, between one that reads signs and one that
// shifts; the last step's residual is the first x.
struct DualStack {
  FakeInterpreter interpreter;
  int x = -1, out = -1;
  std::vector<int> inner;

  // `kind` is two shifts, or kFourLevels.
  explicit DualStack(int kind) {
    TestData data(12);
    const auto floats = [&](int count) {
      return interpreter.AddConstant(abi::kFloat32, {count}, data.Floats(count));
    };
    x = interpreter.AddTensor(abi::kFloat32, {1, 8, 64});
    int at = x;
    const auto add = [&](const char* name, const std::vector<int>& weights, int kind,
                         int residual, std::vector<Attribute> attributes) {
      const int shifts = kind == kFourLevels ? 1 : kind;
      std::vector<int> inputs = {
          at, interpreter.AddConstant(abi::kInt32, weights, data.Bits(weights[0], weights[1] * 32)),
          floats(64), floats(64)};
      if (residual >= 0) inputs.push_back(residual);
      for (int i = 0; i < shifts; ++i) inputs.push_back(floats(64));
      if (shifts > 0) attributes.emplace_back("shifts", shifts);
      if (kind == kFourLevels) attributes.emplace_back("step", 0.5f);
      attributes.emplace_back("channels", 64);
      at = interpreter.AddTensor(abi::kFloat32, {1, 8, 64});
      interpreter.AddNode(name, Pack(attributes), inputs, {at});
      inner.push_back(at);
    };
    add("BifsmnDense", {64, 2}, 0, -1, {});
    add("BifsmnDense", {64, 2}, kind, -1, {{"slope", 0.1f}});
    add("BifsmnMemory", {5, 2}, kind, x, {{"look_back", 2}});
    add("BifsmnMemory", {5, 2}, 1, -1, {{"look_back", 2}});
    add("BifsmnDense", {64, 2}, kind, inner[2], {{"residual_first", 1}});
    add("BifsmnDense", {64, 2}, 0, x, {});
    out = at;
  }

  void Feed() {
    TestData data(13);
    const auto values = data.Floats(8 * 64);
    interpreter.SetData(x, values.data(), values.size() * 4);
  }
};

TEST_F(DelegateTest, AFusedStackOfLayersOfTwoBitsAgreesWithItsNodesOneByOne) {
  for (const auto& [kind, keep_all] : std::vector<std::pair<int, bool>>{
           {2, false}, {2, true}, {kFourLevels, false}, {kFourLevels, true}}) {
    DualStack fused(kind), single(kind);
    std::vector<int> keep;
    if (keep_all) keep = fused.inner;
    ASSERT_EQ(fused.interpreter.Prepare(delegate_, keep), abi::kOk) << fused.interpreter.errors();
    ASSERT_EQ(fused.interpreter.partitions(), 1);
    ASSERT_EQ(single.interpreter.Prepare(), abi::kOk) << single.interpreter.errors();
    keep.push_back(fused.out);
    for (int round = 0; round < 2; ++round) {
      fused.Feed(), single.Feed();
      ASSERT_EQ(fused.interpreter.Invoke(), abi::kOk) << fused.interpreter.errors();
      ASSERT_EQ(single.interpreter.Invoke(), abi::kOk);
      for (const int tensor : keep) {
        EXPECT_EQ(fused.interpreter.Data<uint8_t>(tensor),
                  single.interpreter.Data<uint8_t>(tensor)) << "tensor " << tensor;
      }
    }
  }
}

// Dense layers of four levels behind one another, whose floats are never made; and some readers that
// need them: a residual, other levels, dual scale, signs, a memory.
struct LevelsStack {
  FakeInterpreter interpreter;
  TestData data;
  int x = -1;
  std::vector<int> made;

  explicit LevelsStack(int seed) : data(seed) {
    const int width = InterestingSizes()[data.Int(20, 60)];
    x = interpreter.AddTensor(abi::kFloat32, {2, 9, width});
    const int wide = Add("BifsmnDense", x, width, 200, Levels(width));
    const int inner = Add("BifsmnDense", wide, 200, width, Levels(200));
    const auto of_inner = Levels(width);
    const int left = Add("BifsmnDense", inner, width, 70, of_inner);
    const int right = Add("BifsmnDense", inner, width, 70, of_inner);  // the same levels
    Add("BifsmnDense", left, 70, 33, Levels(70));
    Add("BifsmnDense", left, 70, 33, Levels(70));  // others
    const int memory = Add("BifsmnMemory", right, 70, 70, Levels(70));
    const int last = Add("BifsmnDense", memory, 70, 70, Levels(70));
    Add("BifsmnDense", last, 70, 70, Levels(70), last);
    Add("BifsmnDense", memory, 70, 40, {{Floats(70), Floats(70)}});
    const int mixed = Add("BifsmnDense", memory, 70, 40, Levels(70));
    Add("BifsmnDense", mixed, 40, 8, Levels(40));
    Add("BifsmnDense", mixed, 40, 8, {});
  }

  struct Shifts {
    std::vector<int> tensors;
    float step = 0.0f;
  };

  Shifts Levels(int count) {
    std::vector<float> middle = data.Floats(count);
    middle[0] = 1e-42f;
    return {{interpreter.AddConstant(abi::kFloat32, {count}, middle)},
            0.25f * static_cast<float>(data.Int(1, 4))};
  }

  int Floats(int count) {
    return interpreter.AddConstant(abi::kFloat32, {count}, data.Floats(count));
  }

  int Add(const char* name, int from, int channels, int outputs, const Shifts& shifts,
          int residual = -1) {
    const bool memory = std::string(name) == "BifsmnMemory";
    const int rows = memory ? 5 : outputs, bits = memory ? outputs : channels;
    std::vector<int> inputs = {
        from,
        interpreter.AddConstant(abi::kInt32, {rows, static_cast<int>(WordsFor(bits))},
                                data.Bits(rows, bits)),
        Floats(outputs), Floats(outputs)};
    if (residual >= 0) inputs.push_back(residual);
    inputs.insert(inputs.end(), shifts.tensors.begin(), shifts.tensors.end());
    const float slopes[] = {1.0f, 0.25f, 2.0f, -0.1f, 0.0f};
    std::vector<Attribute> attributes = {{"slope", slopes[data.Int(0, 4)]},
                                         {"channels", channels}};
    const int count = static_cast<int>(shifts.tensors.size());
    if (count > 0) attributes.emplace_back("shifts", count);
    if (shifts.step > 0.0f) attributes.emplace_back("step", shifts.step);
    if (memory) attributes.emplace_back("look_back", 2);
    const int out = interpreter.AddTensor(abi::kFloat32, {2, 9, outputs});
    interpreter.AddNode(name, Pack(attributes), inputs, {out});
    made.push_back(out);
    return out;
  }

  void Feed() {
    const auto values = TestData(13).Floats(interpreter.Data<float>(x).size());
    interpreter.SetData(x, values.data(), values.size() * 4);
  }
};

TEST_F(DelegateTest, AFusedStackOfLayersOfFourLevelsAgreesWithItsNodesOneByOne) {
  for (int seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    LevelsStack fused(seed), single(seed);
    // What nobody outside asks for is kept as bits.
    std::vector<int> keep;
    for (const int step : {4, 5, 8, 9, 11, 12}) keep.push_back(fused.made[step]);
    if (seed % 4 == 0) keep = fused.made;
    ASSERT_EQ(fused.interpreter.Prepare(delegate_, keep), abi::kOk) << fused.interpreter.errors();
    ASSERT_EQ(fused.interpreter.partitions(), 1);
    ASSERT_EQ(single.interpreter.Prepare(), abi::kOk) << single.interpreter.errors();
    for (int round = 0; round < 2; ++round) {
      fused.Feed(), single.Feed();
      ASSERT_EQ(fused.interpreter.Invoke(), abi::kOk) << fused.interpreter.errors();
      ASSERT_EQ(single.interpreter.Invoke(), abi::kOk);
      for (const int tensor : keep) {
        ASSERT_EQ(fused.interpreter.Data<uint8_t>(tensor),
                  single.interpreter.Data<uint8_t>(tensor)) << "tensor " << tensor;
      }
    }
  }
}

// Layers that shift, as a BiFSMN with thresholds has them: behind a convolution whose rows a dense
// layer flattens, behind one another, beside residuals and a dual scale layer; two that share a
// shift, and two that disagree. With `tiny` most values between them are subnormal.
struct ShiftedStack {
  FakeInterpreter interpreter;
  TestData data;
  bool tiny;
  int x = -1, shift = -1;
  std::vector<int> made;  // of every node

  explicit ShiftedStack(int seed, bool tiny = false) : data(seed), tiny(tiny) {
    x = interpreter.AddTensor(abi::kFloat32, {2, 8, 6, 16});
    const int conv = Add("BifsmnConv2D", x, {32, 5}, {2, 8, 6, 32}, 16, 1, -1,
                         {{"kernel_h", 3}, {"kernel_w", 3}, {"pad_h", 1}, {"pad_w", 1}});
    const int fc = Add("BifsmnDense", conv, {64, 6}, {2, 8, 64}, 192, 1);
    const int memory =
        Add("BifsmnMemory", fc, {5, 2}, {2, 8, 64}, 64, 1, fc, {{"look_back", 2}});
    shift = Floats(64);
    const int inner = Add("BifsmnDense", memory, {96, 2}, {2, 8, 96}, 64, 1);
    const int other = Add("BifsmnDense", memory, {64, 2}, {2, 8, 64}, 64, 1);
    shift = -1;
    const int block = Add("BifsmnDense", inner, {64, 3}, {2, 8, 64}, 96, 1, memory);
    const int narrow = Add("BifsmnDense", block, {40, 2}, {2, 8, 40}, 64, 1);
    Add("BifsmnDense", narrow, {64, 2}, {2, 8, 64}, 40, 1, block);
    Add("BifsmnDense", block, {32, 2}, {2, 8, 32}, 64, 1);  // another shift than that of `narrow`
    Add("BifsmnDense", other, {32, 2}, {2, 8, 32}, 64, 1);
    Add("BifsmnDense", other, {32, 2}, {2, 8, 32}, 64, 2 + seed % 2);
    Add("BifsmnDense", fc, {32, 2}, {2, 8, 32}, 64, 0);
    // Not fused: what is compared differs between rows, in front of a dense layer.
    Add("BifsmnDense", inner, {33, 24}, {2, 33}, 8 * 96, 1);
  }

  int Floats(int count, float size = 1.0f) {
    std::vector<float> values = data.Floats(count);
    for (float& value : values) value *= size;
    return interpreter.AddConstant(abi::kFloat32, {count}, values);
  }

  int Add(const char* name, int from, const std::vector<int>& weights,
          const std::vector<int>& shape, int channels, int kind, int residual = -1,
          std::vector<Attribute> attributes = {}) {
    const int shifts = kind == kFourLevels ? 1 : kind;
    const int outputs = shape.back();
    int bits = channels;
    if (std::string(name) == "BifsmnMemory") bits = outputs;
    if (std::string(name) == "BifsmnConv2D") bits = 9 * channels;
    const float size = tiny ? 1e-39f : 1.0f;
    std::vector<int> inputs = {
        from, interpreter.AddConstant(abi::kInt32, weights, data.Bits(weights[0], bits)),
        Floats(outputs, size), Floats(outputs, size)};
    if (residual >= 0) inputs.push_back(residual);
    for (int i = 0; i < shifts; ++i) {
      inputs.push_back(shift >= 0 ? shift : Floats(channels, tiny ? 0.0f : 1.0f));
    }
    if (shifts > 0) attributes.emplace_back("shifts", shifts);
    if (kind == kFourLevels) attributes.emplace_back("step", 0.5f);
    const float slopes[] = {1.0f, 0.25f, 2.0f, -0.1f, 0.0f};
    attributes.emplace_back("slope", slopes[data.Int(0, 4)]);
    attributes.emplace_back("channels", channels);
    const int out = interpreter.AddTensor(abi::kFloat32, shape);
    interpreter.AddNode(name, Pack(attributes), inputs, {out});
    made.push_back(out);
    return out;
  }

  void Feed(int batch = 2) {
    const auto values = TestData(13).Floats(batch * 8 * 6 * 16);
    interpreter.SetData(x, values.data(), values.size() * 4);
  }
};

// Invokes both, and compares some tensors.
void ExpectEqual(ShiftedStack* fused, ShiftedStack* single, const std::vector<int>& tensors,
                 int batch = 2) {
  fused->Feed(batch), single->Feed(batch);
  ASSERT_EQ(fused->interpreter.Invoke(), abi::kOk) << fused->interpreter.errors();
  ASSERT_EQ(single->interpreter.Invoke(), abi::kOk);
  for (const int tensor : tensors) {
    ASSERT_EQ(fused->interpreter.Data<uint8_t>(tensor), single->interpreter.Data<uint8_t>(tensor))
        << "tensor " << tensor;
  }
}

TEST_F(DelegateTest, AFusedStackOfShiftedLayersAgreesWithItsNodesOneByOne) {
  for (int seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    ShiftedStack fused(seed), single(seed);
    // What nobody outside asks for is kept as bits; those are the last nodes, or all of them.
    std::vector<int> keep(fused.made.end() - 6, fused.made.end());
    if (seed % 4 == 0) keep = fused.made;
    ASSERT_EQ(fused.interpreter.Prepare(delegate_, keep), abi::kOk) << fused.interpreter.errors();
    ASSERT_EQ(fused.interpreter.partitions(), 1);
    ASSERT_EQ(single.interpreter.Prepare(), abi::kOk) << single.interpreter.errors();
    for (int round = 0; round < 2; ++round) ExpectEqual(&fused, &single, keep);
    for (const int batch : {1, 3}) {
      for (ShiftedStack* stack : {&fused, &single}) {
        stack->interpreter.Resize(stack->x, {batch, 8, 6, 16});
        ASSERT_EQ(stack->interpreter.Prepare(), abi::kOk) << stack->interpreter.errors();
      }
      ExpectEqual(&fused, &single, keep, batch);
    }
  }
}

TEST_F(DelegateTest, ShiftsDoNotDependOnWhatAThreadDoesToSubnormals) {
  for (int seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    ShiftedStack fused(seed, true), single(seed, true);
    const std::vector<int> keep(fused.made.end() - 6, fused.made.end());
    const FlushSubnormals flush;
    ASSERT_EQ(fused.interpreter.Prepare(delegate_, keep), abi::kOk) << fused.interpreter.errors();
    ASSERT_EQ(single.interpreter.Prepare(), abi::kOk) << single.interpreter.errors();
    ExpectEqual(&fused, &single, keep);
  }
}

// One output that no dot product sets, others with negative multipliers.
TEST_F(DelegateTest, AShiftBeyondTheRangeOfTheLargestReduction) {
  constexpr int kChannels = 32767, kOutputs = 32;
  const auto make = [](FakeInterpreter* interpreter) {
    TestData data(1);
    std::vector<float> shift(kOutputs, 0.0f);
    shift[5] = 1e4f;
    const auto reals = [&](int count, float value) {
      return interpreter->AddConstant(abi::kFloat32, {count}, std::vector<float>(count, value));
    };
    const int x = interpreter->AddTensor(abi::kFloat32, {2, kChannels});
    const int inner = interpreter->AddTensor(abi::kFloat32, {2, kOutputs});
    const int out = interpreter->AddTensor(abi::kFloat32, {2, 4});
    interpreter->AddNode(
        "BifsmnDense", Pack({{"channels", kChannels}}),
        {x, interpreter->AddConstant(abi::kInt32, {kOutputs, 1024}, data.Bits(kOutputs, kChannels)),
         reals(kOutputs, -0.01f), reals(kOutputs, 0.0f)}, {inner});
    interpreter->AddNode(
        "BifsmnDense", Pack({{"channels", kOutputs}, {"shifts", 1}}),
        {inner, interpreter->AddConstant(abi::kInt32, {4, 1}, data.Bits(4, kOutputs)),
         reals(4, 1.0f), reals(4, 0.0f),
         interpreter->AddConstant(abi::kFloat32, {kOutputs}, shift)}, {out});
    return std::make_pair(x, out);
  };
  FakeInterpreter fused, single;
  const auto tensors = make(&fused);
  make(&single);
  ASSERT_EQ(fused.Prepare(delegate_), abi::kOk) << fused.errors();
  ASSERT_EQ(single.Prepare(), abi::kOk) << single.errors();
  const auto values = TestData(2).Floats(2 * kChannels);
  for (FakeInterpreter* interpreter : {&fused, &single}) {
    interpreter->SetData(tensors.first, values.data(), values.size() * 4);
    ASSERT_EQ(interpreter->Invoke(), abi::kOk) << interpreter->errors();
  }
  EXPECT_EQ(fused.Data<float>(tensors.second), single.Data<float>(tensors.second));
}

TEST_F(DelegateTest, ReportsAShiftThatIsNotSound) {
  ShiftedStack stack(1);
  // The shift of the second node.
  const int shift = stack.made[1] - 1;
  stack.interpreter.tensor(shift).type = abi::kInt32;
  EXPECT_EQ(stack.interpreter.Prepare(delegate_), abi::kError);
  EXPECT_NE(stack.interpreter.errors().find("shift should be float32"), std::string::npos)
      << stack.interpreter.errors();
}

TEST_F(DelegateTest, InnerTensorsFollowAResize) {
  Stack fused;
  ASSERT_EQ(fused.interpreter.Prepare(delegate_), abi::kOk);
  for (const auto& size : {std::pair<int, int>{3, 8}, {1, 20}, {0, 8}, {1, 1}}) {
    Stack single;
    fused.interpreter.Resize(fused.x, {size.first, size.second, 40});
    single.interpreter.Resize(single.x, {size.first, size.second, 40});
    ASSERT_EQ(fused.interpreter.Prepare(), abi::kOk) << fused.interpreter.errors();
    ASSERT_EQ(single.interpreter.Prepare(), abi::kOk) << single.interpreter.errors();
    fused.Feed(size.first, size.second), single.Feed(size.first, size.second);
    ASSERT_EQ(fused.interpreter.Invoke(), abi::kOk) << fused.interpreter.errors();
    ASSERT_EQ(single.interpreter.Invoke(), abi::kOk);
    const int last = fused.outputs.back();
    EXPECT_EQ(fused.interpreter.ShapeOf(last),
              (std::vector<int>{size.first, size.second, 40}));
    EXPECT_EQ(fused.interpreter.Data<uint8_t>(last), single.interpreter.Data<uint8_t>(last));
  }
}

TEST_F(DelegateTest, LeavesOtherNodesAlone) {
  FakeInterpreter interpreter;
  interpreter.AddNode("Other", {}, {}, {});
  EXPECT_EQ(interpreter.Prepare(delegate_), abi::kError);
  EXPECT_EQ(interpreter.partitions(), 0);
  EXPECT_NE(interpreter.errors().find("unresolved custom op: Other"), std::string::npos);
}

TEST_F(DelegateTest, NamesAnOperatorOfANewerLibrary) {
  FakeInterpreter interpreter;
  interpreter.AddNode("BifsmnFuture", {}, {}, {});
  EXPECT_EQ(interpreter.Prepare(delegate_), abi::kError);
  EXPECT_NE(interpreter.errors().find("BifsmnFuture: unknown operator"), std::string::npos)
      << interpreter.errors();
}

TEST_F(DelegateTest, ReportsAMalformedNode) {
  Stack stack;
  stack.interpreter.tensor(stack.outputs[3]).type = abi::kFloat32;
  EXPECT_EQ(stack.interpreter.Prepare(delegate_), abi::kError);
  EXPECT_NE(stack.interpreter.errors().find("BifsmnDelegate: BifsmnDense: a node with int16"),
            std::string::npos) << stack.interpreter.errors();
}

TEST_F(DelegateTest, ReportsGarbageOptions) {
  FakeInterpreter interpreter;
  interpreter.AddNode("BifsmnDense", std::vector<uint8_t>(9, 0xEE), {0}, {0});
  EXPECT_EQ(interpreter.Prepare(delegate_), abi::kError);
  EXPECT_NE(interpreter.errors().find("custom options"), std::string::npos);
}

TEST_F(DelegateTest, RefusesANodeWithoutMemory) {
  Stack stack;
  ASSERT_EQ(stack.interpreter.Prepare(delegate_), abi::kOk);
  stack.interpreter.tensor(stack.x).data = nullptr;
  EXPECT_EQ(stack.interpreter.Invoke(), abi::kError);
  EXPECT_NE(stack.interpreter.errors().find("has no memory"), std::string::npos);
}

TEST_F(DelegateTest, ServesInterpretersInThreads) {
  std::vector<std::vector<uint8_t>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([this, &result] {
      Stack stack;
      for (int round = 0; round < 20; ++round) {
        if (stack.interpreter.Prepare(round == 0 ? delegate_ : nullptr) != abi::kOk) return;
        stack.Feed(1, 8);
        if (stack.interpreter.Invoke() != abi::kOk) return;
      }
      result = stack.interpreter.Data<uint8_t>(stack.outputs.back());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(results[0].empty());
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

}  // namespace
}  // namespace bifsmn
