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

// Time of the kernels at the sizes of the networks: 8 frames, 128 and 256 channels; the second
// convolution has 64 positions of 400 bits.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "custom_ops/kernels/aligned_buffer.h"
#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/path.h"

namespace bifsmn {
namespace {

std::vector<uint32_t> RandomBits(int64_t rows, int64_t bits) {
  std::mt19937 random(1);
  std::vector<uint32_t> words(rows * WordsFor(bits));
  for (uint32_t& word : words) word = random();
  for (int64_t r = 1; r <= rows; ++r) words[r * WordsFor(bits) - 1] &= LastWordMask(bits);
  return words;
}

AlignedBuffer<uint32_t> RandomRows(int64_t rows, int64_t bits) {
  const auto words = RandomBits(rows, bits);
  AlignedBuffer<uint32_t> out;
  out.Assign(rows * PaddedWords(bits));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t w = 0; w < WordsFor(bits); ++w) {
      out[r * PaddedWords(bits) + w] = words[r * WordsFor(bits) + w];
    }
  }
  return out;
}

struct End {
  explicit End(int64_t outputs) {
    multiplier.Assign(outputs + kEndBlock);
    bias.Assign(outputs + kEndBlock);
    limit.Assign(outputs + kEndBlock);
    for (int64_t n = 0; n < outputs; ++n) multiplier[n] = 0.5f, bias[n] = 0.25f, limit[n] = 60;
    end = {multiplier.data(), bias.data(), 0.1f, false};
  }
  AlignedBuffer<float> multiplier, bias;
  AlignedBuffer<int16_t> limit;
  FloatEnd end;
};

void CountBinaryMacs(benchmark::State& state, double macs) {
  state.counters["binary_macs"] =
      benchmark::Counter(macs, benchmark::Counter::kIsIterationInvariantRate);
}

void DenseToBits(benchmark::State& state, const KernelPath& path) {
  const int64_t rows = state.range(0);
  const int reduction = static_cast<int>(state.range(1));
  const int outputs = static_cast<int>(state.range(2));
  const auto a = RandomRows(rows, reduction);
  DenseWeights weights;
  path.dense_prepare(RandomBits(outputs, reduction).data(), outputs, reduction, &weights);
  const End end(outputs);
  std::vector<uint32_t> out(rows * PaddedWords(outputs));
  for (auto _ : state) {
    path.dense_to_bits(a.data(), rows, weights, {end.limit.data()}, out.data(),
                       PaddedWords(outputs));
    benchmark::ClobberMemory();
  }
  CountBinaryMacs(state, 1.0 * rows * reduction * outputs);
}

void DenseToFloat(benchmark::State& state, const KernelPath& path) {
  const int64_t rows = state.range(0);
  const int reduction = static_cast<int>(state.range(1));
  const int outputs = static_cast<int>(state.range(2));
  const auto a = RandomRows(rows, reduction);
  DenseWeights weights;
  path.dense_prepare(RandomBits(outputs, reduction).data(), outputs, reduction, &weights);
  const End end(outputs);
  std::vector<float> out(rows * outputs), residual(rows * outputs, 1.0f);
  std::vector<uint32_t> signs(rows * PaddedWords(outputs));
  for (auto _ : state) {
    path.dense_to_float(a.data(), rows, weights, end.end, residual.data(), out.data(),
                        signs.data(), PaddedWords(outputs));
    benchmark::ClobberMemory();
  }
  CountBinaryMacs(state, 1.0 * rows * reduction * outputs);
}

void MemoryToFloat(benchmark::State& state, const KernelPath& path) {
  const int64_t frames = state.range(0);
  const int channels = static_cast<int>(state.range(1));
  const auto x = RandomRows(frames, channels);
  MemoryWeights weights;
  weights.Assign(RandomBits(5, channels).data(), 5, channels, 2, 1, 1);
  const End end(channels);
  std::vector<float> out(frames * channels), residual(frames * channels, 1.0f);
  std::vector<uint32_t> signs(frames * PaddedWords(channels));
  for (auto _ : state) {
    path.memory_to_float(x.data(), PaddedWords(channels), frames, weights, end.end,
                         residual.data(), out.data(), signs.data(), PaddedWords(channels));
    benchmark::ClobberMemory();
  }
  CountBinaryMacs(state, 5.0 * frames * channels);
}

void Pack(benchmark::State& state, const KernelPath& path) {
  const int64_t rows = state.range(0);
  const int channels = static_cast<int>(state.range(1));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(rows * channels);
  for (float& value : x) value = normal(random);
  std::vector<uint32_t> words(rows * PaddedWords(channels));
  for (auto _ : state) {
    path.pack(x.data(), rows, channels, words.data(), PaddedWords(channels));
    benchmark::ClobberMemory();
  }
}

// One channel, 5 x 5 taps at stride 2, signs only, as the networks' first layer.
void FloatConv(benchmark::State& state, const KernelPath& path) {
  FloatConvShape shape;
  shape.out_h = shape.out_w = static_cast<int>(state.range(0));
  shape.outputs = static_cast<int>(state.range(1));
  shape.kernel_h = shape.kernel_w = 5;
  shape.stride_h = shape.stride_w = 2;
  const int64_t side = 2 * (shape.out_h - 1) + 5;
  shape.down = 1, shape.right = side;  // transposed
  const int64_t padded = (shape.outputs + 15) / 16 * 16;
  AlignedBuffer<float> x, weights, bias;
  x.Assign(side * side), weights.Assign(25 * padded), bias.Assign(padded);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < x.size(); ++i) x[i] = normal(random);
  for (int64_t i = 0; i < weights.size(); ++i) weights[i] = normal(random);
  std::vector<uint32_t> signs(int64_t{shape.out_h} * shape.out_w * WordsFor(shape.outputs));
  for (auto _ : state) {
    path.float_conv(x.data(), shape, weights.data(), {bias.data(), 0.25f}, nullptr, signs.data(),
                    WordsFor(shape.outputs));
    benchmark::ClobberMemory();
  }
}

void FloatMatvec(benchmark::State& state, const KernelPath& path) {
  const int64_t outputs = state.range(0), inputs = state.range(1);
  std::vector<float> x(inputs, 1.0f), w(outputs * inputs, 0.5f), bias(outputs), y(outputs);
  for (auto _ : state) {
    path.float_matvec(x.data(), w.data(), bias.data(), outputs, inputs, y.data());
    benchmark::ClobberMemory();
  }
}

const int kRegistered = [] {
  for (const KernelPath* path : AvailablePaths()) {
    const auto add = [path](const char* name, void (*run)(benchmark::State&, const KernelPath&)) {
      return benchmark::RegisterBenchmark(
          (std::string(name) + "/" + path->name).c_str(),
          [path, run](benchmark::State& state) { run(state, *path); });
    };
    add("DenseToBits", DenseToBits)->Args({8, 128, 256})->Args({8, 256, 128})->Args({64, 400, 32});
    add("DenseToFloat", DenseToFloat)->Args({8, 256, 128});
    add("MemoryToFloat", MemoryToFloat)->Args({8, 128});
    add("Pack", Pack)->Args({8, 128})->Args({256, 16});
    add("FloatConv", FloatConv)->Args({16, 16});
    add("FloatMatvec", FloatMatvec)->Args({10, 1024});
  }
  return 0;
}();

}  // namespace
}  // namespace bifsmn
