// From a JPEG file to the pixels that a model takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "framing.h"
#include "under48.h"

namespace under48 {

// Decodes, turns upright, crops to the central fraction and resizes to `target`; `pixels` has room for
// target.width * target.height * 3 bytes. On failure `error` says what is wrong with the file.
u48_status frame_jpeg(const std::uint8_t* file, std::size_t size, float crop, Size target, std::uint8_t* pixels,
                      std::string& error);

// The orientation in an APP1 segment's payload, 1 where there is none that makes sense.
int exif_orientation(const std::uint8_t* segment, std::size_t size);

}  // namespace under48
