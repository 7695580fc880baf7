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

#include "custom_ops/tflite/classifier.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "custom_ops/kernels/path.h"
#include "custom_ops/tflite/real_constants.h"

namespace bifsmn {

bool Classifier::Parse(abi::Context* context, const std::vector<int>& nodes) {
  int last = -1;
  enum { kStart, kReshaped, kMultiplied, kDone } state = kStart;
  for (const int index : nodes) {
    BuiltinNode node;
    TensorView x, constant;
    if (!node.Assign(context, index) || !node.View(context, 0, abi::kFloat32, -1, &x)) {
      return false;
    }
    if (last >= 0 && node.input(0) != last) return false;
    if (last < 0) input_ = node.input(0);
    last = node.output();
    Error ignored;
    const abi::Tensor* made = TensorAt(context, last, &ignored);
    if (made == nullptr || made->type != abi::kFloat32) return false;
    switch (node.code) {
      case abi::kBuiltinReshape: {
        if (state != kStart || !node.Constant(context, 1, abi::kInt32, 1, &constant) ||
            constant.shape[0] != 2) {
          return false;
        }
        reshape_.resize(2);
        std::memcpy(reshape_.data(), constant.data, 2 * sizeof(int));
        if (reshape_[0] < -1 || reshape_[1] < 1) return false;
        reshape_made_ = static_cast<int>(made_.size());
        state = kReshaped;
        break;
      }
      case abi::kBuiltinFullyConnected: {
        const auto* params = node.params<abi::FullyConnectedParams>();
        Shape shape, bias_shape;
        std::vector<float> values, bias;
        if (state > kReshaped || (state == kStart && x.rank() != 2) || params == nullptr ||
            params->activation != abi::kActivationNone || params->weights_format != 0 ||
            node.inputs() != 3 || !ReadReals(context, index, 1, 2, &shape, &values) ||
            !ReadReals(context, index, 2, 1, &bias_shape, &bias) ||
            bias_shape[0] != shape[0] || shape[0] < 1 || shape[1] < 1) {
          return false;
        }
        outputs_ = shape[0];
        inputs_ = shape[1];
        if (state == kReshaped && reshape_[1] != inputs_) return false;
        weights_.Assign(outputs_ * inputs_);
        std::copy(values.begin(), values.end(), weights_.data());
        bias_.Assign(outputs_);
        std::copy(bias.begin(), bias.end(), bias_.data());
        logits_made_ = static_cast<int>(made_.size());
        state = kMultiplied;
        break;
      }
      case abi::kBuiltinSoftmax: {
        const auto* params = node.params<abi::SoftmaxParams>();
        if (state != kMultiplied || params == nullptr || params->beta != 1.0f) return false;
        softmax_ = true;
        state = kDone;
        break;
      }
      default: return false;
    }
    made_.push_back({last, {}});
  }
  return state >= kMultiplied;
}

bool Classifier::Prepare(const Shape& shape, Error* error) {
  int64_t elements = 0;
  Product(shape, &elements);
  rows_ = elements / inputs_;
  if (rows_ * inputs_ != elements || (reshape_made_ < 0 && shape.back() != inputs_) ||
      (reshape_made_ >= 0 && reshape_[0] >= 0 && reshape_[0] != rows_)) {
    return error->Set("the classifier's input should hold %lld values per clip%s. Received: shape "
                      "%s", static_cast<long long>(inputs_),
                      reshape_made_ >= 0 && reshape_[0] >= 0 ? ", and as many clips as converted"
                                                             : "",
                      ToString(shape).c_str());
  }
  for (size_t i = 0; i < made_.size(); ++i) {
    const int64_t last = static_cast<int>(i) == reshape_made_ ? inputs_ : outputs_;
    made_[i].shape = {static_cast<int>(rows_), static_cast<int>(last)};
    if (!Product(made_[i].shape, &elements)) return error->Set("the classifier is too large");
  }
  logits_.resize(softmax_ ? rows_ * outputs_ : 0);
  return true;
}

void Classifier::Eval(const float* x, const std::vector<float*>& wanted) {
  const KernelPath& path = *ChosenPath(nullptr);  // the partition's operators saw to it
  if (reshape_made_ >= 0 && wanted[reshape_made_] != nullptr) {
    std::memcpy(wanted[reshape_made_], x, rows_ * inputs_ * sizeof(float));
  }
  float* logits = wanted[logits_made_] != nullptr ? wanted[logits_made_] : logits_.data();
  for (int64_t r = 0; r < rows_; ++r, x += inputs_) {
    float* y = logits + r * outputs_;
    path.float_matvec(x, weights_.data(), bias_.data(), outputs_, inputs_, y);
    if (!softmax_) continue;
    float* scores = wanted.back() + r * outputs_;
    const float most = *std::max_element(y, y + outputs_);
    float sum = 0.0f;
    for (int64_t n = 0; n < outputs_; ++n) {
      scores[n] = std::exp(y[n] - most);
      sum += scores[n];
    }
    for (int64_t n = 0; n < outputs_; ++n) scores[n] /= sum;
  }
}

}  // namespace bifsmn
