// Values are d * q, or d * q - m, with q of 4 to 8 bits. The K formats store d and m of each group
// of 16 or 32 values as small integers times those of the block of 256.
#include "lib/tensor_io/block_format.h"

#include <c10/util/Half.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace sora {
namespace {

constexpr int64_t kShort = 32;  // values of a plain block
constexpr int64_t kLong = 256;  // of a K block
constexpr int kGroups = 8;      // of 32 values in a K block

float half_at(const uint8_t* bytes) {
  uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return static_cast<float>(c10::Half(bits, c10::Half::from_bits()));
}

// Writes the value rounded to f16 and returns what is read back.
float put_half(uint8_t* bytes, float value) {
  const c10::Half half(value);
  std::memcpy(bytes, &half.x, sizeof half.x);
  return static_cast<float>(half);
}

uint32_t word_at(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

void expand_q8_0(const uint8_t* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < kShort; ++i)
    values[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

void pack_q8_0(const float* values, uint8_t* block) {
  float largest = 0;
  for (int i = 0; i < kShort; ++i) largest = std::max(largest, std::fabs(values[i]));
  const float d = largest / 127.0f;
  put_half(block, d);
  const float inverse = d > 0 ? 1.0f / d : 0.0f;
  for (int i = 0; i < kShort; ++i)
    block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::round(values[i] * inverse)));
}

// Low halves of the bytes are the first 16 values, high halves the others.
void expand_q4_0(const uint8_t* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < 16; ++i) {
    values[i] = d * static_cast<float>((block[2 + i] & 15) - 8);
    values[i + 16] = d * static_cast<float>((block[2 + i] >> 4) - 8);
  }
}

void expand_q4_1(const uint8_t* block, float* values) {
  const float d = half_at(block), least = half_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    values[i] = d * static_cast<float>(block[4 + i] & 15) + least;
    values[i + 16] = d * static_cast<float>(block[4 + i] >> 4) + least;
  }
}

// The fifth bits of the 32 values are one word.
void expand_q5_0(const uint8_t* block, float* values) {
  const float d = half_at(block);
  const uint32_t fifth = word_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    const int low = (block[6 + i] & 15) | static_cast<int>((fifth >> i & 1) << 4);
    const int high = (block[6 + i] >> 4) | static_cast<int>((fifth >> (i + 16) & 1) << 4);
    values[i] = d * static_cast<float>(low - 16);
    values[i + 16] = d * static_cast<float>(high - 16);
  }
}

void expand_q5_1(const uint8_t* block, float* values) {
  const float d = half_at(block), least = half_at(block + 2);
  const uint32_t fifth = word_at(block + 4);
  for (int i = 0; i < 16; ++i) {
    const int low = (block[8 + i] & 15) | static_cast<int>((fifth >> i & 1) << 4);
    const int high = (block[8 + i] >> 4) | static_cast<int>((fifth >> (i + 16) & 1) << 4);
    values[i] = d * static_cast<float>(low) + least;
    values[i + 16] = d * static_cast<float>(high) + least;
  }
}

// Scale and minimum of the groups of a Q4_K or Q5_K block, 6 bits each in 12 bytes: those of groups
// 0 to 3 in the low bits of bytes 0-3 and 4-7; those of 4 to 7 have their low 4 bits in bytes 8-11
// and their high 2 bits on top of the first eight bytes.
struct GroupScale {
  int scale;
  int least;
};

GroupScale group_scale(const uint8_t* bytes, int group) {
  if (group < 4) return {bytes[group] & 63, bytes[group + 4] & 63};
  const uint8_t low = bytes[group + 4];
  return {(low & 15) | (bytes[group - 4] >> 6) << 4, (low >> 4) | (bytes[group] >> 6) << 4};
}

void put_group_scale(uint8_t* bytes, int group, GroupScale value) {
  if (group < 4) {
    bytes[group] = static_cast<uint8_t>(bytes[group] | value.scale);
    bytes[group + 4] = static_cast<uint8_t>(bytes[group + 4] | value.least);
    return;
  }
  bytes[group + 4] = static_cast<uint8_t>((value.scale & 15) | (value.least & 15) << 4);
  bytes[group - 4] = static_cast<uint8_t>(bytes[group - 4] | (value.scale >> 4) << 6);
  bytes[group] = static_cast<uint8_t>(bytes[group] | (value.least >> 4) << 6);
}

// d, dmin, 12 bytes of scales, 128 of values: 32 bytes hold group 2n in their low and 2n + 1 in
// their high halves.
void expand_q4_k(const uint8_t* block, float* values) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const uint8_t* bytes = block + 16;
  for (int group = 0; group < kGroups; ++group) {
    const GroupScale scale = group_scale(block + 4, group);
    const float step = d * static_cast<float>(scale.scale);
    const float least = dmin * static_cast<float>(scale.least);
    const int shift = group % 2 == 0 ? 0 : 4;
    for (int i = 0; i < 32; ++i)
      values[32 * group + i] =
          step * static_cast<float>(bytes[32 * (group / 2) + i] >> shift & 15) - least;
  }
}

// As Q4_K, with the fifth bits of all groups in 32 bytes between scales and values.
void expand_q5_k(const uint8_t* block, float* values) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const uint8_t* fifth = block + 16;
  const uint8_t* bytes = block + 48;
  for (int group = 0; group < kGroups; ++group) {
    const GroupScale scale = group_scale(block + 4, group);
    const float step = d * static_cast<float>(scale.scale);
    const float least = dmin * static_cast<float>(scale.least);
    const int shift = group % 2 == 0 ? 0 : 4;
    for (int i = 0; i < 32; ++i) {
      const int low = bytes[32 * (group / 2) + i] >> shift & 15;
      values[32 * group + i] =
          step * static_cast<float>(low | (fifth[i] >> group & 1) << 4) - least;
    }
  }
}

// 128 bytes of low 4 bits, 64 of high 2 bits, 16 signed scales, d. Each half of 128 values takes 64
// and 32 of the bytes: four runs of 32 values share them.
void expand_q6_k(const uint8_t* block, float* values) {
  const float d = half_at(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + 64 * half;
    const uint8_t* high = block + 128 + 32 * half;
    const uint8_t* scales = block + 192 + 8 * half;
    for (int run = 0; run < 4; ++run) {
      const int shift = run < 2 ? 0 : 4;
      for (int i = 0; i < 32; ++i) {
        const int q = (low[32 * (run % 2) + i] >> shift & 15) | (high[i] >> (2 * run) & 3) << 4;
        const auto scale = static_cast<int8_t>(scales[2 * run + i / 16]);
        values[128 * half + 32 * run + i] =
            d * static_cast<float>(scale) * static_cast<float>(q - 32);
      }
    }
  }
}

// The step and minimum (of 15 steps) that fit 32 values best in the least squares sense. Candidates
// for the step are tried around the range's fifteenth part, each refined by linear regression on
// the integers it gives.
struct Fit {
  float step = 0;
  float least = 0;  // subtracted, not negative
};

Fit fit_group(const float* values) {
  constexpr int kTop = 15;
  const auto [lowest, highest] = std::minmax_element(values, values + 32);
  const float low = std::min(*lowest, 0.0f), range = std::max(*highest, low) - low;
  if (range <= 0) return {0, -low};
  Fit best;
  double best_error = INFINITY;
  for (int candidate = -10; candidate <= 10; ++candidate) {
    const float inverse = (static_cast<float>(kTop) + 0.1f * static_cast<float>(candidate)) / range;
    double sum_q = 0, sum_qq = 0, sum_x = 0, sum_qx = 0;
    for (int i = 0; i < 32; ++i) {
      const double q = std::clamp(std::round(inverse * (values[i] - low)), 0.0f, float{kTop});
      sum_q += q, sum_qq += q * q, sum_x += values[i], sum_qx += q * values[i];
    }
    const double determinant = 32 * sum_qq - sum_q * sum_q;
    if (determinant <= 0) continue;
    double step = (32 * sum_qx - sum_q * sum_x) / determinant;
    double offset = (sum_x - step * sum_q) / 32;
    if (offset > 0) offset = 0, step = sum_qx / sum_qq;
    if (step <= 0) continue;
    double error = 0;
    for (int i = 0; i < 32; ++i) {
      const double q = std::clamp(std::round((values[i] - offset) / step), 0.0, double{kTop});
      error += std::pow(step * q + offset - values[i], 2);
    }
    if (error < best_error) {
      best_error = error;
      best = {static_cast<float>(step), static_cast<float>(-offset)};
    }
  }
  return best_error < INFINITY ? best : Fit{range / kTop, -low};
}

void pack_q4_k(const float* values, uint8_t* block) {
  std::memset(block, 0, 144);
  std::array<Fit, kGroups> fits;
  float largest_step = 0, largest_least = 0;
  for (int group = 0; group < kGroups; ++group) {
    fits[group] = fit_group(values + 32 * group);
    largest_step = std::max(largest_step, fits[group].step);
    largest_least = std::max(largest_least, fits[group].least);
  }
  const float d = put_half(block, largest_step / 63),
              dmin = put_half(block + 2, largest_least / 63);
  const auto sixth = [](float value, float unit) {
    return unit > 0 ? std::clamp(static_cast<int>(std::lround(value / unit)), 0, 63) : 0;
  };
  for (int group = 0; group < kGroups; ++group) {
    const GroupScale scale = {sixth(fits[group].step, d), sixth(fits[group].least, dmin)};
    put_group_scale(block + 4, group, scale);
    const float step = d * static_cast<float>(scale.scale);
    const float least = dmin * static_cast<float>(scale.least);
    for (int i = 0; i < 32; ++i) {
      const float q = step > 0 ? std::round((values[32 * group + i] + least) / step) : 0;
      const int nibble = static_cast<int>(std::clamp(q, 0.0f, 15.0f));
      uint8_t& byte = block[16 + 32 * (group / 2) + i];
      byte = static_cast<uint8_t>(byte | nibble << (group % 2 == 0 ? 0 : 4));
    }
  }
}

constexpr BlockFormat kFormats[] = {
    {"Q4_0", 2, kShort, 18, expand_q4_0, nullptr},
    {"Q4_1", 3, kShort, 20, expand_q4_1, nullptr},
    {"Q5_0", 6, kShort, 22, expand_q5_0, nullptr},
    {"Q5_1", 7, kShort, 24, expand_q5_1, nullptr},
    {"Q8_0", 8, kShort, 34, expand_q8_0, pack_q8_0},
    {"Q4_K", 12, kLong, 144, expand_q4_k, pack_q4_k},
    {"Q5_K", 13, kLong, 176, expand_q5_k, nullptr},
    {"Q6_K", 14, kLong, 210, expand_q6_k, nullptr},
};

}  // namespace

const BlockFormat* find_block_format(uint32_t type) {
  for (const BlockFormat& format : kFormats) {
    if (format.type == type) return &format;
  }
  return nullptr;
}

const BlockFormat* find_block_format(std::string_view name) {
  for (const BlockFormat& format : kFormats) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

}  // namespace sora
