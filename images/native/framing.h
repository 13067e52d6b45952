// Crop and resize of a picture that arrives row by row, so that no more than one source row is held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace under48 {

struct Size {
  int width;
  int height;
};

// The part of the source that is kept, in source pixels; fractions of a pixel count.
struct Box {
  float left, top, right, bottom;
};

// The central `fraction` of each side.
Box central(Size source, float fraction);

// Resizes with the triangle filter, widened when shrinking so that every source pixel counts (antialiasing).
class Framing {
 public:
  Framing(Size source, Box box, Size target);

  // Takes the next source row of source.width * 3 bytes, from the top.
  void push(const std::uint8_t* row);

  // How many source rows matter; those after it need not be decoded.
  int rows_needed() const { return rows_needed_; }

  // Rounds into target.width * target.height * 3 bytes.
  void finish(std::uint8_t* pixels) const;

 private:
  struct Taps {  // the source positions and weights that make one target position
    int first;
    int count;
    std::size_t weights;  // index into a list of weights
  };
  static std::vector<Taps> taps(int source, float from, float to, int target, std::vector<float>& weights);

  int next_row_ = 0;
  int rows_needed_ = 0;
  std::vector<float> column_weights_, row_weights_;
  std::vector<Taps> columns_, rows_;
  std::vector<float> line_;  // the current source row at the target's width
  std::vector<float> sums_;  // the target, as sums of weighted lines
};

// EXIF orientation 1..8 (Exif 2.32, tag 0x0112): copies `upright.width * upright.height * 3` bytes, turned.
// `stored` holds the picture as it was stored: transposed in size when orientation is 5 or more.
void turn_upright(const std::uint8_t* stored, std::uint8_t* pixels, Size upright, int orientation);

inline bool is_transposed(int orientation) { return orientation >= 5 && orientation <= 8; }

}  // namespace under48
