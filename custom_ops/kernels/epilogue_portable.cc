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

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/epilogue.h"

namespace bifsmn {
namespace {

enum class Residual { kNone, kFirst, kLast };

// The choices are compile-time constants, which leaves a loop that vectorises.
template <Residual kResidual, bool kSlope>
void Run(const int32_t* dots, int64_t rows, const FloatEpilogueParams& params,
         const float* residual, float* out) {
  const int64_t outputs = static_cast<int64_t>(params.multiplier.size());
  const float* multiplier = params.multiplier.data();
  const float* bias = params.bias.data();
  const float slope = params.slope;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < outputs; ++n) {
      float v = static_cast<float>(dots[n]) * multiplier[n];
      v = v + bias[n];
      if (kResidual == Residual::kFirst) v = v + residual[n];
      if (kSlope) {
        const float scaled = v * slope;
        v = v >= 0.0f ? v : scaled;
      }
      if (kResidual == Residual::kLast) v = v + residual[n];
      out[n] = v;
    }
    dots += outputs;
    out += outputs;
    if (kResidual != Residual::kNone) residual += outputs;
  }
}

template <Residual kResidual>
void Select(const int32_t* dots, int64_t rows, const FloatEpilogueParams& params,
            const float* residual, float* out) {
  if (params.slope == 1.0f) {
    Run<kResidual, false>(dots, rows, params, residual, out);
  } else {
    Run<kResidual, true>(dots, rows, params, residual, out);
  }
}

}  // namespace

void FloatEpiloguePortable(const int32_t* dots, int64_t rows, const FloatEpilogueParams& params,
                           const float* residual, float* out) {
  if (residual == nullptr) {
    Select<Residual::kNone>(dots, rows, params, nullptr, out);
  } else if (params.residual_first) {
    Select<Residual::kFirst>(dots, rows, params, residual, out);
  } else {
    Select<Residual::kLast>(dots, rows, params, residual, out);
  }
}

void BitsEpiloguePortable(const int32_t* dots, int64_t rows,
                          const std::vector<int16_t>& thresholds, uint32_t* out) {
  const int64_t outputs = static_cast<int64_t>(thresholds.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < outputs; n += kWordBits) {
      const int64_t count = outputs - n < kWordBits ? outputs - n : kWordBits;
      uint32_t word = 0;
      for (int64_t i = 0; i < count; ++i) {
        word |= static_cast<uint32_t>(dots[n + i] >= thresholds[n + i]) << i;
      }
      *out++ = word;
    }
    dots += outputs;
  }
}

}  // namespace bifsmn
