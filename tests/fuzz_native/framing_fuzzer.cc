// Any sizes and crops: a picture of one colour stays it, whatever it is framed and turned to.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "framing.h"

namespace {

struct Case {
  std::uint16_t width, height, target_width, target_height;
  std::uint32_t crop;  // of 2^32
  std::uint8_t colour[3], orientation;
};

int side(std::uint16_t number, int largest) { return 1 + number % largest; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  Case given;
  if (size < sizeof given) return 0;
  std::memcpy(&given, bytes, sizeof given);
  const under48::Size source{side(given.width, 2000), side(given.height, 100)};
  const under48::Size target{side(given.target_width, 64), side(given.target_height, 64)};
  const float crop = std::max(1e-7F, static_cast<float>(given.crop) / 4294967296.0F);  // over 0 and at most 1

  std::vector<std::uint8_t> row(static_cast<std::size_t>(source.width) * 3);
  for (std::size_t i = 0; i < row.size(); i++) row[i] = given.colour[i % 3];
  under48::Framing framing(source, under48::central(source, crop), target);
  if (framing.rows_needed() < 1 || framing.rows_needed() > source.height) std::abort();
  for (int y = 0; y < framing.rows_needed(); y++) framing.push(row.data());

  std::vector<std::uint8_t> stored(static_cast<std::size_t>(target.width) * target.height * 3), pixels(stored.size());
  framing.finish(stored.data());
  const int orientation = 1 + given.orientation % 8;
  const under48::Size upright =
      under48::is_transposed(orientation) ? under48::Size{target.height, target.width} : target;
  under48::turn_upright(stored.data(), pixels.data(), upright, orientation);
  for (std::size_t i = 0; i < pixels.size(); i++) {
    if (std::abs(pixels[i] - given.colour[i % 3]) > 1) std::abort();
  }
  return 0;
}
