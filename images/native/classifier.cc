// The C interface of under48.h over TensorFlow Lite's interpreter and its XNNPACK delegate.
#include "under48.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "framing.h"
#include "graph.h"
#include "jpeg.h"
#include "tensorflow/lite/builtin_ops.h"
#include "tensorflow/lite/core/interpreter.h"
#include "tensorflow/lite/core/interpreter_builder.h"
#include "tensorflow/lite/core/model_builder.h"
#include "tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h"
#include "tensorflow/lite/logger.h"
#include "tensorflow/lite/mutable_op_resolver.h"

// operators.inc: one U48_OPERATOR(NAME, lowest version, highest version) for each operator of the model.
#define U48_OPERATOR(name, lowest, highest) TfLiteRegistration* Register_##name();
namespace tflite::ops::builtin {
#include "operators.inc"
}
#undef U48_OPERATOR

namespace {

using under48::Size;

// A larger side than any classifier's input has: keeps a hostile model from asking for memory without end.
constexpr int kMaxInputSide = 4096;

class Operators : public tflite::MutableOpResolver {
 public:
  Operators() {
#define U48_OPERATOR(name, lowest, highest) \
  AddBuiltin(tflite::BuiltinOperator_##name, tflite::ops::builtin::Register_##name(), lowest, highest);
#include "operators.inc"
#undef U48_OPERATOR
  }
};

// Keeps the first message: it names the cause, the later ones what followed from it.
class FirstMessage : public tflite::ErrorReporter {
 public:
  int Report(const char* format, va_list arguments) override {
    if (!text.empty()) return 0;
    char buffer[512];
    std::vsnprintf(buffer, sizeof buffer, format, arguments);
    text = buffer;
    return 0;
  }
  std::string text;
};

u48_status report(u48_status status, const std::string& sentence, char* error, std::size_t error_size) {
  if (error != nullptr && error_size > 0) std::snprintf(error, error_size, "%s", sentence.c_str());
  return status;
}

}  // namespace

struct u48_classifier {
  FirstMessage messages;
  std::unique_ptr<tflite::FlatBufferModel> model;
  // Declared before the interpreter, which must be destroyed first.
  std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)> xnnpack{nullptr, TfLiteXNNPackDelegateDelete};
  std::unique_ptr<tflite::Interpreter> interpreter;
  std::vector<std::uint8_t> pixels;  // the framed picture of a float model, before it is scaled

  TfLiteTensor* input() const { return interpreter->input_tensor(0); }
  const TfLiteTensor* output() const { return interpreter->output_tensor(0); }
  Size input_size() const { return {input()->dims->data[2], input()->dims->data[1]}; }
};

namespace {

bool is_known_type(TfLiteType type) { return type == kTfLiteFloat32 || type == kTfLiteUInt8 || type == kTfLiteInt8; }

std::size_t elements(const TfLiteTensor& tensor) {
  return tensor.bytes / (tensor.type == kTfLiteFloat32 ? sizeof(float) : 1);
}

// What keeps this model from being a classifier of pictures, or nothing.
const char* misfit(const tflite::Interpreter& interpreter) {
  if (interpreter.inputs().size() != 1 || interpreter.outputs().empty()) return "it has not exactly one input and an output";
  const TfLiteTensor& input = *interpreter.input_tensor(0);
  const TfLiteTensor& output = *interpreter.output_tensor(0);
  if (!is_known_type(input.type) || !is_known_type(output.type)) return "its input or output is not float32, uint8 or int8";
  const TfLiteIntArray& shape = *input.dims;
  if (shape.size != 4 || shape.data[0] != 1 || shape.data[3] != 3) return "its input is not [1, height, width, 3]";
  if (std::min(shape.data[1], shape.data[2]) < 1 || std::max(shape.data[1], shape.data[2]) > kMaxInputSide) {
    return "its input is too large, or has no size of its own";
  }
  if (output.dims->size > 4) return "its output has more than four dimensions";
  return nullptr;
}

bool has_shapes_of(const tflite::Interpreter& interpreter, const tflite::FlatBufferModel& model) {
  const auto& tensors = *model->subgraphs()->Get(0)->tensors();
  for (unsigned i = 0; i < tensors.size(); i++) {
    const TfLiteIntArray& made = *interpreter.tensor(static_cast<int>(i))->dims;
    const auto* written = tensors.Get(i)->shape();
    const std::size_t rank = written == nullptr ? 0 : written->size();
    if (static_cast<std::size_t>(made.size) != rank) return false;
    for (unsigned axis = 0; axis < rank; axis++) {
      if (made.data[axis] != written->Get(axis)) return false;
    }
  }
  return true;
}

u48_tensor describe(const TfLiteTensor& tensor) {
  u48_tensor described{};
  described.type = tensor.type;
  described.rank = tensor.dims->size;
  std::copy_n(tensor.dims->data, tensor.dims->size, described.shape);
  described.scale = tensor.params.scale;
  described.zero_point = tensor.params.zero_point;
  described.bytes = tensor.bytes;
  described.data = tensor.data.data;
  return described;
}

bool is_sound(const u48_framing* framing) { return framing != nullptr && framing->crop > 0 && framing->crop <= 1; }

// Where a picture is framed: a quantised input takes the pixels as they are, so it is framed in place.
std::uint8_t* canvas(u48_classifier& classifier) {
  TfLiteTensor* input = classifier.input();
  return input->type == kTfLiteFloat32 ? classifier.pixels.data() : input->data.uint8;
}

void fill_input(u48_classifier& classifier, const u48_framing& framing) {
  TfLiteTensor* input = classifier.input();
  if (input->type == kTfLiteInt8) {
    for (std::size_t i = 0; i < input->bytes; i++) input->data.uint8[i] ^= 0x80;  // 0..255 to -128..127
  } else if (input->type == kTfLiteFloat32) {
    const float step = (framing.highest - framing.lowest) / 255;
    std::transform(classifier.pixels.begin(), classifier.pixels.end(), input->data.f,
                   [&](std::uint8_t pixel) { return framing.lowest + step * static_cast<float>(pixel); });
  }
}

// Nothing thrown crosses the C interface.
template <typename Function>
u48_status guarded(char* error, std::size_t error_size, Function function) noexcept {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return report(U48_NO_MEMORY, "out of memory", error, error_size);
  } catch (...) {
    return report(U48_FAILED, "an unexpected error inside TensorFlow Lite", error, error_size);
  }
}

u48_status open_model(const char* path, int threads, u48_classifier& classifier, std::string& error) {
  const std::string model = std::string("the model ") + path;
  FirstMessage& messages = classifier.messages;
  classifier.model = tflite::FlatBufferModel::VerifyAndBuildFromFile(path, nullptr, &messages);
  if (!classifier.model) {
    error = model + " cannot be read: " + (messages.text.empty() ? "it is not a whole .tflite file" : messages.text);
    return U48_BAD_MODEL;
  }
  if (const char* reason = under48::flaw(*classifier.model->GetModel())) {
    error = model + " is damaged or of an unknown make: " + reason;
    return U48_BAD_MODEL;
  }
  Operators operators;
  tflite::InterpreterBuilder builder(*classifier.model, operators);
  builder.SetNumThreads(threads);
  if (builder(&classifier.interpreter) != kTfLiteOk || !classifier.interpreter) {
    error = model + " does not fit this library (operators: " + u48_operators() + "): " + messages.text;
    return U48_BAD_MODEL;
  }
  if (const char* reason = misfit(*classifier.interpreter)) {
    error = model + " does not classify pictures: " + reason;
    return U48_BAD_MODEL;
  }
  // Prepared once without XNNPACK, which takes on trust that shapes are what the operators make of them.
  if (classifier.interpreter->AllocateTensors() != kTfLiteOk ||
      !has_shapes_of(*classifier.interpreter, *classifier.model)) {
    error = model + " is damaged: the shapes of its tensors are not those that its operators make. " + messages.text;
    return U48_BAD_MODEL;
  }
  TfLiteXNNPackDelegateOptions options = TfLiteXNNPackDelegateOptionsDefault();
  options.num_threads = threads;
  classifier.xnnpack.reset(TfLiteXNNPackDelegateCreate(&options));
  if (!classifier.xnnpack || classifier.interpreter->ModifyGraphWithDelegate(classifier.xnnpack.get()) != kTfLiteOk ||
      classifier.interpreter->AllocateTensors() != kTfLiteOk) {
    error = model + " cannot be prepared: " + messages.text;
    return U48_FAILED;
  }
  if (classifier.input()->type == kTfLiteFloat32) classifier.pixels.resize(elements(*classifier.input()));
  return U48_OK;
}

}  // namespace

int32_t u48_abi_version(void) { return U48_ABI_VERSION; }

const char* u48_versions(void) { return U48_VERSIONS; }

const char* u48_operators(void) {
  static const std::string names = [] {
    std::string all;
#define U48_OPERATOR(name, lowest, highest) all += #name " ";
#include "operators.inc"
#undef U48_OPERATOR
    all.pop_back();
    return all;
  }();
  return names.c_str();
}

u48_status u48_open(const char* path, int32_t threads, u48_classifier** classifier, char* error, size_t error_size) {
  if (path == nullptr || classifier == nullptr || threads < 1) {
    return report(U48_BAD_ARGUMENT, "u48_open needs a path, at least one thread and a place for the classifier", error,
                  error_size);
  }
  *classifier = nullptr;
  return guarded(error, error_size, [&] {
    // TensorFlow Lite logs to stderr, which belongs to the activation; what matters comes back as text.
    tflite::LoggerOptions::SetMinimumLogSeverity(tflite::TFLITE_LOG_SILENT);
    auto opened = std::make_unique<u48_classifier>();
    std::string sentence;
    const u48_status status = open_model(path, threads, *opened, sentence);
    if (status != U48_OK) return report(status, sentence, error, error_size);
    *classifier = opened.release();
    return U48_OK;
  });
}

void u48_close(u48_classifier* classifier) { delete classifier; }

u48_status u48_input(const u48_classifier* classifier, u48_tensor* tensor) {
  if (classifier == nullptr || tensor == nullptr) return U48_BAD_ARGUMENT;
  *tensor = describe(*classifier->input());
  return U48_OK;
}

u48_status u48_output(const u48_classifier* classifier, u48_tensor* tensor) {
  if (classifier == nullptr || tensor == nullptr) return U48_BAD_ARGUMENT;
  *tensor = describe(*classifier->output());
  return U48_OK;
}

u48_status u48_count_nodes(const u48_classifier* classifier, u48_plan* plan) {
  if (classifier == nullptr || plan == nullptr) return U48_BAD_ARGUMENT;
  const tflite::Interpreter& interpreter = *classifier->interpreter;
  int left = 0;
  for (int index : interpreter.execution_plan()) {
    const auto* node = interpreter.node_and_registration(index);
    if (node->second.builtin_code != kTfLiteBuiltinDelegate) left++;
  }
  plan->nodes = static_cast<int32_t>(classifier->model->GetModel()->subgraphs()->Get(0)->operators()->size());
  plan->delegated = plan->nodes - left;
  return U48_OK;
}

u48_status u48_set_jpeg(u48_classifier* classifier, const uint8_t* file, size_t size, const u48_framing* framing,
                        char* error, size_t error_size) {
  if (classifier == nullptr || file == nullptr || !is_sound(framing)) {
    return report(U48_BAD_ARGUMENT, "u48_set_jpeg needs a classifier, a file and a crop over 0 and at most 1", error,
                  error_size);
  }
  return guarded(error, error_size, [&] {
    std::string sentence;
    const u48_status status =
        under48::frame_jpeg(file, size, framing->crop, classifier->input_size(), canvas(*classifier), sentence);
    if (status != U48_OK) return report(status, sentence, error, error_size);
    fill_input(*classifier, *framing);
    return U48_OK;
  });
}

u48_status u48_set_rgb(u48_classifier* classifier, const uint8_t* pixels, int32_t width, int32_t height,
                       const u48_framing* framing, char* error, size_t error_size) {
  if (classifier == nullptr || pixels == nullptr || width < 1 || height < 1 || !is_sound(framing)) {
    return report(U48_BAD_ARGUMENT, "u48_set_rgb needs a classifier, pixels and a crop over 0 and at most 1", error,
                  error_size);
  }
  return guarded(error, error_size, [&] {
    const Size source{width, height};
    under48::Framing framed(source, under48::central(source, framing->crop), classifier->input_size());
    for (int y = 0; y < framed.rows_needed(); y++) framed.push(pixels + static_cast<std::ptrdiff_t>(y) * width * 3);
    framed.finish(canvas(*classifier));
    fill_input(*classifier, *framing);
    return U48_OK;
  });
}

u48_status u48_invoke(u48_classifier* classifier, char* error, size_t error_size) {
  if (classifier == nullptr) return report(U48_BAD_ARGUMENT, "u48_invoke needs a classifier", error, error_size);
  return guarded(error, error_size, [&] {
    classifier->messages.text.clear();
    if (classifier->interpreter->Invoke() == kTfLiteOk) return U48_OK;
    return report(U48_FAILED, "the model could not be run: " + classifier->messages.text, error, error_size);
  });
}

u48_status u48_scores(const u48_classifier* classifier, float* scores, size_t count, char* error, size_t error_size) {
  if (classifier == nullptr || scores == nullptr || count != elements(*classifier->output())) {
    return report(U48_BAD_ARGUMENT, "u48_scores needs a classifier and room for each element of its output", error,
                  error_size);
  }
  const TfLiteTensor& output = *classifier->output();
  const auto real = [&](int stored) { return static_cast<float>(stored - output.params.zero_point) * output.params.scale; };
  if (output.type == kTfLiteFloat32) {
    std::copy_n(output.data.f, count, scores);
  } else if (output.type == kTfLiteUInt8) {
    std::transform(output.data.uint8, output.data.uint8 + count, scores, real);
  } else {
    std::transform(output.data.int8, output.data.int8 + count, scores, real);
  }
  return U48_OK;
}
