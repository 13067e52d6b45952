// Any bytes as a JPEG file: pixels or an error text, within the limits that jpeg.cc sets itself.
#include <cstdlib>
#include <string>
#include <vector>

#include "jpeg.h"

namespace {

struct Wanted {
  under48::Size size;
  float crop;
};

// Small, since the sanitizers make framing slow; with crops that keep all, and less than a pixel.
constexpr Wanted kWanted[] = {
    {{64, 64}, 0.875F}, {{48, 32}, 1.0F}, {{1, 1}, 1.0F}, {{1, 100}, 0.5F}, {{37, 5}, 0.001F}, {{96, 96}, 0.3F},
};

// What the first frame header says that there is (ITU T.81, B.2.2); 0 where none comes before the pixels.
std::size_t pixels_of(const std::uint8_t* file, std::size_t size) {
  std::size_t at = 2;
  while (at + 9 <= size && file[at] == 0xFF) {
    const std::uint8_t marker = file[at + 1];
    const bool table = marker == 0xC4 || marker == 0xC8 || marker == 0xCC;
    if (marker >= 0xC0 && marker <= 0xCF && !table) {
      return static_cast<std::size_t>(file[at + 5] << 8 | file[at + 6]) * (file[at + 7] << 8 | file[at + 8]);
    }
    if (marker == 0xDA) return 0;
    at += 2 + static_cast<std::size_t>(file[at + 2] << 8 | file[at + 3]);
  }
  return 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* file, std::size_t size) {
  // Nearly all of the time would go into large pictures, and nearly all of the errors are in small ones, too.
  if (pixels_of(file, size) > 1 << 17 && size % 16 != 0) return -1;
  const Wanted& wanted = kWanted[size % std::size(kWanted)];  // a file stays a file: nothing is cut off it for this
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(wanted.size.width) * wanted.size.height * 3);
  std::string error;
  const u48_status status = under48::frame_jpeg(file, size, wanted.crop, wanted.size, pixels.data(), error);
  const bool refused = status == U48_BAD_IMAGE || status == U48_TOO_LARGE;
  if (status != U48_OK && !refused) std::abort();
  if (refused == error.empty()) std::abort();  // an error has a text, a success has none
  return 0;
}
