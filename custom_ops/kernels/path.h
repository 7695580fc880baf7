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

// The kernels of one kind of processor, and the choice among them.
//
// Rows of packed activations: `stride` words apart, 16-byte aligned, unused bits and words clear.
// A row that a dense kernel reads has stride a_stride, a multiple of 16 bytes, so that
// kernels load whole 128-bit words. Rows of packed outputs may have any stride of at least
// ceil(outputs / 32) words; a kernel writes all words of a row, those behind the outputs as zero,
// and nothing else.

#ifndef BIFSMN_KERNELS_PATH_H_
#define BIFSMN_KERNELS_PATH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "custom_ops/kernels/aligned_buffer.h"
#include "custom_ops/kernels/bits.h"
#include "custom_ops/kernels/log_mel.h"

namespace bifsmn {

// Outputs that the arrays of the epilogues are padded to.
constexpr int kEndBlock = 32;

// Of DualKernels::memory_to_float.
constexpr int kMostDualTaps = 15;

// Of rows of packed activations, in bytes.
constexpr int kRowAlignment = 16;

constexpr int64_t PaddedWords(int64_t bits) { return (bits + 127) / 128 * 4; }

// Weights of a binary matrix product. The layout of `data` is the path's own business.
struct DenseWeights {
  int outputs = 0;
  int reduction = 0;
  int words = 0;         // ceil(reduction / 32)
  int64_t a_stride = 0;  // words of a row of activations, PaddedWords(reduction)
  AlignedBuffer<uint8_t> data;
};

// Taps of a memory filter.
struct MemoryWeights {
  int outputs = 0;
  int words = 0;               // ceil(outputs / 32)
  int64_t stride = 0;          // words of a row of `signs`, PaddedWords(outputs)
  int planes = 0;              // bits of a count of agreeing taps
  std::vector<int64_t> offsets;  // frames from the present one, ascending, one per tap
  AlignedBuffer<uint32_t> signs;  // (taps, stride)

  // Taps 0 .. look_back - 1 are stride_back apart and end before the present frame; the taps
  // behind it are stride_ahead apart. `weights` is (taps, words) as stored in the model.
  void Assign(const uint32_t* weights, int taps, int outputs, int look_back, int stride_back,
              int stride_ahead);
};

// v = dot * multiplier + bias, the slope for v < 0 and the residual before or after it, in
// float32 with every operation rounded on its own. The arrays are 64-byte aligned and padded with
// zeros to a multiple of kEndBlock outputs.
//
// Where a kernel gives packed signs of v as well, sign n is v >= sign_threshold[n]: the shift of a
// layer that reads v as one bit. Thresholds are finite and not subnormal. v may be subnormal only
// on a thread that does not take subnormals for zeros. Null stands for zeros, by the rule of
// KernelPath::pack.
struct FloatEnd {
  const float* multiplier = nullptr;
  const float* bias = nullptr;
  float slope = 1.0f;
  bool residual_first = false;
  const float* sign_threshold = nullptr;
  // Of DualKernels::memory_to_float alone: null, or the bias of every frame in the place of `bias`.
  const float* const* bias_of_frame = nullptr;

  // Of the outputs from n on, a multiple of kEndBlock.
  FloatEnd From(int n) const {
    return {multiplier + n, bias + n, slope, residual_first,
            sign_threshold == nullptr ? nullptr : sign_threshold + n};
  }
};

// Bit n = (number of differing bits <= limit[n]). From dot >= t: limit = floor((K - t) / 2), at
// least -1, which is never true, and at most K. 64-byte aligned, padded with -1 to a multiple of
// kEndBlock outputs.
struct BitsEnd {
  const int16_t* limit = nullptr;
};

// A real-valued convolution of one input channel. Tap (i, j) of output position (h, w) reads
// x[(h * stride_h + i) * down + (w * stride_w + j) * right]: `down` and `right` may just as well
// transpose the picture.
struct FloatConvShape {
  int out_h = 0, out_w = 0, outputs = 0;
  int kernel_h = 0, kernel_w = 0, stride_h = 1, stride_w = 1;
  int64_t down = 0, right = 0;
};

// What follows its sums: v = sum + bias, the slope for v < 0, and signs as FloatEnd has them. The
// arrays are as long as the outputs rounded up to 16, and 64-byte aligned.
struct FloatConvEnd {
  const float* bias = nullptr;
  float slope = 1.0f;
  const float* sign_threshold = nullptr;
};

// Two bits of an output for a reader of four levels, from D = 2 dot(first) + dot(second). With
//
//   is[i] = D >= threshold[i] or D <= reverse[i]          (a negative slope turns values back)
//
// first = is[1], second = is[first ? 2 : 0]. The arrays are 64-byte aligned and padded to a multiple
// of kEndBlock outputs, with what is never true.
struct LevelsEnd {
  const int32_t* threshold[3] = {};
  const int32_t* reverse[3] = {};
  // The same for C = 2 differing(first) + differing(second): C <= limit[i] or C > beyond[i], from
  // -1 on. Null for a reduction of more than kMostLevelReduction; `beyond` also where it is never.
  const int16_t* limit[3] = {};
  const int16_t* beyond[3] = {};
};
constexpr int kMostLevelReduction = 32767 / 3;

// The two sums of a layer that reads floats x as two bits each: one of dual scale as
//
//   first = x >= shift0;   r = (x - (first ? 1 : -1)) - shift1;   second = r >= 0
//
// and as the mean of |r|, the scale of the second bit; one of four levels as
//
//   first = x >= middle;   second = x >= (first ? high : low)
//
// with a scale of kLevelScale. Comparisons are those of IEEE 754: the
// caller sees to it that the thread does not take subnormals for zeros. Shifts are padded with
// zeros to a multiple of kEndBlock; they and `sums` are 64-byte aligned.
struct DualKernels {
  // Bit c of a row = x[c] >= shift[c]. Everything else as KernelPath::pack.
  void (*pack_shifted)(const float* x, int64_t rows, int channels, const float* shift,
                       uint32_t* out, int64_t out_stride);
  // One row; writes ceil(count / 32) words of either bits. sums[i % 32] += |r| of value i, in
  // ascending order.
  void (*split)(const float* x, int64_t count, const float* shift0, const float* shift1,
                uint32_t* first, uint32_t* second, float* sums);
  // Rows `stride` words apart, of which the same words are written. sums[c] += |r| of channel c,
  // in ascending order; `sums` is padded like the shifts.
  void (*split_over_time)(const float* x, int64_t frames, int channels, const float* shift0,
                          const float* shift1, uint32_t* first, uint32_t* second, int64_t stride,
                          float* sums);
  // Bits of a layer of four levels; rows as pack_shifted writes them, for either bits.
  void (*split_levels)(const float* x, int64_t rows, int channels, const float* low,
                       const float* middle, const float* high, uint32_t* first, uint32_t* second,
                       int64_t out_stride);
  // v = float(first) + scale[r] * float(second), rounded twice, then as KernelPath::dots_to_float.
  void (*dots_to_float)(const int32_t* first, const int32_t* second, const float* scale,
                        int64_t rows, int outputs, const FloatEnd& end, const float* residual,
                        float* out, uint32_t* signs, int64_t signs_stride);
  // Both bits of a reader of four levels; rows of packed outputs.
  void (*dots_to_levels)(const int32_t* first, const int32_t* second, int64_t rows, int outputs,
                         const LevelsEnd& end, uint32_t* out_first, uint32_t* out_second,
                         int64_t out_stride);
  // The epilogue of sums that are floats already; `values` may be `out`.
  void (*values_to_float)(const float* values, int64_t rows, int outputs, const FloatEnd& end,
                          const float* residual, float* out, uint32_t* signs,
                          int64_t signs_stride);

  // Null where a path has no such kernels: then the two sums are stored and `dots_to_float` or
  // `dots_to_levels` follows.
  // KernelPath::dense_dots with both rows, ended as by `dots_to_float`.
  void (*dense_to_float)(const uint32_t* first, const uint32_t* second, const float* scale,
                         int64_t rows, const DenseWeights& w, const FloatEnd& end,
                         const float* residual, float* out, uint32_t* signs,
                         int64_t signs_stride) = nullptr;
  // The same ended as by `dots_to_levels`, for at most kMostLevelReduction.
  void (*dense_to_levels)(const uint32_t* first, const uint32_t* second, int64_t rows,
                          const DenseWeights& w, const LevelsEnd& end, uint32_t* out_first,
                          uint32_t* out_second, int64_t out_stride) = nullptr;
  // Null, too, where a path has none; for at most kMostDualTaps taps. The filter of either bits,
  // combined as above with a scale for every output, ended as KernelPath::memory_to_float. `scale`
  // is aligned and padded like the arrays of the epilogue.
  void (*memory_to_float)(const uint32_t* first, const uint32_t* second, int64_t x_stride,
                          int64_t frames, const MemoryWeights& w, const float* scale,
                          const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                          int64_t signs_stride) = nullptr;
};

// The scale of the second bits of four equidistant levels.
constexpr float kLevelScale = 0.5f;

// That of a dual scale layer: sums[l] += sums[l + 16], 8, 4, 2, 1 over the 32 sums of
// DualKernels::split, then one division.
float DualScale(const float* sums, int64_t count);

struct KernelPath {
  const char* name;

  // Bit c of a row = x[c] >= 0; -0.0 gives 1, NaN 0, a negative subnormal 0 even where the
  // processor flushes subnormals. `x` needs only the alignment of a float.
  void (*pack)(const float* x, int64_t rows, int channels, uint32_t* out, int64_t out_stride);

  // `weights` is (outputs, ceil(reduction / 32)) as stored in the model, unused bits clear.
  void (*dense_prepare)(const uint32_t* weights, int outputs, int reduction, DenseWeights* w);

  // dots[r][n] = reduction - 2 * popcount(a[r] XOR w[n]), (rows, outputs).
  void (*dense_dots)(const uint32_t* a, int64_t rows, const DenseWeights& w, int32_t* dots);
  void (*dense_to_bits)(const uint32_t* a, int64_t rows, const DenseWeights& w, const BitsEnd& end,
                        uint32_t* out, int64_t out_stride);
  // `residual` is null or (rows, outputs), and may be `out`. `signs` is null or receives the
  // packed signs of `out` (FloatEnd).
  void (*dense_to_float)(const uint32_t* a, int64_t rows, const DenseWeights& w,
                         const FloatEnd& end, const float* residual, float* out, uint32_t* signs,
                         int64_t signs_stride);
  // The epilogue alone: `dots` and `out` are (rows, outputs).
  void (*dots_to_float)(const int32_t* dots, int64_t rows, int outputs, const FloatEnd& end,
                        const float* residual, float* out, uint32_t* signs, int64_t signs_stride);

  // Filters one clip: `x` is (frames, x_stride) with one bit per output channel, x_stride at least
  // w.stride and a multiple of 4.
  void (*memory_to_float)(const uint32_t* x, int64_t x_stride, int64_t frames,
                          const MemoryWeights& w, const FloatEnd& end, const float* residual,
                          float* out, uint32_t* signs, int64_t signs_stride);
  // Bit n = (dot >= threshold[n]); thresholds are padded to a multiple of kEndBlock.
  void (*memory_to_bits)(const uint32_t* x, int64_t x_stride, int64_t frames,
                         const MemoryWeights& w, const int16_t* threshold, uint32_t* out,
                         int64_t out_stride);

  // The network's real-valued ends, which are not bit-exact across paths: products and sums may be
  // fused, and summed in any order.
  //
  // `weights` is (taps, outputs rounded up to 16), 64-byte aligned. `out`, (out_h * out_w,
  // outputs), and `signs` may be null. A positive slope may keep a negative sign where its product
  // becomes zero. An infinity or NaN in x may spread to neighbouring positions.
  void (*float_conv)(const float* x, const FloatConvShape& shape, const float* weights,
                     const FloatConvEnd& end, float* out, uint32_t* signs, int64_t signs_stride);
  // y[n] = bias[n] + sum over k of w[n][k] * x[k]; `w` is (outputs, inputs).
  void (*float_matvec)(const float* x, const float* w, const float* bias, int64_t outputs,
                       int64_t inputs, float* y);

  DualKernels dual;

  // As dense_to_bits, with a limit of its own for every output of every row: that of output n in
  // row 8 b + i is limits[b][n][i], (rows / 8 rounded up, outputs padded, 8). Null where a path has
  // no such kernel: then rows of equal limits are multiplied one group after the other.
  void (*dense_to_bits_by_row)(const uint32_t* a, int64_t rows, const DenseWeights& w,
                               const int16_t* limits, uint32_t* out, int64_t out_stride) = nullptr;

  // See log_mel.h.
  void (*log_mel)(const float* audio, LogMelPlan* plan, float* out) = LogMelPortable;
};

// Runs on every processor.
const KernelPath& PortablePath();

// Every path that this processor can run, the best one last.
const std::vector<const KernelPath*>& AvailablePaths();

// The path in use: the best one, or the one that the environment variable BIFSMN_TF_KERNELS names.
// Chosen at the first call; safe to call from several threads. If the variable names a path that is
// unknown or needs another processor, the result is null and `error`, which may be null, receives
// the reason.
const KernelPath* ChosenPath(std::string* error);

}  // namespace bifsmn

#endif  // BIFSMN_KERNELS_PATH_H_
