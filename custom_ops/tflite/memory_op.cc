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

// BifsmnMemory: the FSMN memory filter, depthwise over time.

#include <algorithm>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/memory_filter.h"
#include "custom_ops/tflite/binary_op.h"

namespace bifsmn {
namespace {

class MemoryOp : public BinaryOp {
 protected:
  bool ReadAttributes(Attributes* attributes, Error* error) override {
    return attributes->TakeInt("look_back", false, 0, kMaxReduction, &look_back_, error) &&
           attributes->TakeInt("stride_back", false, 1, kMaxReduction, &stride_back_, error) &&
           attributes->TakeInt("stride_ahead", false, 1, kMaxReduction, &stride_ahead_, error);
  }

  bool Plan(const TensorView& x, const Shape& weights_shape, const std::vector<uint32_t>& weights,
            Shape* lead, Error* error) override {
    if (!CheckChannels(x, 3, "(batch, frames, channels)", error)) return false;
    if (outputs() % channels() != 0) {
      return error->Set("the output channels should be a multiple of channels=%d. Received: %d",
                        channels(), outputs());
    }
    const int taps = weights_shape[0];
    if (taps <= look_back_ || taps > kMaxReduction) {
      return error->Set("weights should have more taps than look_back=%d, and at most %d. "
                        "Received: shape %s", look_back_, kMaxReduction,
                        ToString(weights_shape).c_str());
    }
    if (!CheckWeights(weights_shape, weights, taps, outputs(), error)) return false;
    batch_ = x.shape[0];
    frames_ = x.shape[1];
    multiple_ = outputs() / channels();
    *lead = {x.shape[0], x.shape[1]};
    int64_t size = 0;  // of the repeated channels of a clip, before memory is sized by it
    if (!Product({x.shape[1], outputs()}, &size)) {
      return error->Set("the output should have at most 2^31 - 1 elements. Received: %d frames of "
                        "%d channels", frames_, outputs());
    }
    weights_.Assign(weights.data(), taps, outputs(), look_back_, stride_back_, stride_ahead_);
    scratch_.resize(ScratchWords(frames_, channels()));
    repeated_.resize(multiple_ > 1 ? int64_t{frames_} * weights_.words : 0);
    tile_ = TileRows(frames_);
    dots_.resize(tile_ * outputs());
    return true;
  }

  void Run(const void* x, const float* residual, void* out) override {
    for (int64_t b = 0; b < batch_; ++b) {
      const uint32_t* clip =
          Bits(Advance(x, b * frames_, channels()), frames_, channels(), &scratch_);
      if (multiple_ > 1) {
        RepeatChannels(clip, frames_, channels(), multiple_, repeated_.data());
        clip = repeated_.data();
      }
      for (int64_t t = 0; t < frames_; t += tile_) {
        const int64_t count = std::min(tile_, frames_ - t);
        kernels().memory_filter(clip, frames_, t, count, weights_, dots_.data());
        Finish(dots_.data(), b * frames_ + t, count, residual, out);
      }
    }
  }

 private:
  int look_back_ = 0;
  int stride_back_ = 1;
  int stride_ahead_ = 1;
  int batch_ = 0;
  int frames_ = 0;
  int multiple_ = 1;
  int64_t tile_ = 1;
  MemoryWeights weights_;
  std::vector<uint32_t> scratch_;
  std::vector<uint32_t> repeated_;
  std::vector<int32_t> dots_;
};

}  // namespace

std::unique_ptr<BinaryOp> CreateMemoryOp() { return std::make_unique<MemoryOp>(); }

}  // namespace bifsmn
