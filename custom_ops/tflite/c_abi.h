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

// The part of TensorFlow Lite's C interface that a delegate and a custom operator meet.
//
// The interpreter hands out plain structs whose layout it keeps stable: members are only ever
// added at the end. Declaring them here lets one library serve every interpreter without its
// headers and without an undefined symbol. Names follow TensorFlow Lite, less the prefix TfLite;
// the assertions below pin the layout on 64-bit machines.

#ifndef BIFSMN_TFLITE_C_ABI_H_
#define BIFSMN_TFLITE_C_ABI_H_

#include <cstddef>
#include <cstdint>

namespace bifsmn {
namespace abi {

enum Status : int { kOk = 0, kError = 1, kDelegateError = 2 };

// The element types that the operators use, and some that users confuse them with.
enum Type : int {
  kNoType = 0,
  kFloat32 = 1,
  kInt32 = 2,
  kUInt8 = 3,
  kInt64 = 4,
  kString = 5,
  kBool = 6,
  kInt16 = 7,
  kComplex64 = 8,
  kInt8 = 9,
  kFloat16 = 10,
};

enum AllocationType : int {
  kMemNone = 0,
  kMmapRo = 1,
  kArenaRw = 2,
  kArenaRwPersistent = 3,
  kDynamic = 4,
  kPersistentRo = 5,
};

// Allocated with malloc, `data` holds `size` numbers.
struct IntArray {
  int size;
  int data[1];
};

struct QuantizationParams {
  float scale;
  int32_t zero_point;
};

struct FloatArray {
  int size;
  float data[1];
};

enum QuantizationType : int { kNoQuantization = 0, kAffineQuantization = 1 };

struct Quantization {
  int type;
  void* params;
};

// `params` of kAffineQuantization: real = scale * (stored - zero_point), one pair for the tensor or
// for every entry of a dimension.
struct AffineQuantization {
  FloatArray* scale;
  IntArray* zero_point;
  int32_t quantized_dimension;
};

struct Delegate;

struct Tensor {
  Type type;
  void* data;
  IntArray* dims;
  QuantizationParams params;
  AllocationType allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  Delegate* delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  Quantization quantization;
  void* sparsity;
  const IntArray* dims_signature;
};

struct Node {
  IntArray* inputs;
  IntArray* outputs;
  IntArray* intermediates;
  IntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
  Delegate* delegate;
  bool might_have_side_effect;
};

struct Context;

struct Registration {
  void* (*init)(Context* context, const char* buffer, size_t length);
  void (*free)(Context* context, void* buffer);
  Status (*prepare)(Context* context, Node* node);
  Status (*invoke)(Context* context, Node* node);
  const char* (*profiling_string)(const Context* context, const Node* node);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  // Newer members; an older interpreter does not look at them.
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
  // Not in any interpreter yet: zeros for one that would read on.
  uint64_t reserved[8];
};

// The builtin operators that the delegate knows, and what their nodes' builtin_data begins with.
constexpr int32_t kBuiltinConv2D = 3;
constexpr int32_t kBuiltinDequantize = 6;
constexpr int32_t kBuiltinFullyConnected = 9;
constexpr int32_t kBuiltinReshape = 22;
constexpr int32_t kBuiltinSoftmax = 25;
constexpr int32_t kBuiltinPad = 34;
constexpr int32_t kBuiltinTranspose = 39;
constexpr int32_t kBuiltinLeakyRelu = 98;

enum Padding : int { kPaddingUnknown = 0, kPaddingSame = 1, kPaddingValid = 2 };
enum Activation : int { kActivationNone = 0, kActivationRelu = 1 };

struct ConvParams {
  Padding padding;
  int stride_width;
  int stride_height;
  Activation activation;
  int dilation_width_factor;
  int dilation_height_factor;
};

struct FullyConnectedParams {
  Activation activation;
  int weights_format;  // 0: as stored
  bool keep_num_dims;
  bool asymmetric_quantize_inputs;
};

struct LeakyReluParams {
  float alpha;
};

struct SoftmaxParams {
  float beta;
};

constexpr int32_t kBuiltinCustom = 32;
constexpr int32_t kBuiltinDelegate = 51;

// What `Registration::init` of a delegate kernel receives as its buffer.
struct DelegateParams {
  Delegate* delegate;
  IntArray* nodes_to_replace;
  IntArray* input_tensors;
  IntArray* output_tensors;
};

struct Context {
  size_t tensors_size;
  Status (*GetExecutionPlan)(Context* context, IntArray** execution_plan);
  Tensor* tensors;
  void* impl;
  // Takes ownership of `new_size`.
  Status (*ResizeTensor)(Context* context, Tensor* tensor, IntArray* new_size);
  void (*ReportError)(Context* context, const char* format, ...);
  Status (*AddTensors)(Context* context, int count, int* first_new_tensor_index);
  Status (*GetNodeAndRegistration)(Context* context, int node_index, Node** node,
                                   Registration** registration);
  Status (*ReplaceNodeSubsetsWithDelegateKernels)(Context* context, Registration registration,
                                                  const IntArray* nodes_to_replace,
                                                  Delegate* delegate);
  int recommended_num_threads;
  // More members follow; the library uses none of them.
};

enum DelegateFlags : int64_t { kDelegateAllowDynamicTensors = 1 };

struct Delegate {
  void* data;
  Status (*Prepare)(Context* context, Delegate* delegate);
  Status (*CopyFromBufferHandle)(Context* context, Delegate* delegate, int handle, Tensor* tensor);
  Status (*CopyToBufferHandle)(Context* context, Delegate* delegate, int handle, Tensor* tensor);
  void (*FreeBufferHandle)(Context* context, Delegate* delegate, int* handle);
  int64_t flags;
  void* opaque_delegate_builder;
  uint64_t reserved[8];  // as above
};

#if defined(__LP64__)
#define BIFSMN_OFFSET(type, member, value) \
  static_assert(offsetof(type, member) == (value), #type "::" #member " is misplaced")
BIFSMN_OFFSET(IntArray, data, 4);
BIFSMN_OFFSET(FloatArray, data, 4);
BIFSMN_OFFSET(AffineQuantization, zero_point, 8);
BIFSMN_OFFSET(AffineQuantization, quantized_dimension, 16);
BIFSMN_OFFSET(Tensor, type, 0);
BIFSMN_OFFSET(Tensor, data, 8);
BIFSMN_OFFSET(Tensor, dims, 16);
BIFSMN_OFFSET(Tensor, params, 24);
BIFSMN_OFFSET(Tensor, allocation_type, 32);
BIFSMN_OFFSET(Tensor, bytes, 40);
BIFSMN_OFFSET(Tensor, allocation, 48);
BIFSMN_OFFSET(Tensor, name, 56);
BIFSMN_OFFSET(Tensor, delegate, 64);
BIFSMN_OFFSET(Tensor, buffer_handle, 72);
BIFSMN_OFFSET(Tensor, data_is_stale, 76);
BIFSMN_OFFSET(Tensor, is_variable, 77);
BIFSMN_OFFSET(Tensor, quantization, 80);
BIFSMN_OFFSET(Tensor, sparsity, 96);
BIFSMN_OFFSET(Tensor, dims_signature, 104);
static_assert(sizeof(Tensor) == 112, "Tensor is an array element of Context::tensors");
BIFSMN_OFFSET(Node, outputs, 8);
BIFSMN_OFFSET(Node, user_data, 32);
BIFSMN_OFFSET(Node, builtin_data, 40);
BIFSMN_OFFSET(Node, custom_initial_data, 48);
BIFSMN_OFFSET(Node, custom_initial_data_size, 56);
BIFSMN_OFFSET(Node, delegate, 64);
BIFSMN_OFFSET(Registration, invoke, 24);
BIFSMN_OFFSET(Registration, builtin_code, 40);
BIFSMN_OFFSET(Registration, custom_name, 48);
BIFSMN_OFFSET(Registration, version, 56);
BIFSMN_OFFSET(Registration, registration_external, 64);
BIFSMN_OFFSET(Registration, async_kernel, 72);
BIFSMN_OFFSET(Registration, inplace_operator, 80);
BIFSMN_OFFSET(Registration, reserved, 88);
BIFSMN_OFFSET(ConvParams, stride_width, 4);
BIFSMN_OFFSET(ConvParams, activation, 12);
BIFSMN_OFFSET(ConvParams, dilation_width_factor, 16);
static_assert(sizeof(ConvParams) == 24, "ConvParams is misplaced");
BIFSMN_OFFSET(FullyConnectedParams, weights_format, 4);
BIFSMN_OFFSET(FullyConnectedParams, keep_num_dims, 8);
BIFSMN_OFFSET(DelegateParams, nodes_to_replace, 8);
BIFSMN_OFFSET(DelegateParams, output_tensors, 24);
BIFSMN_OFFSET(Context, GetExecutionPlan, 8);
BIFSMN_OFFSET(Context, tensors, 16);
BIFSMN_OFFSET(Context, ResizeTensor, 32);
BIFSMN_OFFSET(Context, ReportError, 40);
BIFSMN_OFFSET(Context, GetNodeAndRegistration, 56);
BIFSMN_OFFSET(Context, ReplaceNodeSubsetsWithDelegateKernels, 64);
BIFSMN_OFFSET(Context, recommended_num_threads, 72);
BIFSMN_OFFSET(Delegate, Prepare, 8);
BIFSMN_OFFSET(Delegate, flags, 40);
BIFSMN_OFFSET(Delegate, opaque_delegate_builder, 48);
BIFSMN_OFFSET(Delegate, reserved, 56);
#undef BIFSMN_OFFSET
#endif  // defined(__LP64__)

// The numbers of an array; reads past the declared length of `data` on purpose.
inline const int* Data(const IntArray* array) {
  return reinterpret_cast<const int*>(reinterpret_cast<const char*>(array) +
                                      offsetof(IntArray, data));
}
inline const float* Data(const FloatArray* array) {
  return reinterpret_cast<const float*>(reinterpret_cast<const char*>(array) +
                                        offsetof(FloatArray, data));
}

}  // namespace abi
}  // namespace bifsmn

#endif  // BIFSMN_TFLITE_C_ABI_H_
