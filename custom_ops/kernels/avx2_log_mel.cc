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

// The log-mel spectrogram with AVX2: eight frames at a time.

#include "custom_ops/kernels/log_mel.h"

#if defined(__x86_64__)

// Before the pragma: they are compiled for every processor.
#include <cfloat>
#include <cstring>

#include "custom_ops/kernels/path_x86.h"

#pragma GCC push_options
#pragma GCC target("avx2")

#include "custom_ops/kernels/log_mel_lanes.h"

namespace bifsmn {

void LogMelAvx2(const float* audio, LogMelPlan* plan, float* out) {
  LogMelOfLanes<8>(audio, plan, out);
}

}  // namespace bifsmn

#pragma GCC pop_options

#endif  // defined(__x86_64__)
