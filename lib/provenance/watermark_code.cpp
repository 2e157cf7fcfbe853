#include "lib/provenance/watermark_code.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sora {
namespace {

constexpr int kBits = kWatermarkCodeBits;
constexpr int kStages = 8;
constexpr int kPayloadBits = 64;
constexpr int kCrcBits = 16;
constexpr int kInfoBits = kPayloadBits + kCrcBits;
constexpr size_t kListSize = 16;
static_assert(kBits == 1 << kStages);

using Bits = std::vector<uint8_t>;

// CRC-16/CCITT-FALSE.
uint16_t crc_of(uint64_t payload) {
  uint16_t crc = 0xFFFF;
  for (int i = kPayloadBits - 1; i >= 0; --i) {
    const bool bit = ((payload >> i) & 1) != (crc >> 15);
    crc = static_cast<uint16_t>((crc << 1) ^ (bit ? 0x1021 : 0));
  }
  return crc;
}

// Which inputs carry information: those of the greatest polarisation weight, the sum of 2^(j/4)
// over the set bits j of the index (He et al., "Beta-expansion", 2017).
struct InputPlan {
  std::array<int, kInfoBits> info = {};  // ascending
  std::array<bool, kBits> is_info = {};

  InputPlan() {
    std::array<double, kBits> weight = {};
    for (int i = 0; i < kBits; ++i) {
      for (int j = 0; j < kStages; ++j) weight[i] += ((i >> j) & 1) * std::exp2(j / 4.0);
    }
    std::array<int, kBits> order = {};
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return weight[a] < weight[b]; });
    std::copy(order.end() - kInfoBits, order.end(), info.begin());
    std::sort(info.begin(), info.end());
    for (const int i : info) is_info[i] = true;
  }
};

const InputPlan& input_plan() {
  static const InputPlan plan;
  return plan;
}

Bits inputs_of(uint64_t payload) {
  Bits inputs(kBits, 0);
  const uint16_t crc = crc_of(payload);
  for (int i = 0; i < kInfoBits; ++i) {
    const uint64_t bit =
        i < kPayloadBits ? payload >> (kPayloadBits - 1 - i) : crc >> (kInfoBits - 1 - i);
    inputs[input_plan().info[i]] = bit & 1;
  }
  return inputs;
}

// One of the courses that the decoder follows.
struct Path {
  double cost = 0;  // minus the logarithm of its probability
  Bits inputs = Bits(kBits, 0);
};

double cost_of(float likelihood, int bit) {
  const double against = bit ? likelihood : -likelihood;
  return std::max(against, 0.0) + std::log1p(std::exp(-std::abs(against)));
}

class ListDecoder {
 public:
  // Paths, the likeliest first.
  std::vector<Path> run(const std::vector<float>& likelihoods) {
    paths_.assign(1, Path());
    decode({likelihoods});
    std::stable_sort(paths_.begin(), paths_.end(),
                     [](const Path& a, const Path& b) { return a.cost < b.cost; });
    return std::move(paths_);
  }

 private:
  struct Decoded {
    std::vector<size_t> parents;  // of each path now, which it was when the call began
    std::vector<Bits> codewords;
  };

  // `likelihoods` of one stretch of the code, for each path: log of the odds of 0.
  Decoded decode(const std::vector<std::vector<float>>& likelihoods) {
    const size_t length = likelihoods.front().size(), half = length / 2;
    if (length == 1) return decode_input(likelihoods);
    std::vector<std::vector<float>> part(likelihoods.size(), std::vector<float>(half));
    for (size_t p = 0; p < likelihoods.size(); ++p) {
      const std::vector<float>& l = likelihoods[p];
      for (size_t i = 0; i < half; ++i) {
        const float least = std::min(std::abs(l[i]), std::abs(l[half + i]));
        part[p][i] = (l[i] < 0) == (l[half + i] < 0) ? least : -least;
      }
    }
    const Decoded first = decode(part);
    part.assign(first.parents.size(), std::vector<float>(half));
    for (size_t p = 0; p < part.size(); ++p) {
      const std::vector<float>& l = likelihoods[first.parents[p]];
      for (size_t i = 0; i < half; ++i)
        part[p][i] = l[half + i] + (first.codewords[p][i] ? -l[i] : l[i]);
    }
    Decoded both = decode(part);
    for (size_t p = 0; p < both.parents.size(); ++p) {
      const Bits& sum = first.codewords[both.parents[p]];
      Bits whole(length);
      for (size_t i = 0; i < half; ++i) {
        whole[i] = sum[i] ^ both.codewords[p][i];
        whole[half + i] = both.codewords[p][i];
      }
      both.codewords[p] = std::move(whole);
      both.parents[p] = first.parents[both.parents[p]];
    }
    if (length == kBits) next_ = 0;
    return both;
  }

  Decoded decode_input(const std::vector<std::vector<float>>& likelihoods) {
    const int input = next_++;
    Decoded decoded;
    if (!input_plan().is_info[input]) {
      for (size_t p = 0; p < paths_.size(); ++p) {
        paths_[p].cost += cost_of(likelihoods[p][0], 0);
        decoded.parents.push_back(p);
      }
      decoded.codewords.assign(paths_.size(), Bits(1, 0));
      return decoded;
    }
    struct Choice {
      double cost;
      size_t parent;
      uint8_t bit;
    };
    std::vector<Choice> choices;
    for (uint8_t bit : {0, 1}) {
      for (size_t p = 0; p < paths_.size(); ++p)
        choices.push_back({paths_[p].cost + cost_of(likelihoods[p][0], bit), p, bit});
    }
    std::stable_sort(choices.begin(), choices.end(),
                     [](const Choice& a, const Choice& b) { return a.cost < b.cost; });
    choices.resize(std::min(choices.size(), kListSize));
    std::vector<Path> paths;
    for (const Choice& choice : choices) {
      Path& path = paths.emplace_back(paths_[choice.parent]);
      path.cost = choice.cost;
      path.inputs[input] = choice.bit;
      decoded.parents.push_back(choice.parent);
      decoded.codewords.push_back({choice.bit});
    }
    paths_ = std::move(paths);
    return decoded;
  }

  std::vector<Path> paths_;
  int next_ = 0;
};

// log2 of Chernoff's bound on the chance that values of random sign sum to `sum` or more: the least
// over t of exp(-t sum) times the product of cosh(t |value|).
double log2_chernoff(const std::vector<float>& values, double sum) {
  double power = 0;
  for (const float value : values) power += static_cast<double>(value) * value;
  if (!(power > 0) || !(sum > 0)) return 0;
  double least = 0;
  for (double t = 0.05; t < 40; t *= 1.1) {
    const double scaled = t / std::sqrt(power);
    double exponent = -scaled * sum;
    for (const float value : values) {
      const double x = scaled * std::abs(value);
      exponent += x + std::log1p(std::exp(-2 * x)) - std::log(2.0);
    }
    least = std::min(least, exponent);
  }
  return least / std::log(2.0);
}

}  // namespace

WatermarkCodeword encode_watermark(uint64_t payload) {
  Bits bits = inputs_of(payload);
  for (int half = 1; half < kBits; half *= 2) {
    for (int start = 0; start < kBits; start += 2 * half) {
      for (int i = start; i < start + half; ++i) bits[i] ^= bits[i + half];
    }
  }
  WatermarkCodeword codeword;
  for (int i = 0; i < kBits; ++i) codeword[i] = bits[i] ? -1 : 1;
  return codeword;
}

std::optional<DecodedWatermark> decode_watermark(const std::vector<float>& values) {
  // As likelihoods, on the supposition that half of the power is noise: the decoder hardly minds.
  double power = 0;
  for (const float value : values) power += static_cast<double>(value) * value;
  if (!(power > 0)) return std::nullopt;
  const double scale = 2.0 / std::sqrt(power / kBits);
  std::vector<float> likelihoods(values.size());
  for (size_t i = 0; i < values.size(); ++i) likelihoods[i] = static_cast<float>(values[i] * scale);
  for (const Path& path : ListDecoder().run(likelihoods)) {
    uint64_t payload = 0;
    for (int i = 0; i < kPayloadBits; ++i)
      payload = payload << 1 | path.inputs[input_plan().info[i]];
    if (inputs_of(payload) != path.inputs) continue;
    const WatermarkCodeword codeword = encode_watermark(payload);
    double sum = 0;
    for (int i = 0; i < kBits; ++i) sum += static_cast<double>(values[i]) * codeword[i];
    return DecodedWatermark{payload, kPayloadBits + log2_chernoff(values, sum)};
  }
  return std::nullopt;
}

}  // namespace sora
