// What a clip costs: one table, one function.
#pragma once

#include <string>
#include <vector>

#include "lib/pipelines/request_shape.h"

namespace sora {

// Clips that fit into `size`, upright or lying, and into no class before this one.
struct PriceClass {
  std::string name;  // "720p square"
  Size size;
  std::vector<double> credits_per_second;  // by bracket; the last holds for all after it
};

struct PriceTable {
  std::string label;
  double bracket_s = 5;
  std::vector<PriceClass> classes;

  // Throws Error(Refused) for a size that no class holds.
  const PriceClass& class_of(const Size& size) const;
};

// Whether a clip of `size` lies inside `limit`, upright or lying.
bool fits(const Size& size, const Size& limit);

// The clip's length as it is billed: one frame past a whole second is not counted, so that the 81
// frames at 16 a second which a model draws for 5 s are 5 s.
double billed_seconds(const ClipShape& shape);

// Whole credits, for all variations: each is billed alone, rounded up.
int64_t price_of(const PriceTable& table, const ClipShape& shape);
int64_t price_of(const PriceTable& table, const PriceClass& price_class,
                 double seconds);  // of one clip

}  // namespace sora
