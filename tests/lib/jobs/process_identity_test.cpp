#include "lib/jobs/process_identity.h"

#include <gtest/gtest.h>

#include <iterator>
#include <sstream>
#include <vector>

namespace sora {
namespace {

// This process with another word in its host's identity.
ProcessIdentity own_with(size_t word, const std::string& other) {
  ProcessIdentity process = ProcessIdentity::own();
  std::istringstream stream(process.host);
  std::vector<std::string> words(std::istream_iterator<std::string>(stream), {});
  if (word >= words.size()) words.resize(word + 1, other);
  words[word] = other;
  process.host.clear();
  for (const std::string& each : words) process.host += (process.host.empty() ? "" : " ") + each;
  return process;
}

bool has_machine_number() {
  std::istringstream stream(ProcessIdentity::own().host);
  return std::distance(std::istream_iterator<std::string>(stream), {}) == 4;
}

TEST(ProcessIdentity, TellsTheLivingFromTheDead) {
  EXPECT_EQ(liveness(ProcessIdentity::own()), Liveness::Alive);
  ProcessIdentity earlier = ProcessIdentity::own();
  earlier.start_time -= 1;
  EXPECT_EQ(liveness(earlier), Liveness::Dead);
}

TEST(ProcessIdentity, AnotherBootIsOnlyKnownToBeThisMachinesByItsNumber) {
  constexpr size_t kBoot = 1, kMachine = 3;
  EXPECT_EQ(liveness(own_with(kBoot, "another")),
            has_machine_number() ? Liveness::Dead : Liveness::Unknown);
  EXPECT_EQ(liveness(own_with(kMachine, "another")), Liveness::Unknown);
  ProcessIdentity namesake = own_with(kBoot, "another");
  namesake.host = namesake.host.substr(0, namesake.host.find(' ')) + " another pid:[1] another";
  EXPECT_EQ(liveness(namesake), Liveness::Unknown);
}

}  // namespace
}  // namespace sora
