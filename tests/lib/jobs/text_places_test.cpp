#include "lib/jobs/text_places.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

namespace sora {
namespace {

TEST(TextPlaces, AreTheSameInWhateverOrderTheyAreAskedFor) {
  const std::string text =
      "ab\n\xC3\xA9"
      "cd\n\nend";
  for (const size_t first : {size_t{0}, size_t{4}, size_t{6}, text.size()}) {
    const TextPlaces places(text);
    places.at(first);
    for (const auto& [offset, line, column] :
         {std::tuple(6, 2, 3), std::tuple(1, 1, 2), std::tuple(5, 2, 2), std::tuple(3, 2, 1),
          std::tuple(8, 3, 1), std::tuple(11, 4, 3), std::tuple(10, 4, 2)}) {
      const Place place = places.at(static_cast<size_t>(offset));
      EXPECT_EQ(place.line, line) << offset << " after " << first;
      EXPECT_EQ(place.column, column) << offset << " after " << first;
    }
  }
}

}  // namespace
}  // namespace sora
