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

// Time of the kernels at the sizes of the networks: 8 frames, 128 and 256 channels.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/kernel_table.h"

namespace bifsmn {
namespace {

std::vector<uint32_t> RandomBits(int64_t rows, int64_t bits) {
  std::mt19937 random(1);
  std::vector<uint32_t> words(rows * WordsFor(bits));
  for (uint32_t& word : words) word = random();
  for (int64_t r = 1; r <= rows; ++r) words[r * WordsFor(bits) - 1] &= LastWordMask(bits);
  return words;
}

void BitGemm(benchmark::State& state, const KernelTable& kernels) {
  const int rows = static_cast<int>(state.range(0));
  const int reduction = static_cast<int>(state.range(1));
  const int outputs = static_cast<int>(state.range(2));
  const auto x = RandomBits(rows, reduction);
  PackedWeights weights;
  weights.Assign(RandomBits(outputs, reduction).data(), outputs, reduction);
  std::vector<int32_t> dots(rows * outputs);
  for (auto _ : state) {
    kernels.bit_gemm(x.data(), rows, weights, dots.data());
    benchmark::DoNotOptimize(dots.data());
    benchmark::ClobberMemory();
  }
  state.counters["binary_macs"] = benchmark::Counter(
      1.0 * rows * reduction * outputs, benchmark::Counter::kIsIterationInvariantRate);
}

void MemoryFilter(benchmark::State& state, const KernelTable& kernels) {
  const int frames = static_cast<int>(state.range(0)), channels = static_cast<int>(state.range(1));
  const auto x = RandomBits(frames, channels);
  MemoryWeights weights;
  weights.Assign(RandomBits(5, channels).data(), 5, channels, 2, 1, 1);
  std::vector<int32_t> dots(frames * channels);
  for (auto _ : state) {
    kernels.memory_filter(x.data(), frames, 0, frames, weights, dots.data());
    benchmark::DoNotOptimize(dots.data());
    benchmark::ClobberMemory();
  }
}

void Pack(benchmark::State& state, const KernelTable& kernels) {
  const int rows = static_cast<int>(state.range(0)), channels = static_cast<int>(state.range(1));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(rows * channels);
  for (float& value : x) value = normal(random);
  std::vector<uint32_t> words(rows * WordsFor(channels));
  for (auto _ : state) {
    kernels.pack(x.data(), rows, channels, words.data());
    benchmark::DoNotOptimize(words.data());
    benchmark::ClobberMemory();
  }
}

void FloatEpilogue(benchmark::State& state, const KernelTable& kernels) {
  const int rows = static_cast<int>(state.range(0)), outputs = static_cast<int>(state.range(1));
  FloatEpilogueParams params;
  params.multiplier.assign(outputs, 0.5f);
  params.bias.assign(outputs, 0.25f);
  params.slope = 0.1f;
  const std::vector<int32_t> dots(rows * outputs, 3);
  const std::vector<float> residual(rows * outputs, 1.0f);
  std::vector<float> out(rows * outputs);
  for (auto _ : state) {
    kernels.float_epilogue(dots.data(), rows, params, residual.data(), out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
}

BENCHMARK_CAPTURE(BitGemm, portable, PortableKernels())->Args({8, 128, 256})->Args({8, 256, 128});
BENCHMARK_CAPTURE(BitGemm, best, Kernels())->Args({8, 128, 256})->Args({8, 256, 128});
BENCHMARK_CAPTURE(MemoryFilter, best, Kernels())->Args({8, 128})->Args({8, 256});
BENCHMARK_CAPTURE(Pack, best, Kernels())->Args({8, 128})->Args({8, 256});
BENCHMARK_CAPTURE(FloatEpilogue, best, Kernels())->Args({8, 128})->Args({8, 256});

}  // namespace
}  // namespace bifsmn
