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

// From integer dot products to float activations, or straight to the bits of the next layer.

#ifndef BIFSMN_KERNELS_EPILOGUE_H_
#define BIFSMN_KERNELS_EPILOGUE_H_

#include <cstdint>
#include <vector>

namespace bifsmn {

struct FloatEpilogueParams {
  std::vector<float> multiplier;
  std::vector<float> bias;
  float slope = 1.0f;
  bool residual_first = false;
};

// v = dot * multiplier + bias, the slope for v < 0 and the residual before or after it, in
// float32 with every operation rounded on its own. `dots`, `residual` (or null) and `out` are
// (rows, outputs); `residual` may be `out`.
void FloatEpiloguePortable(const int32_t* dots, int64_t rows, const FloatEpilogueParams& params,
                           const float* residual, float* out);

// out[r] bit n = dots[r][n] >= thresholds[n], unused bits clear; `out` is (rows, words).
void BitsEpiloguePortable(const int32_t* dots, int64_t rows,
                          const std::vector<int16_t>& thresholds, uint32_t* out);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_EPILOGUE_H_
