// What a model's graph must be before TensorFlow Lite and XNNPACK may prepare it.
//
// The verifier of flatbuffers proves that every offset stays within the file. TensorFlow Lite and XNNPACK, made for
// what a converter writes, take much of the rest on trust. Here is looked at what a fuzzer (tests/fuzz_native) saw them
// crash on, and at what is like it. All of it is in this header, since CMakeLists.txt names the source files.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/schema/schema_utils.h"

namespace under48 {
namespace graph {

// Far above any classifier of pictures, and within what a machine has.
constexpr std::uint64_t kMaxTensorBytes = 64U << 20;
constexpr std::uint64_t kMaxTensorsBytes = 256U << 20;
constexpr std::int64_t kMaxSteps = 1 << 22;  // of a window over a picture; XNNPACK keeps a pointer for each
constexpr int kMaxStride = 1024;
constexpr unsigned kMaxRank = 5;
constexpr float kMinScale = 1e-18F, kMaxScale = 1e9F;  // of a constant: products and quotients of two stay finite
constexpr float kMinStep = 1e-6F, kMaxStep = 1e6F;     // of what is computed: a whole number of steps stays an int
constexpr std::int32_t kMaxBias = 1 << 30;             // what is added to it must fit beside it
constexpr float kMaxBeta = 1000;                       // of a softmax, nearly always 1
constexpr float kMaxRatio = 65536;                     // of the scales of what is added

using Tensors = flatbuffers::Vector<flatbuffers::Offset<tflite::Tensor>>;

inline unsigned size_of(tflite::TensorType type) {
  switch (type) {
    case tflite::TensorType_INT64: return 8;
    case tflite::TensorType_FLOAT32:
    case tflite::TensorType_INT32: return 4;
    case tflite::TensorType_FLOAT16:
    case tflite::TensorType_INT16: return 2;
    case tflite::TensorType_UINT8:
    case tflite::TensorType_INT8:
    case tflite::TensorType_BOOL: return 1;
    default: return 0;  // none that numbers are computed with
  }
}

// 0 where a dimension is not positive, or the whole too large.
inline std::uint64_t bytes_of(const tflite::Tensor& tensor) {
  std::uint64_t bytes = size_of(tensor.type());
  if (tensor.shape() == nullptr) return bytes;
  for (const int size : *tensor.shape()) {
    if (size < 1) return 0;
    bytes *= static_cast<std::uint64_t>(size);
    if (bytes > kMaxTensorBytes) return 0;
  }
  return bytes;
}

inline bool holds(tflite::TensorType type, std::int64_t zero_point) {
  switch (type) {
    case tflite::TensorType_UINT8: return zero_point >= 0 && zero_point <= 255;
    case tflite::TensorType_INT8: return zero_point >= -128 && zero_point <= 127;
    default: return zero_point == 0;
  }
}

// The verifier looks at the alignment of a vector's length only.
template <typename Element>
bool is_aligned(const flatbuffers::Vector<Element>& vector, std::size_t size) {
  return reinterpret_cast<std::uintptr_t>(vector.data()) % size == 0;
}

// Integers of one byte stand for real numbers by a scale and a zero point, one for all or one for each channel.
inline bool has_sound_quantization(const tflite::Tensor& tensor, bool constant) {
  const tflite::QuantizationParameters* quantization = tensor.quantization();
  if (quantization == nullptr || quantization->scale() == nullptr || quantization->scale()->size() == 0) {
    return tensor.type() != tflite::TensorType_UINT8 && tensor.type() != tflite::TensorType_INT8;
  }
  if (quantization->details() != nullptr) return false;
  const auto* scales = quantization->scale();
  const auto* zero_points = quantization->zero_point();
  if (zero_points == nullptr || zero_points->size() != scales->size()) return false;
  if (!is_aligned(*zero_points, sizeof(std::int64_t))) return false;
  if (scales->size() > 1) {
    const int axis = quantization->quantized_dimension();
    const auto* shape = tensor.shape();
    if (shape == nullptr || axis < 0 || axis >= static_cast<int>(shape->size())) return false;
    if (shape->Get(static_cast<unsigned>(axis)) != static_cast<int>(scales->size())) return false;
  }
  const float least = constant ? kMinScale : kMinStep, most = constant ? kMaxScale : kMaxStep;
  return std::all_of(scales->begin(), scales->end(), [&](float scale) { return scale >= least && scale <= most; }) &&
         std::all_of(zero_points->begin(), zero_points->end(),
                     [&](std::int64_t zero_point) { return holds(tensor.type(), zero_point); });
}

inline bool is_constant(const tflite::Model& model, const tflite::Tensor& tensor) {
  const tflite::Buffer* buffer = tensor.buffer() == 0 ? nullptr : model.buffers()->Get(tensor.buffer());
  return buffer != nullptr && buffer->data() != nullptr;
}

inline const char* flaw_of_tensors(const tflite::Model& model, const Tensors& tensors) {
  std::uint64_t computed = 0;
  for (const tflite::Tensor* tensor : tensors) {
    if (tensor->buffer() >= model.buffers()->size()) return "a tensor has a buffer that is not there";
    if (tensor->is_variable() || tensor->sparsity() != nullptr) return "a tensor is variable or sparse";
    if (size_of(tensor->type()) == 0) return "a tensor is of a type that no classifier of pictures needs";
    if (tensor->shape() != nullptr && tensor->shape()->size() > kMaxRank) return "a tensor has too many dimensions";
    const std::uint64_t bytes = bytes_of(*tensor);
    if (bytes == 0) return "a tensor has an empty or too large dimension";
    if (!has_sound_quantization(*tensor, is_constant(model, *tensor))) return "a tensor's quantisation makes no sense";
    if (is_constant(model, *tensor)) {
      const auto& constant = *model.buffers()->Get(tensor->buffer())->data();
      if (constant.size() != bytes) return "a constant is not of its tensor's size";
      if (!is_aligned(constant, size_of(tensor->type()))) return "a constant does not lie at a multiple of its size";
    } else if ((computed += bytes) > kMaxTensorsBytes) {
      return "its tensors are too large";
    }
  }
  return nullptr;
}

// An operator's tensor, or nothing where it has not so many, or leaves this one out.
inline const tflite::Tensor* tensor_of(const flatbuffers::Vector<int>& indices, unsigned which,
                                       const Tensors& tensors) {
  if (which >= indices.size() || indices.Get(which) < 0) return nullptr;
  return tensors.Get(static_cast<unsigned>(indices.Get(which)));
}

// Height times width of a picture or a kernel: [number, height, width, channels].
inline std::int64_t area_of(const tflite::Tensor* tensor) {
  if (tensor == nullptr || tensor->shape() == nullptr || tensor->shape()->size() != 4) return 0;
  return static_cast<std::int64_t>(tensor->shape()->Get(1)) * tensor->shape()->Get(2);
}

// 0 for a tensor that stands for itself.
inline float scale_of(const tflite::Tensor* tensor) {
  const auto* quantization = tensor == nullptr ? nullptr : tensor->quantization();
  const auto* scales = quantization == nullptr ? nullptr : quantization->scale();
  return scales == nullptr || scales->size() == 0 ? 0 : scales->Get(0);
}

inline bool is_scaled_alike(const tflite::Tensor* one, const tflite::Tensor* other) {
  if (scale_of(one) != scale_of(other)) return false;
  return scale_of(one) == 0 || one->quantization()->zero_point()->Get(0) == other->quantization()->zero_point()->Get(0);
}

// A window that moves over a picture: how many steps it takes, how far apart they are.
inline bool is_sound(std::int64_t picture, std::int64_t window, std::initializer_list<int> distances) {
  return picture > 0 && window > 0 && picture * window <= kMaxSteps &&
         std::all_of(distances.begin(), distances.end(), [](int d) { return d >= 1 && d <= kMaxStride; });
}

// What the fields of options may be; the verifier lets any number pass.
template <typename Options>
bool is_known(const Options& options) {
  return options.fused_activation_function() >= tflite::ActivationFunctionType_MIN &&
         options.fused_activation_function() <= tflite::ActivationFunctionType_MAX;
}

template <typename Options>
bool is_known_window(const Options& options) {
  return is_known(options) && options.padding() >= tflite::Padding_MIN && options.padding() <= tflite::Padding_MAX;
}

// A sum of 32 bits begins with its bias: there must be room for what is added.
inline bool has_sound_bias(const tflite::Model& model, const tflite::Tensor* bias) {
  if (bias == nullptr || bias->type() != tflite::TensorType_INT32 || !is_constant(model, *bias)) return true;
  const auto& bytes = *model.buffers()->Get(bias->buffer())->data();
  for (unsigned i = 0; i + 4 <= bytes.size(); i += 4) {
    const auto value = flatbuffers::ReadScalar<std::int32_t>(bytes.data() + i);
    if (value > kMaxBias || value < -kMaxBias) return false;
  }
  return true;
}

inline bool has_sound_options(tflite::BuiltinOperator code, const tflite::Operator& node, const tflite::Model& model,
                              const Tensors& tensors) {
  const tflite::Tensor* picture = tensor_of(*node.inputs(), 0, tensors);
  const tflite::Tensor* result = tensor_of(*node.outputs(), 0, tensors);
  const std::int64_t kernel = area_of(tensor_of(*node.inputs(), 1, tensors));
  const auto is_sound_conv = [&](const auto* conv) {
    return conv != nullptr && is_known_window(*conv) && has_sound_bias(model, tensor_of(*node.inputs(), 2, tensors)) &&
           is_sound(area_of(picture), kernel,
                    {conv->stride_h(), conv->stride_w(), conv->dilation_h_factor(), conv->dilation_w_factor()});
  };
  if (code == tflite::BuiltinOperator_CONV_2D) return is_sound_conv(node.builtin_options_as_Conv2DOptions());
  if (code == tflite::BuiltinOperator_DEPTHWISE_CONV_2D) {
    return is_sound_conv(node.builtin_options_as_DepthwiseConv2DOptions());
  }
  if (code == tflite::BuiltinOperator_AVERAGE_POOL_2D || code == tflite::BuiltinOperator_MAX_POOL_2D) {
    const auto* pool = node.builtin_options_as_Pool2DOptions();
    return pool != nullptr && is_known_window(*pool) && is_scaled_alike(picture, result) &&
           is_sound(1, 1, {pool->filter_height(), pool->filter_width(), pool->stride_h(), pool->stride_w()}) &&
           is_sound(area_of(picture), std::int64_t{pool->filter_height()} * pool->filter_width(), {});
  }
  if (code == tflite::BuiltinOperator_ADD) {
    const auto* add = node.builtin_options_as_AddOptions();
    const auto [least, most] =
        std::minmax({scale_of(picture), scale_of(tensor_of(*node.inputs(), 1, tensors)), scale_of(result)});
    return add != nullptr && is_known(*add) && most <= kMaxRatio * least;
  }
  if (code == tflite::BuiltinOperator_SOFTMAX) {
    const auto* softmax = node.builtin_options_as_SoftmaxOptions();
    return softmax != nullptr && softmax->beta() > 0 && softmax->beta() <= kMaxBeta;
  }
  return true;
}

// Every operator takes what is there when its turn comes; what it makes is made by no other, and wanted by one.
inline const char* flaw_of_operators(const tflite::Model& model, const tflite::SubGraph& graph) {
  const Tensors& tensors = *graph.tensors();
  std::vector<bool> there(tensors.size()), wanted(tensors.size());
  for (unsigned i = 0; i < tensors.size(); i++) there[i] = is_constant(model, *tensors.Get(i));
  const auto is_tensor = [&](int index) { return index >= 0 && static_cast<unsigned>(index) < tensors.size(); };
  const auto make = [&](int index) {
    if (!is_tensor(index) || there[static_cast<unsigned>(index)]) return false;
    there[static_cast<unsigned>(index)] = true;
    return true;
  };
  const auto is_computed = [&](int index) {
    return is_tensor(index) && !is_constant(model, *tensors.Get(static_cast<unsigned>(index)));
  };
  if (!std::all_of(graph.inputs()->begin(), graph.inputs()->end(), make)) return "its input is no tensor of its own";
  for (const tflite::Operator* node : *graph.operators()) {
    if (node->opcode_index() >= model.operator_codes()->size()) return "an operator is of no known kind";
    if (node->inputs() == nullptr || node->outputs() == nullptr || node->outputs()->size() == 0) {
      return "an operator has no input or no output";
    }
    const bool has_intermediates = node->intermediates() != nullptr && node->intermediates()->size() > 0;
    if (has_intermediates || node->custom_options() != nullptr || node->large_custom_options_offset() != 0) {
      return "an operator has options or tensors that none has here";
    }
    bool fed = true;
    for (unsigned i = 0; i < node->inputs()->size(); i++) {
      const int index = node->inputs()->Get(i);
      if (index == -1 && i >= 2) continue;  // left out, as a bias may be
      fed = fed && is_tensor(index) && there[static_cast<unsigned>(index)];
      if (fed) wanted[static_cast<unsigned>(index)] = true;
    }
    if (!fed || std::none_of(node->inputs()->begin(), node->inputs()->end(), is_computed)) {
      return "an operator takes a tensor that is not there yet, or nothing but constants";
    }
    if (!std::all_of(node->outputs()->begin(), node->outputs()->end(), make)) return "a tensor is made twice";
    const tflite::BuiltinOperator code = tflite::GetBuiltinCode(model.operator_codes()->Get(node->opcode_index()));
    if (!has_sound_options(code, *node, model, tensors)) return "an operator's options make no sense";
  }
  for (const int output : *graph.outputs()) {
    const bool given = std::find(graph.inputs()->begin(), graph.inputs()->end(), output) != graph.inputs()->end();
    if (given || !is_computed(output) || !there[static_cast<unsigned>(output)]) return "no operator makes its output";
    wanted[static_cast<unsigned>(output)] = true;
  }
  for (const tflite::Operator* node : *graph.operators()) {
    for (const int made : *node->outputs()) {
      if (!wanted[static_cast<unsigned>(made)]) return "nothing takes what an operator makes";
    }
  }
  return nullptr;
}

}  // namespace graph

// What keeps the graph in a verified file from being run, or nothing.
inline const char* flaw(const tflite::Model& model) {
  if (model.subgraphs() == nullptr || model.subgraphs()->size() != 1) return "it has not exactly one graph";
  const tflite::SubGraph& subgraph = *model.subgraphs()->Get(0);
  if (model.operator_codes() == nullptr || model.buffers() == nullptr || subgraph.tensors() == nullptr ||
      subgraph.operators() == nullptr || subgraph.inputs() == nullptr || subgraph.outputs() == nullptr) {
    return "a part of it is missing";
  }
  for (const tflite::OperatorCode* code : *model.operator_codes()) {
    if (tflite::GetBuiltinCode(code) == tflite::BuiltinOperator_CUSTOM) return "it has an operator of its own making";
  }
  for (const tflite::Buffer* buffer : *model.buffers()) {
    if (buffer->offset() > 1 || buffer->size() > 1) return "it keeps a constant outside of its tables";
  }
  if (const char* found = graph::flaw_of_tensors(model, *subgraph.tensors())) return found;
  return graph::flaw_of_operators(model, subgraph);
}

}  // namespace under48
