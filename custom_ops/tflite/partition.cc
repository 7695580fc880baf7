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

#include "custom_ops/tflite/partition.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "custom_ops/kernels/bits.h"
#include "custom_ops/tflite/real_constants.h"

namespace bifsmn {
namespace {

bool CopyIndices(const abi::IntArray* array, std::vector<int>* out) {
  if (array == nullptr || array->size < 0) return false;
  out->assign(abi::Data(array), abi::Data(array) + array->size);
  return true;
}

// Prefixes an error with the node it is about.
bool About(const std::string& name, Error* error) {
  const std::string text = error->text();
  return error->Set("%.60s: %s", name.c_str(), text.c_str());
}

}  // namespace

void Partition::Init(abi::Context* context, const abi::DelegateParams& params) {
  std::vector<int> nodes;
  if (!CopyIndices(params.nodes_to_replace, &nodes) ||
      !CopyIndices(params.output_tensors, &outputs_)) {
    init_error_ = "the interpreter gave no nodes to run";
    return;
  }
  std::vector<int> first, last;
  for (const int node : nodes) {
    BuiltinNode builtin;
    if (builtin.Assign(context, node)) {
      if (builtin.code == abi::kBuiltinDequantize) {
        // Who reads the weights has read the stored ones.
        if (!IsWanted(builtin.output())) continue;
        widened_.emplace_back();
        widened_.back().tensor = builtin.output();
        if (!ReadWidened(context, builtin, &widened_.back().shape, &widened_.back().values)) {
          init_error_ = "the weights have changed";
        }
        continue;
      }
      // The classifier's nodes begin with these.
      const bool behind = !last.empty() || builtin.code == abi::kBuiltinReshape ||
                          builtin.code == abi::kBuiltinFullyConnected;
      (behind ? last : first).push_back(node);
      if (!behind) stem_at_ = steps_.size();
      continue;
    }
    steps_.emplace_back();
    Error error;
    if (!InitStep(context, node, &steps_.back(), &error)) {
      About(steps_.back().name, &error);
      init_error_ = error.text();
      return;
    }
  }
  Error error;
  if (!InitEnds(context, first, last, &error)) init_error_ = error.text();
}

bool Partition::InitEnds(abi::Context* context, const std::vector<int>& first,
                         const std::vector<int>& last, Error* error) {
  if (!first.empty()) {
    stem_ = std::make_unique<Stem>();
    if (!stem_->Parse(context, first)) return error->Set("the first convolution has changed");
    stem_wanted_.resize(stem_->made().size());
  }
  if (!last.empty()) {
    classifier_ = std::make_unique<Classifier>();
    if (!classifier_->Parse(context, last)) return error->Set("the classifier has changed");
    classifier_wanted_.resize(classifier_->made().size());
  }
  return true;
}

bool Partition::IsWanted(int tensor) const {
  return std::find(outputs_.begin(), outputs_.end(), tensor) != outputs_.end();
}

bool Partition::InitStep(abi::Context* context, int node_index, Step* step, Error* error) {
  abi::Node* node = nullptr;
  abi::Registration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, node_index, &node, &registration) != abi::kOk ||
      node == nullptr || registration == nullptr || registration->custom_name == nullptr) {
    return error->Set("the interpreter does not know node %d", node_index);
  }
  step->name = registration->custom_name;
  step->op = Op::Create(registration->custom_name);
  if (step->op == nullptr) {
    return error->Set("unknown operator: the model needs a newer version of this library");
  }
  std::vector<int> outputs;
  if (!CopyIndices(node->inputs, &step->inputs) || !CopyIndices(node->outputs, &outputs) ||
      outputs.size() != 1) {
    return error->Set("a node should have one output. Received: %zu", outputs.size());
  }
  step->output = outputs[0];
  const int length = node->custom_initial_data_size;
  return step->op->Init(node->custom_initial_data, length < 0 ? 0 : length, error);
}

bool Partition::Prepare(abi::Context* context, Error* error) {
  if (!init_error_.empty()) return error->Set("%s", init_error_.c_str());
  for (const Widened& widened : widened_) {
    abi::Tensor* tensor = TensorAt(context, widened.tensor, error);
    if (tensor == nullptr || !Resize(context, tensor, widened.shape, error)) return false;
  }
  std::map<int, int> producers;  // tensor to step
  if (stem_ != nullptr) {
    producers[stem_->output()] = kStem;
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    Step& step = steps_[i];
    const auto producer = [&](size_t input) {
      if (input >= step.inputs.size()) return +kHost;
      const auto found = producers.find(step.inputs[input]);
      return found == producers.end() ? +kHost : found->second;
    };
    step.x_step = producer(BinaryOp::kX);
    step.residual_step = producer(BinaryOp::kResidual);
    step.host = IsWanted(step.output);
    step.shift.clear();
    step.x_is_shifted = false;
    // What is not sound with them the step's own Prepare reports.
    Error ignored;
    std::vector<TensorView> inputs;
    const Reads reads = step.op->reads();
    if ((reads == Reads::kShiftedSigns || reads == Reads::kLevels) &&
        ViewsOf(context, step.inputs, &inputs, &ignored) &&
        !step.op->ReadShift(inputs, &step.shift)) {
      step.shift.clear();
    }
    producers[step.output] = static_cast<int>(i);
  }
  if (stem_ != nullptr) {
    const auto found = producers.find(stem_->input());
    stem_step_ = found == producers.end() ? +kHost : found->second;
  }
  if (classifier_ != nullptr) {
    const auto found = producers.find(classifier_->input());
    classifier_step_ = found == producers.end() ? +kHost : found->second;
  }
  for (size_t i = 0; i <= steps_.size(); ++i) {
    if (stem_ != nullptr && i == stem_at_ && !PrepareStem(context, error)) return false;
    if (i < steps_.size() && !PrepareStep(context, i, error)) return About(steps_[i].name, error);
  }
  if (classifier_ != nullptr) {
    TensorView x;
    const abi::Tensor* tensor = TensorAt(context, classifier_->input(), error);
    if (tensor == nullptr || !x.Assign(*tensor, error)) return false;
    if (classifier_step_ >= 0) x.shape = steps_[classifier_step_].shape;
    std::string reason;
    if (ChosenPath(&reason) == nullptr) return error->Set("%s", reason.c_str());
    if (!classifier_->Prepare(x.shape, error)) return false;
    for (const auto& made : classifier_->made()) {
      if (!IsWanted(made.tensor)) continue;
      abi::Tensor* output = TensorAt(context, made.tensor, error);
      if (output == nullptr || !Resize(context, output, made.shape, error)) return false;
    }
  }
  PlanPlaces();
  PlanArena();
  return true;
}

bool Partition::PrepareStem(abi::Context* context, Error* error) {
  std::string reason;
  if (ChosenPath(&reason) == nullptr) return error->Set("%s", reason.c_str());
  TensorView x;
  const abi::Tensor* host = TensorAt(context, stem_->input(), error);
  if (host == nullptr || !x.Assign(*host, error)) return false;
  if (stem_step_ >= 0) x.shape = steps_[stem_step_].shape;
  if (!stem_->Prepare(x, error)) return false;
  for (const auto& made : stem_->made()) {
    if (!IsWanted(made.tensor)) continue;
    abi::Tensor* tensor = TensorAt(context, made.tensor, error);
    if (tensor == nullptr || !Resize(context, tensor, made.shape, error)) return false;
  }
  if (stem_->SetSignShift(CommonShift(kStem))) UseShift(kStem);
  bool floats = false, signs = false;
  for (const Step& step : steps_) {
    if (step.x_step == kStem) (step.NeedsFloats() ? floats : signs) = true;
  }
  const int64_t channels = stem_->shape().back();
  stem_signs_.Assign(signs ? stem_->positions() * WordsFor(channels) : 0);
  stem_floats_.Assign(floats ? stem_->positions() * channels : 0);
  return true;
}

const std::vector<float>* Partition::CommonShift(int made) const {
  const std::vector<float>* found = nullptr;
  for (const Step& step : steps_) {
    const Reads reads = step.op->reads();
    if (step.x_step != made || reads == Reads::kFloats || reads == Reads::kLevels) continue;
    if (reads == Reads::kSigns) return nullptr;  // of x itself
    if (found != nullptr && step.shift != *found) return nullptr;
    found = &step.shift;
  }
  return found;
}

const std::vector<float>* Partition::CommonLevels(int made) const {
  const std::vector<float>* found = nullptr;
  for (const Step& step : steps_) {
    if (step.x_step != made) continue;
    if (step.op->reads() != Reads::kLevels || step.shift.empty()) return nullptr;
    if (found != nullptr && step.shift != *found) return nullptr;
    found = &step.shift;
  }
  return found;
}

void Partition::UseShift(int made) {
  const bool levels = made >= 0 && steps_[made].op->bits() == 2;
  const Reads reads = levels ? Reads::kLevels : Reads::kShiftedSigns;
  for (Step& step : steps_) {
    if (step.x_step == made && step.op->reads() == reads) step.x_is_shifted = true;
  }
}

bool Partition::IsOnly(size_t index, Reads wanted) const {
  const int made = static_cast<int>(index);
  if (steps_[index].host || classifier_step_ == made || stem_step_ == made) return false;
  for (const Step& step : steps_) {
    if (step.residual_step == made) return false;
    if (step.x_step == made && step.op->reads() != wanted) return false;
  }
  return true;
}

bool Partition::PrepareStep(abi::Context* context, size_t index, Error* error) {
  Step& step = steps_[index];
  std::vector<TensorView> inputs;
  if (!ViewsOf(context, step.inputs, &inputs, error)) return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    TensorView& view = inputs[i];
    const int producer = i == BinaryOp::kX          ? step.x_step
                         : i == BinaryOp::kResidual ? step.residual_step
                                                    : +kHost;
    if (producer != kHost) {
      // The interpreter's idea of an inner shape may be older than the last resize.
      view.shape = producer == kStem ? stem_->shape() : steps_[producer].shape;
      view.constant = false;
      view.data = nullptr;
    }
  }
  abi::Tensor* output = TensorAt(context, step.output, error);
  SignsWanted signs;
  signs.shift = CommonLevels(static_cast<int>(index));
  signs.levels = signs.shift != nullptr;
  if (!signs.levels) signs.shift = CommonShift(static_cast<int>(index));
  signs.only = IsOnly(index, signs.levels             ? Reads::kLevels
                             : signs.shift != nullptr ? Reads::kShiftedSigns
                                                      : Reads::kSigns);
  if (output == nullptr ||
      !step.op->Prepare(inputs, output->type, signs, &step.shape, error)) {
    return false;
  }
  if (step.op->has_sign_shift()) UseShift(static_cast<int>(index));
  int64_t elements = 0;
  Product(step.shape, &elements);
  step.bytes = static_cast<size_t>(elements) * 4;  // float32 or int32
  return !step.host || Resize(context, output, step.shape, error);
}

// Chooses how every output is held.
void Partition::PlanPlaces() {
  for (size_t i = 0; i < steps_.size(); ++i) {
    Step& step = steps_[i];
    const int64_t words = WordsFor(step.op->outputs());
    // The distance between rows that the readers agree on.
    int64_t stride = 0;
    for (Step& reader : steps_) {
      if (reader.x_step != static_cast<int>(i)) continue;
      const int64_t preferred = reader.NeedsFloats() ? -1 : reader.op->PreferredStride(words);
      reader.reads_floats = preferred < 0;
      if (preferred < 0) continue;
      stride = stride == 0 || stride == preferred ? preferred : words;
    }
    step.place = Place();
    step.signs = Place();
    const int64_t last = step.shape.empty() ? 1 : step.shape.back();
    const int64_t rows = last == 0 ? 0 : static_cast<int64_t>(step.bytes) / 4 / last;
    if (step.op->bits() > 0) {
      step.stride = step.host || stride == 0 ? words : stride;
      step.plane = rows * step.stride;
      step.place.size = step.op->bits() * step.plane * 4;
      continue;
    }
    step.place.size = static_cast<int64_t>(step.bytes);
    step.signs_stride = stride;
    step.signs.size = rows * stride * 4;
  }
}

// First fit by order of execution: an output may take the place of one that no later step reads.
void Partition::PlanArena() {
  struct Taken {
    int64_t begin, end;
    size_t last_use;  // step
  };
  std::vector<size_t> last_use(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    last_use[i] = i;
    for (const int made : {steps_[i].x_step, steps_[i].residual_step}) {
      if (made >= 0) last_use[made] = i;
    }
  }
  if (stem_step_ >= 0) last_use[stem_step_] = std::max(last_use[stem_step_], stem_at_);
  if (classifier_step_ >= 0) last_use[classifier_step_] = steps_.size();
  std::vector<Taken> taken;  // sorted by begin
  int64_t total = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    taken.erase(std::remove_if(taken.begin(), taken.end(),
                               [i](const Taken& place) { return place.last_use < i; }),
                taken.end());
    for (Place* place : {&steps_[i].place, &steps_[i].signs}) {
      if (place->size == 0 || (place == &steps_[i].place && steps_[i].host)) continue;
      constexpr int64_t kAlignment = AlignedBuffer<char>::kAlignment;
      const int64_t size = (place->size + kAlignment - 1) / kAlignment * kAlignment;
      int64_t begin = 0;
      auto at = taken.begin();
      for (; at != taken.end() && at->begin < begin + size; ++at) begin = std::max(begin, at->end);
      taken.insert(at, {begin, begin + size, last_use[i]});
      place->offset = begin;
      total = std::max(total, begin + size);
    }
  }
  arena_.Assign(total);
}

char* Partition::HostData(abi::Context* context, int tensor, size_t bytes, Error* error) {
  const abi::Tensor* host = TensorAt(context, tensor, error);
  if (host == nullptr) return nullptr;
  if (host->data == nullptr) {
    error->Set("a tensor has no memory");
    return nullptr;
  }
  if (host->bytes < bytes) {
    error->Set("a tensor should hold %zu bytes. Received: %zu", bytes, host->bytes);
    return nullptr;
  }
  return static_cast<char*>(host->data);
}

__attribute__((always_inline)) inline bool Partition::Run(abi::Context* context, Step* step,
                                                          Error* error) {
  Operands operands;
  const auto data = [&](const Step& made) {
    return made.host ? HostData(context, made.output, made.bytes, error) : At(made.place);
  };
  if (step->x_step == kStem && step->NeedsFloats()) {
    operands.x = stem_wanted_.back();
  } else if (step->x_step == kStem) {
    operands.x = stem_signs_.data();
    operands.x_stride = WordsFor(stem_->shape().back());
  } else if (step->x_step == kHost) {
    operands.x = HostData(context, step->inputs[BinaryOp::kX], 0, error);
  } else {
    const Step& made = steps_[step->x_step];
    if (made.op->bits() > 0) {
      operands.x = data(made);
      operands.x_stride = made.stride;
      if (made.op->bits() == 2) {
        operands.x_second = static_cast<const uint32_t*>(operands.x) + made.plane;
      }
    } else if (made.signs.offset >= 0 && !step->reads_floats) {
      operands.x = At(made.signs);
      operands.x_stride = made.signs_stride;
    } else {
      operands.x = data(made);
    }
  }
  const bool has_residual = step->op->has_residual();
  if (has_residual) {
    operands.residual = reinterpret_cast<const float*>(
        step->residual_step >= 0 ? data(steps_[step->residual_step])
                                 : HostData(context, step->inputs[BinaryOp::kResidual],
                                            step->bytes, error));
  }
  operands.out = data(*step);
  operands.out_stride = step->stride;
  if (step->op->bits() == 2) {
    operands.out_second = static_cast<uint32_t*>(operands.out) + step->plane;
  }
  if (step->signs.offset >= 0) {
    operands.signs = reinterpret_cast<uint32_t*>(At(step->signs));
    operands.signs_stride = step->signs_stride;
  }
  if (operands.x == nullptr || operands.out == nullptr ||
      (has_residual && operands.residual == nullptr)) {
    return false;
  }
  step->op->Eval(operands);
  return true;
}

template <typename Made>
bool Partition::FindWanted(abi::Context* context, const Made& made, std::vector<float*>* wanted,
                           Error* error) {
  for (size_t i = 0; i < made.size(); ++i) {
    (*wanted)[i] = nullptr;
    if (!IsWanted(made[i].tensor)) continue;
    int64_t elements = 0;
    Product(made[i].shape, &elements);
    if (elements == 0) continue;
    (*wanted)[i] = reinterpret_cast<float*>(
        HostData(context, made[i].tensor, elements * sizeof(float), error));
    if ((*wanted)[i] == nullptr) return false;
  }
  return true;
}

bool Partition::RunStem(abi::Context* context, Error* error) {
  const bool inner = stem_step_ >= 0 && !steps_[stem_step_].host;
  const char* x = inner ? At(steps_[stem_step_].place)
                        : HostData(context, stem_->input(), 0, error);
  if (x == nullptr || !FindWanted(context, stem_->made(), &stem_wanted_, error)) return false;
  // The interpreter's place serves the steps as well.
  if (stem_wanted_.back() == nullptr) stem_wanted_.back() = stem_floats_.data();
  stem_->Eval(reinterpret_cast<const float*>(x), stem_wanted_, stem_signs_.data(),
              WordsFor(stem_->shape().back()));
  return true;
}

bool Partition::RunClassifier(abi::Context* context, Error* error) {
  const char* x = nullptr;
  if (classifier_step_ >= 0 && !steps_[classifier_step_].host) {
    x = At(steps_[classifier_step_].place);
  } else {
    x = HostData(context, classifier_->input(), 0, error);
  }
  if (x == nullptr || !FindWanted(context, classifier_->made(), &classifier_wanted_, error)) {
    return false;
  }
  if (classifier_wanted_.back() == nullptr) return true;  // nobody asks
  classifier_->Eval(reinterpret_cast<const float*>(x), classifier_wanted_);
  return true;
}

bool Partition::Eval(abi::Context* context, Error* error) {
  for (const Widened& widened : widened_) {
    const size_t bytes = widened.values.size() * sizeof(float);
    char* data = bytes == 0 ? nullptr : HostData(context, widened.tensor, bytes, error);
    if (bytes > 0 && data == nullptr) return About("the widened weights", error);
    if (bytes > 0) std::memcpy(data, widened.values.data(), bytes);
  }
  const bool has_stem = stem_ != nullptr && stem_->positions() > 0;
  for (size_t i = 0; i <= steps_.size(); ++i) {
    if (has_stem && i == stem_at_ && !RunStem(context, error)) {
      return About("the first convolution", error);
    }
    if (i == steps_.size()) break;
    Step& step = steps_[i];
    if (step.bytes > 0 && !Run(context, &step, error)) return About(step.name, error);
  }
  if (classifier_ != nullptr && !classifier_->made().back().shape.empty() &&
      classifier_->made().back().shape[0] > 0 && !RunClassifier(context, error)) {
    return About("the classifier", error);
  }
  return true;
}

}  // namespace bifsmn
