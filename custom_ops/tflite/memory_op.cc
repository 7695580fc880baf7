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
#include "custom_ops/kernels/repeat_channels.h"
#include "custom_ops/tflite/binary_op.h"

namespace bifsmn {
namespace {

class MemoryOp : public BinaryOp {
 protected:
  int64_t PackedStride(int64_t words) const override {
    return multiple_ == 1 ? weights_.stride : words;
  }

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
                        "%d channels", x.shape[1], outputs());
    }
    weights_.Assign(weights.data(), taps, outputs(), look_back_, stride_back_, stride_ahead_);
    scratch_.Assign((is_dual() ? 2 : 1) * frames_ * PaddedWords(channels()));
    repeated_.Assign(multiple_ > 1 ? (is_dual() ? 2 : 1) * frames_ * weights_.stride : 0);
    if (is_dual()) {
      sums_.Assign(padded());
      for (AlignedBuffer<float>* buffer : {&scales_, &ones_, &zeros_}) buffer->Assign(padded());
      for (int n = 0; n < outputs(); ++n) {
        ones_[n] = 1.0f;
        if (has_levels()) scales_[n] = kLevelScale;
      }
      if (has_centre()) PlanCentre(weights, taps);
    }
    return true;
  }

  int Reduction() const override { return static_cast<int>(weights_.offsets.size()); }

  bool Negate(const std::vector<bool>& channels) override {
    for (size_t i = 0; i < weights_.offsets.size(); ++i) {
      uint32_t* row = weights_.signs.data() + i * weights_.stride;
      for (int n = 0; n < outputs(); ++n) {
        if (channels[n]) row[n / kWordBits] ^= uint32_t{1} << (n % kWordBits);
      }
    }
    return true;
  }

  void PlanBits() override {
    thresholds_.Assign(padded());
    for (int64_t n = 0; n < thresholds_.size(); ++n) {
      thresholds_[n] = n < outputs() ? thresholds()[n] : int16_t{32767};
    }
  }

  void Run(const Operands& o) override {
    for (int64_t b = 0; b < batch_; ++b) {
      if (is_dual()) {
        RunDual(o, b);
        continue;
      }
      const uint32_t* clip = scratch_.data();
      int64_t stride = PaddedWords(channels());
      if (o.x_stride == stride && reinterpret_cast<uintptr_t>(o.x) % kRowAlignment == 0) {
        clip = static_cast<const uint32_t*>(o.x) + b * frames_ * stride;
      } else {
        CopyRows(o, b * frames_, frames_, channels(), 1, scratch_.data(), stride);
      }
      clip = Repeated(clip, repeated_.data(), &stride);
      const int64_t at = b * frames_ * outputs();
      if (to_bits()) {
        path().memory_to_bits(clip, stride, frames_, weights_, thresholds_.data(),
                              static_cast<uint32_t*>(o.out) + b * frames_ * o.out_stride,
                              o.out_stride);
      } else {
        path().memory_to_float(clip, stride, frames_, weights_, float_end(),
                               o.residual == nullptr ? nullptr : o.residual + at,
                               static_cast<float*>(o.out) + at,
                               o.signs == nullptr ? nullptr
                                                  : o.signs + b * frames_ * o.signs_stride,
                               o.signs_stride);
      }
    }
  }

 private:
  // A row of biases for every run of taps that is inside the clip in some frame.
  void PlanCentre(const std::vector<uint32_t>& weights, int taps) {
    const int64_t words = WordsFor(outputs());
    std::vector<int> sums(outputs(), 0);  // of the signs of the taps [begin, end)
    const auto add = [&](int tap, int sign) {
      for (int n = 0; n < outputs(); ++n) {
        sums[n] += BitAt(weights.data() + tap * words, n) ? sign : -sign;
      }
    };
    std::vector<AlignedBuffer<float>>().swap(biases_);
    bias_of_frame_.assign(frames_, nullptr);
    int begin = taps, end = taps;
    for (int64_t t = 0; t < frames_; ++t) {
      bool changed = t == 0;
      for (; begin > 0 && t + weights_.offsets[begin - 1] >= 0; changed = true) add(--begin, 1);
      for (; end > begin && t + weights_.offsets[end - 1] >= frames_; changed = true) {
        add(--end, -1);
      }
      if (changed) {
        biases_.emplace_back();
        biases_.back().Assign(padded());
        for (int n = 0; n < outputs(); ++n) {
          biases_.back()[n] = BiasWith(sums[n] * double{centre()[n / multiple_]}, n);
        }
      }
      bias_of_frame_[t] = biases_.back().data();
    }
  }

  // The channels of a packed clip as often as the outputs read them, at `to` unless that is once.
  const uint32_t* Repeated(const uint32_t* clip, uint32_t* to, int64_t* stride) {
    if (multiple_ == 1) return clip;
    RepeatChannels(clip, *stride, frames_, channels(), multiple_, to, weights_.stride);
    *stride = weights_.stride;
    return to;
  }

  // Both bits of a clip; gives the scales of the outputs.
  const float* Split(const float* x, uint32_t* first, uint32_t* second, int64_t stride) {
    if (has_levels()) {
      path().dual.split_levels(x, frames_, channels(), shift(0).data(), shift(1).data(),
                               shift(2).data(), first, second, stride);
      return scales_.data();
    }
    std::fill_n(sums_.data(), sums_.size(), 0.0f);
    path().dual.split_over_time(x, frames_, channels(), shift(0).data(), shift(1).data(), first,
                                second, stride, sums_.data());
    // By constant steps, which compilers turn into vectors.
    float* means = sums_.data();
    const float frames = static_cast<float>(frames_);
    for (int64_t c = 0; c < sums_.size(); c += kEndBlock) {
      for (int i = 0; i < kEndBlock; ++i) means[c + i] /= frames;
    }
    if (multiple_ == 1) return means;
    float* scale = scales_.data();
    for (int c = 0; c < channels(); ++c) {
      for (int i = 0; i < multiple_; ++i) *scale++ = means[c];
    }
    return scales_.data();
  }

  void RunDual(const Operands& o, int64_t b) {
    const int64_t stride = PaddedWords(channels());
    uint32_t *first = scratch_.data(), *second = first + frames_ * stride;
    const float* scales =
        Split(static_cast<const float*>(o.x) + b * frames_ * channels(), first, second, stride);
    const int64_t at = b * frames_ * outputs();
    float* out = static_cast<float*>(o.out) + at;
    const float* residual = o.residual == nullptr ? nullptr : o.residual + at;
    uint32_t* signs = o.signs == nullptr ? nullptr : o.signs + b * frames_ * o.signs_stride;
    int64_t clip_stride = stride, unused = stride;
    const uint32_t* first_clip = Repeated(first, repeated_.data(), &clip_stride);
    const uint32_t* second_clip =
        Repeated(second, repeated_.data() + frames_ * weights_.stride, &unused);
    if (path().dual.memory_to_float != nullptr && Reduction() <= kMostDualTaps) {
      FloatEnd end = float_end();
      if (has_centre()) end.bias_of_frame = bias_of_frame_.data();
      path().dual.memory_to_float(first_clip, second_clip, clip_stride, frames_, weights_,
                                  scales, end, residual, out, signs, o.signs_stride);
      return;
    }
    // Two filters, both exact: first 0 + scale * dot2, which the second adds as a residual to
    // dot1 * 1 + 0.
    path().memory_to_float(second_clip, clip_stride, frames_, weights_,
                           {scales, zeros_.data(), 1.0f, false}, nullptr, out, nullptr, 0);
    path().memory_to_float(first_clip, clip_stride, frames_, weights_,
                           {ones_.data(), zeros_.data(), 1.0f, true}, out, out, nullptr, 0);
    // Runs of frames that share their biases.
    for (int64_t t = 0, run; t < frames_; t += run) {
      FloatEnd end = float_end();
      run = frames_;
      if (has_centre()) {
        end.bias = bias_of_frame_[t];
        run = 1;
        while (t + run < frames_ && bias_of_frame_[t + run] == end.bias) ++run;
      }
      float* rows = out + t * outputs();
      path().dual.values_to_float(rows, run, outputs(), end,
                                  residual == nullptr ? nullptr : residual + t * outputs(), rows,
                                  signs == nullptr ? nullptr : signs + t * o.signs_stride,
                                  o.signs_stride);
    }
  }

  int look_back_ = 0;
  int stride_back_ = 1;
  int stride_ahead_ = 1;
  int64_t batch_ = 0;
  int64_t frames_ = 0;
  int multiple_ = 1;
  MemoryWeights weights_;
  AlignedBuffer<int16_t> thresholds_;
  AlignedBuffer<uint32_t> scratch_;
  AlignedBuffer<uint32_t> repeated_;
  // Of the second scale, per input channel and per output.
  AlignedBuffer<float> sums_, scales_, ones_, zeros_;
  // With a centre.
  std::vector<AlignedBuffer<float>> biases_;
  std::vector<const float*> bias_of_frame_;
};

}  // namespace

std::unique_ptr<Op> CreateMemoryOp() { return std::make_unique<MemoryOp>(); }

}  // namespace bifsmn
