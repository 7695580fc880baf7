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

// BifsmnLogMel: waveforms to their log-mel spectrograms.

#include <memory>
#include <string>

#include "custom_ops/kernels/log_mel.h"
#include "custom_ops/kernels/path.h"
#include "custom_ops/tflite/attributes.h"
#include "custom_ops/tflite/op.h"

namespace bifsmn {
namespace {

constexpr int kMaxMels = 1024;
constexpr int kMaxSampleRate = 1000000;

class LogMelOp : public Op {
 public:
  bool Init(const void* options, size_t length, Error* error) override {
    Attributes attributes;
    if (!attributes.Parse(options, length, error) ||
        !attributes.TakeInt("fft_length", true, LogMelPlan::kMinFftLength,
                            LogMelPlan::kMaxFftLength, &fft_length_, error) ||
        !attributes.TakeInt("hop_length", true, 1, fft_length_, &hop_length_, error) ||
        !attributes.TakeInt("num_mels", true, 1, kMaxMels, &mels_, error) ||
        !attributes.TakeInt("sample_rate", true, 1, kMaxSampleRate, &sample_rate_, error)) {
      return false;
    }
    if ((fft_length_ & (fft_length_ - 1)) != 0) {
      return error->Set("attribute \"fft_length\" should be a power of two. Received: %d",
                        fft_length_);
    }
    return attributes.ExpectEmpty(error);
  }

  bool Prepare(const std::vector<TensorView>& inputs, abi::Type output_type, const SignsWanted&,
               Shape* output, Error* error) override {
    std::string reason;
    path_ = ChosenPath(&reason);
    if (path_ == nullptr) return error->Set("%s", reason.c_str());
    if (inputs.size() != 1) {
      return error->Set("a node should have 1 input (audio). Received: %zu inputs", inputs.size());
    }
    const TensorView& audio = inputs[0];
    if (audio.type != abi::kFloat32 || audio.rank() != 2 || audio.shape[1] <= fft_length_ / 2) {
      return error->Set("audio should be float32 of shape (batch, samples), more than %d samples. "
                        "Received: %s of shape %s", fft_length_ / 2, TypeName(audio.type),
                        ToString(audio.shape).c_str());
    }
    if (output_type != abi::kFloat32) {
      return error->Set("the output should be float32. Received: %s", TypeName(output_type));
    }
    Shape shape = {audio.shape[0], 1 + audio.shape[1] / hop_length_, mels_, 1};
    int64_t elements = 0;
    if (!Product(shape, &elements)) {
      return error->Set("the output should have at most 2^31 - 1 elements. Received: shape %s",
                        ToString(shape).c_str());
    }
    batch_ = audio.shape[0];
    plan_.Assign(fft_length_, hop_length_, mels_, sample_rate_, audio.shape[1]);
    *output = std::move(shape);
    return true;
  }

  int outputs() const override { return 1; }

  void Eval(const Operands& operands) override {
    const float* audio = static_cast<const float*>(operands.x);
    float* out = static_cast<float*>(operands.out);
    const int64_t size = plan_.frames * mels_;
    for (int64_t b = 0; b < batch_; ++b) {
      path_->log_mel(audio + b * plan_.samples, &plan_, out + b * size);
    }
    if (operands.signs != nullptr) {
      path_->pack(out, batch_ * size, 1, operands.signs, operands.signs_stride);
    }
  }

 private:
  const KernelPath* path_ = nullptr;
  int fft_length_ = 0, hop_length_ = 0, mels_ = 0, sample_rate_ = 0;
  int64_t batch_ = 0;
  LogMelPlan plan_;
};

}  // namespace

std::unique_ptr<Op> CreateLogMelOp() { return std::make_unique<LogMelOp>(); }

}  // namespace bifsmn
