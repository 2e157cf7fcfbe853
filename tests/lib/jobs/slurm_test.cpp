#include "lib/jobs/slurm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "lib/jobs/command_output.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SlurmArray array() {
  SlurmArray array;
  array.name = "sora-1";
  array.num_tasks = 3;
  array.log_folder = "/a \"b\"/50%";
  array.command = {"/bin/echo", "it's", "/x/", ".sqlite"};
  return array;
}

TEST(Slurm, ScriptAsksForWhatIsWishedAndNothingElse) {
  SlurmArray wished = array();
  EXPECT_THAT(slurm_script(wished), HasSubstr("#SBATCH --array=0-2\n"));
  EXPECT_THAT(slurm_script(wished), Not(HasSubstr("--mem")));
  EXPECT_THAT(slurm_script(wished), HasSubstr("#SBATCH --output=\"/a \\\"b\\\"/50%%/%a.log\"\n"));
  wished.wishes = {"gpu", "lab", "1:00:00", "8G", 4, 2, {"--qos=low"}};
  for (const char* line : {"--partition=\"gpu\"", "--account=\"lab\"", "--time=\"1:00:00\"",
                           "--mem=\"8G\"", "--cpus-per-task=4", "--gres=gpu:2", "--qos=low"}) {
    EXPECT_THAT(slurm_script(wished), HasSubstr(std::string("#SBATCH ") + line + "\n"));
  }
}

TEST(Slurm, ScriptRunsTheCommandWithTheTasksNumberInIt) {
  const ScratchDirectory scratch;
  std::ofstream(scratch / "script") << slurm_script(array());
  const CommandOutput output =
      run_command({"env", "SLURM_ARRAY_TASK_ID=2", "sh", (scratch / "script").string()});
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(output.out, "it's /x/2.sqlite\n");
}

TEST(Slurm, OptionsThatBreakTheScriptAreRefused) {
  SlurmArray broken = array();
  broken.wishes.partition = "a\nrm";
  EXPECT_EQ(error_of([&] { slurm_script(broken); }).kind(), ErrorKind::Usage);
  broken = array();
  broken.wishes.extra = {"qos=low"};
  EXPECT_EQ(error_of([&] { slurm_script(broken); }).kind(), ErrorKind::Usage);
}

TEST(CommandOutput, TakesBothOutputsAndTheStatusHoweverMuchIsPrinted) {
  const CommandOutput output =
      run_command({"sh", "-c", "head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2; exit 3"});
  EXPECT_EQ(output.status, 3);
  EXPECT_EQ(output.out.size(), 300000u);
  EXPECT_EQ(output.err.size(), 200000u);
  EXPECT_EQ(error_of([] { run_command({"no-such-program-here"}); }).kind(), ErrorKind::NotFound);
}

}  // namespace
}  // namespace sora
