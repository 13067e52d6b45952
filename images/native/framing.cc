#include "framing.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace under48 {

Box central(Size source, float fraction) {
  const float w = static_cast<float>(source.width), h = static_cast<float>(source.height);
  const float x = w * (1 - fraction) / 2, y = h * (1 - fraction) / 2;
  return {x, y, w - x, h - y};
}

std::vector<Framing::Taps> Framing::taps(int source, float from, float to, int target, std::vector<float>& weights) {
  const float scale = (to - from) / static_cast<float>(target);
  const float support = std::max(scale, 1.0F);
  std::vector<Taps> all;
  all.reserve(static_cast<std::size_t>(target));
  for (int i = 0; i < target; i++) {
    const float center = from + (static_cast<float>(i) + 0.5F) * scale;
    const int first = std::clamp(static_cast<int>(std::floor(center - support + 0.5F)), 0, source - 1);
    const int last = std::clamp(static_cast<int>(std::floor(center + support + 0.5F)), first + 1, source);
    const std::size_t start = weights.size();
    float sum = 0;
    for (int s = first; s < last; s++) {
      const float weight = std::max(0.0F, 1 - std::fabs(static_cast<float>(s) + 0.5F - center) / support);
      weights.push_back(weight);
      sum += weight;
    }
    if (sum <= 0) {  // a box thinner than a pixel, between two pixel centres: the nearer one
      weights[start] = sum = 1;
    }
    for (std::size_t k = start; k < weights.size(); k++) weights[k] /= sum;
    all.push_back({first, last - first, start});
  }
  return all;
}

Framing::Framing(Size source, Box box, Size target)
    : columns_(taps(source.width, box.left, box.right, target.width, column_weights_)),
      rows_(taps(source.height, box.top, box.bottom, target.height, row_weights_)),
      line_(static_cast<std::size_t>(target.width) * 3),
      sums_(static_cast<std::size_t>(target.height) * line_.size()) {
  rows_needed_ = rows_.back().first + rows_.back().count;
}

void Framing::push(const std::uint8_t* row) {
  const int y = next_row_++;
  if (y < rows_.front().first || y >= rows_needed_) return;
  float* out = line_.data();
  for (const Taps& tap : columns_) {
    const float* weight = column_weights_.data() + tap.weights;
    const std::uint8_t* pixel = row + static_cast<std::ptrdiff_t>(tap.first) * 3;
    float red = 0, green = 0, blue = 0;
    for (int i = 0; i < tap.count; i++, pixel += 3) {
      red += weight[i] * pixel[0];
      green += weight[i] * pixel[1];
      blue += weight[i] * pixel[2];
    }
    *out++ = red;
    *out++ = green;
    *out++ = blue;
  }
  // Rows are sorted by their first source row: those that end before y are a prefix, those that begin after it a tail.
  const auto end_of = [](const Taps& tap) { return tap.first + tap.count; };
  auto tap = std::partition_point(rows_.begin(), rows_.end(), [&](const Taps& t) { return end_of(t) <= y; });
  for (; tap != rows_.end() && tap->first <= y; ++tap) {
    const float weight = row_weights_[tap->weights + static_cast<std::size_t>(y - tap->first)];
    float* sum = sums_.data() + static_cast<std::size_t>(tap - rows_.begin()) * line_.size();
    for (std::size_t i = 0; i < line_.size(); i++) sum[i] += weight * line_[i];
  }
}

void Framing::finish(std::uint8_t* pixels) const {
  for (std::size_t i = 0; i < sums_.size(); i++) {
    pixels[i] = static_cast<std::uint8_t>(std::clamp(sums_[i] + 0.5F, 0.0F, 255.0F));
  }
}

void turn_upright(const std::uint8_t* stored, std::uint8_t* pixels, Size upright, int orientation) {
  const int w = upright.width, h = upright.height;
  const int stored_width = is_transposed(orientation) ? h : w;
  for (int y = 0; y < h; y++) {
    for (int x = 0; x < w; x++) {
      int sx = x, sy = y;
      switch (orientation) {
        case 2: sx = w - 1 - x; break;
        case 3: sx = w - 1 - x; sy = h - 1 - y; break;
        case 4: sy = h - 1 - y; break;
        case 5: sx = y; sy = x; break;
        case 6: sx = y; sy = w - 1 - x; break;
        case 7: sx = h - 1 - y; sy = w - 1 - x; break;
        case 8: sx = h - 1 - y; sy = x; break;
        default: break;
      }
      std::memcpy(pixels, stored + (static_cast<std::ptrdiff_t>(sy) * stored_width + sx) * 3, 3);
      pixels += 3;
    }
  }
}

}  // namespace under48
