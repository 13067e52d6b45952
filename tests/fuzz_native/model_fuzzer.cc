// Any bytes as a model file, through the library's own interface: opened and run, or refused with a text.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "under48.h"

namespace {

// The loader takes a path; a file in memory has one.
struct MemoryFile {
  int descriptor = memfd_create("model", 0);
  std::string path = "/proc/self/fd/" + std::to_string(descriptor);

  void write(const std::uint8_t* bytes, std::size_t size) const {
    if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, bytes, size, 0) != static_cast<ssize_t>(size)) std::abort();
  }
};

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const MemoryFile file;
  file.write(bytes, size);
  char error[512] = "";
  u48_classifier* classifier = nullptr;
  const u48_status opened = u48_open(file.path.c_str(), 1, &classifier, error, sizeof error);
  if (opened != U48_OK) {
    must(classifier == nullptr && std::strlen(error) > 20);
    return 0;
  }
  u48_tensor input, output;
  u48_plan plan;
  must(u48_input(classifier, &input) == U48_OK && u48_output(classifier, &output) == U48_OK);
  must(u48_count_nodes(classifier, &plan) == U48_OK);
  const std::vector<std::uint8_t> gray(static_cast<std::size_t>(input.shape[2]) * input.shape[1] * 3, 127);
  const u48_framing framing{1, -1, 1};
  must(u48_set_rgb(classifier, gray.data(), input.shape[2], input.shape[1], &framing, error, sizeof error) == U48_OK);
  std::size_t classes = 1;
  for (int i = 0; i < output.rank; i++) classes *= static_cast<std::size_t>(output.shape[i]);
  std::vector<float> scores(classes);
  if (u48_invoke(classifier, error, sizeof error) == U48_OK) {
    must(u48_scores(classifier, scores.data(), classes, error, sizeof error) == U48_OK);
  }
  u48_close(classifier);
  return 0;
}
