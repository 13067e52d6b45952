#include "jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include <jpeglib.h>
#include <jerror.h>

namespace under48 {
namespace {

// What a file may cost: its pixels bound the time, the coefficients that a progressive file keeps bound the memory,
// and the number of its scans, each of which walks over all of them, bounds the time again: 94 scans of 41 million
// pixels are 170 kB, and took 3 s. A photo has about ten.
constexpr std::uint64_t kMaxPixels = 100'000'000;
constexpr long kMaxMemory = 80L << 20;
constexpr std::uint64_t kMaxScans = 100;
constexpr std::uint64_t kMaxScannedPixels = 1'000'000'000;

struct Errors {
  jpeg_error_mgr manager;  // first, so that libjpeg's pointer to it is one to this
  std::jmp_buf escape;
  bool file_ended;      // before its end marker
  unsigned components;  // a bit for each that a scan has brought
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void fail(j_common_ptr codec) {
  auto* errors = reinterpret_cast<Errors*>(codec->err);
  codec->err->format_message(codec, errors->text);
  std::longjmp(errors->escape, 1);
}

[[noreturn]] void refuse(j_common_ptr codec, const char* reason, int code = JMSG_NOMESSAGE) {
  auto* errors = reinterpret_cast<Errors*>(codec->err);
  codec->err->msg_code = code;
  std::snprintf(errors->text, sizeof errors->text, "%s", reason);
  std::longjmp(errors->escape, 1);
}

[[noreturn]] void refuse_cut(j_common_ptr codec) { refuse(codec, "its data ends before the picture does"); }

// Of libjpeg's warnings, one says that data is missing: the decoder of Huffman codes needs more, and the end of the file
// or a marker, be it the end marker, has come. libjpeg shows grey instead. The others are of damage that leaves a picture.
void warn(j_common_ptr codec, int level) {
  if (level >= 0) return;  // a trace, no warning
  if (codec->err->msg_code == JWRN_HIT_MARKER) refuse_cut(codec);
  if (codec->err->msg_code == JWRN_JPEG_EOF) reinterpret_cast<Errors*>(codec->err)->file_ended = true;
}

// Called before each row of the input and of the output.
void watch_scans(j_common_ptr codec) {
  auto* decoder = reinterpret_cast<j_decompress_ptr>(codec);
  const auto scans = static_cast<std::uint64_t>(decoder->input_scan_number);
  const std::uint64_t pixels = static_cast<std::uint64_t>(decoder->image_width) * decoder->image_height;
  if (scans > kMaxScans || scans * pixels > kMaxScannedPixels) {
    refuse(codec, "it has more scans than any camera or program writes");
  }
  auto* errors = reinterpret_cast<Errors*>(codec->err);
  for (int i = 0; i < decoder->comps_in_scan; i++) {
    errors->components |= 1U << decoder->cur_comp_info[i]->component_index;
  }
}

// Whether the scans were all there: each component must have come and, of a progressive file, each coefficient to its
// last bit. An arithmetic decoder goes on with zeros where its data ends and says nothing, so it must not have met the
// end of the file; an end marker in the middle of its data is not noticed.
bool is_whole(const jpeg_decompress_struct& codec, const Errors& errors) {
  if (codec.arith_code && errors.file_ended) return false;
  if (errors.components != (1U << codec.num_components) - 1) return false;
  if (!codec.progressive_mode) return true;
  const int* bits = codec.coef_bits[0];
  return std::all_of(bits, bits + codec.num_components * DCTSIZE2, [](int missing) { return missing == 0; });
}

// Inks to light. Adobe's programs store the complement of the ink, and say so with their marker.
void cmyk_to_rgb(const JSAMPLE* inks, JSAMPLE* rgb, int width, bool complemented) {
  for (int x = 0; x < width; x++, inks += 4, rgb += 3) {
    for (int c = 0; c < 3; c++) {
      const int color = complemented ? inks[c] : 255 - inks[c];
      const int black = complemented ? inks[3] : 255 - inks[3];
      rgb[c] = static_cast<JSAMPLE>((color * black + 127) / 255);
    }
  }
}

// The smallest eighth at which the cropped picture still covers the target: less to decode, and part of the resize.
unsigned scale_for(Size source, float crop, Size target) {
  for (unsigned eighths = 1; eighths < 8; eighths++) {
    const float kept = crop * static_cast<float>(eighths) / 8;
    if (static_cast<float>(source.width) * kept >= static_cast<float>(target.width) &&
        static_cast<float>(source.height) * kept >= static_cast<float>(target.height)) {
      return eighths;
    }
  }
  return 8;
}

struct Job {
  float crop;
  Size target;                     // upright
  std::optional<Framing> framing;  // lives outside of what longjmp leaves
  int orientation = 1;
};

// Everything that libjpeg may leave by longjmp: no object with a destructor lives in here.
void decode(jpeg_decompress_struct& codec, const Errors& errors, const std::uint8_t* file, std::size_t size, Job& job) {
  auto common = reinterpret_cast<j_common_ptr>(&codec);
  codec.mem->max_memory_to_use = kMaxMemory;
  jpeg_mem_src(&codec, file, static_cast<unsigned long>(size));
  jpeg_save_markers(&codec, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&codec, TRUE);
  if (static_cast<std::uint64_t>(codec.image_width) * codec.image_height > kMaxPixels) {
    refuse(common, "it has more than 100 million pixels", JERR_IMAGE_TOO_BIG);
  }
  for (jpeg_saved_marker_ptr marker = codec.marker_list; marker != nullptr; marker = marker->next) {
    if (job.orientation == 1) job.orientation = exif_orientation(marker->data, marker->data_length);
  }
  const Size target = is_transposed(job.orientation) ? Size{job.target.height, job.target.width} : job.target;
  const bool inks = codec.jpeg_color_space == JCS_CMYK || codec.jpeg_color_space == JCS_YCCK;
  codec.out_color_space = inks ? JCS_CMYK : JCS_RGB;
  codec.scale_denom = 8;
  codec.scale_num =
      scale_for({static_cast<int>(codec.image_width), static_cast<int>(codec.image_height)}, job.crop, target);
  jpeg_start_decompress(&codec);

  const Size decoded{static_cast<int>(codec.output_width), static_cast<int>(codec.output_height)};
  job.framing.emplace(decoded, central(decoded, job.crop), target);
  JSAMPARRAY row = codec.mem->alloc_sarray(common, JPOOL_IMAGE, codec.output_width * (inks ? 4 : 3), 1);
  JSAMPARRAY rgb = inks ? codec.mem->alloc_sarray(common, JPOOL_IMAGE, codec.output_width * 3, 1) : row;
  for (int y = 0; y < decoded.height; y++) {
    jpeg_read_scanlines(&codec, row, 1);
    if (y >= job.framing->rows_needed()) continue;  // decoded all the same: whether the file is whole shows at its end
    if (inks) cmyk_to_rgb(row[0], rgb[0], decoded.width, codec.saw_Adobe_marker);
    job.framing->push(rgb[0]);
  }
  if (!is_whole(codec, errors)) refuse_cut(common);
  jpeg_finish_decompress(&codec);  // reads up to the end marker
}

// Owns the decoder: destroyed however frame_jpeg is left.
struct Codec {
  jpeg_decompress_struct decoder{};
  Errors errors{};
  jpeg_progress_mgr progress{};

  Codec() {
    decoder.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = fail;
    errors.manager.emit_message = warn;
    progress.progress_monitor = watch_scans;
  }
  ~Codec() { jpeg_destroy_decompress(&decoder); }
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;
};

// False when libjpeg gave up; the only frame that it jumps back to, and one without objects of its own.
bool attempt(Codec& codec, const std::uint8_t* file, std::size_t size, Job& job) {
  if (setjmp(codec.errors.escape) != 0) return false;
  jpeg_create_decompress(&codec.decoder);
  codec.decoder.progress = &codec.progress;
  decode(codec.decoder, codec.errors, file, size, job);
  return true;
}

std::uint32_t number(const std::uint8_t* bytes, int count, bool big_endian) {
  std::uint32_t value = 0;
  for (int i = 0; i < count; i++) value |= static_cast<std::uint32_t>(bytes[i]) << 8 * (big_endian ? count - 1 - i : i);
  return value;
}

}  // namespace

// Exif 2.32, 4.5 and 4.6.4: "Exif\0\0", then a TIFF header, whose first directory may hold tag 0x0112 (SHORT, 1 value).
int exif_orientation(const std::uint8_t* segment, std::size_t size) {
  if (size < 14 || std::memcmp(segment, "Exif\0", 6) != 0) return 1;
  const std::uint8_t* tiff = segment + 6;
  const std::size_t length = size - 6;
  const bool big_endian = tiff[0] == 'M';
  if (std::memcmp(tiff, big_endian ? "MM\0*" : "II*\0", 4) != 0) return 1;
  const std::size_t directory = number(tiff + 4, 4, big_endian);
  if (directory > length - 2) return 1;
  const std::size_t entries = number(tiff + directory, 2, big_endian);
  for (std::size_t i = 0; i < entries; i++) {
    const std::size_t entry = directory + 2 + i * 12;
    if (entry + 12 > length) return 1;
    if (number(tiff + entry, 2, big_endian) != 0x0112) continue;
    const bool one_short =
        number(tiff + entry + 2, 2, big_endian) == 3 && number(tiff + entry + 4, 4, big_endian) == 1;
    const auto value = static_cast<int>(number(tiff + entry + 8, 2, big_endian));
    return one_short && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

u48_status frame_jpeg(const std::uint8_t* file, std::size_t size, float crop, Size target, std::uint8_t* pixels,
                      std::string& error) {
  Job job{crop, target, std::nullopt};
  Codec codec;
  if (!attempt(codec, file, size, job)) {
    const int code = codec.errors.manager.msg_code;
    const bool memory = code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE;
    error = "this JPEG cannot be decoded: ";
    error += memory ? "that would take more than 80 MiB; send a smaller or a baseline one" : codec.errors.text;
    return memory || code == JERR_IMAGE_TOO_BIG ? U48_TOO_LARGE : U48_BAD_IMAGE;
  }
  if (job.orientation == 1) {
    job.framing->finish(pixels);
  } else {
    const auto count = static_cast<std::size_t>(target.width) * static_cast<std::size_t>(target.height);
    std::vector<std::uint8_t> stored(count * 3);
    job.framing->finish(stored.data());
    turn_upright(stored.data(), pixels, target, job.orientation);
  }
  return U48_OK;
}

}  // namespace under48
