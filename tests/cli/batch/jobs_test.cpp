#include "cli/batch/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scratch_directory.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Jobs : public ::testing::Test {
 protected:
  JobList list(const std::string& lines, std::vector<std::string> defaults = {}) const {
    return jobs_of(parse_prompts(lines, "p.jsonl", PromptFormat::JsonLines),
                   {"p.jsonl", scratch_.path(), std::move(defaults), "", "2026-11-23"});
  }
  std::string fault(const std::string& lines, std::vector<std::string> defaults = {}) const {
    const JobList jobs = list(lines, std::move(defaults));
    EXPECT_EQ(jobs.faults.size(), 1u) << lines;
    return jobs.faults.empty() ? "no fault" : jobs.faults.front().message;
  }
  std::string path(const char* name) const { return (scratch_ / name).string(); }

  const ScratchDirectory scratch_;
};

TEST_F(Jobs, OfALoraOnlyThePathBeginsAtTheFile) {
  scratch_.write("lo.safetensors", "");
  const JobList jobs = list(R"({"prompt": "a", "lora": "lo.safetensors:0.5:high"})");
  ASSERT_EQ(jobs.jobs.size(), 1u);
  const std::vector<LoraChoice> expected = {{path("lo.safetensors"), 0.5, "high"}};
  EXPECT_EQ(jobs.jobs[0].make.request.runtime.files.loras, expected);
  EXPECT_THAT(fault(R"({"prompt": "a", "lora": "none.safetensors:0.5"})"),
              HasSubstr("none.safetensors does not exist"));
}

TEST_F(Jobs, ModelsAndFoldersBeginAtTheFileAndNamesStayNames) {
  fs::create_directories(scratch_ / "wan");
  fs::create_directories(scratch_ / "nano");
  const auto files_of = [&](const std::string& line) {
    const JobList jobs = list(line);
    EXPECT_EQ(jobs.jobs.size(), 1u) << line;
    return jobs.jobs.at(0).make.request.runtime;
  };
  EXPECT_EQ(files_of(R"({"prompt": "a", "model": "wan"})").model, path("wan"));
  EXPECT_EQ(files_of(R"({"prompt": "a", "model": "org/name"})").model, "org/name");
  EXPECT_EQ(files_of(R"({"prompt": "a", "model": "nano"})").model, "nano");
  const ModelFiles files =
      files_of(R"({"prompt": "a", "models_dir": "wan", "tokenizer": "wan", "vace": "module"})")
          .files;
  EXPECT_EQ(files.models_dir, path("wan"));
  EXPECT_EQ(files.tokenizer, path("wan"));
  EXPECT_EQ(files.vace, "module");
  EXPECT_THAT(fault(R"({"prompt": "a", "models_dir": "none"})"), HasSubstr("none does not exist"));
  EXPECT_THAT(fault(R"({"prompt": "a", "vace": "a/module"})"), HasSubstr("does not exist"));
}

TEST_F(Jobs, APromptIsNotReadFromStdin) {
  EXPECT_THAT(fault(R"({"prompt": "-"})"), HasSubstr("cannot be read from stdin in a batch"));
}

TEST_F(Jobs, AllFilesOfAJobHaveNamesOfTheirOwn) {
  const std::string latents = R"({"prompt": "a", "save_latents": "l.safetensors"})";
  EXPECT_THAT(fault(latents + "\n" + latents), HasSubstr("l.safetensors is that of line 1"));
  EXPECT_THAT(fault(R"({"prompt": "a", "output": "a.mp4", "variations": 2}
{"prompt": "a", "output": "a-2.mp4"})"),
              HasSubstr("a-2.mp4 is that of line 1"));
  EXPECT_THAT(fault(R"({"prompt": "a", "output": "f-2/%03d.png"}
{"prompt": "a", "output": "f/%03d.png", "variations": 2})"),
              HasSubstr("f-2/%03d.png is that of line 1"));
  EXPECT_THAT(fault(R"({"prompt": "a", "output": "a.mp4", "save_latents": "a.mp4"})"),
              HasSubstr("a.mp4 is the name of two files"));
}

TEST_F(Jobs, WhatIsNotUtf8IsAFaultWithAName) {
  EXPECT_THAT(fault(R"({"prompt": "a"})", {"--negative", "\xff"}), HasSubstr("is not UTF-8"));
  EXPECT_THAT(fault(R"({"prompt": "a"})", {"--image", "\xff.png"}), HasSubstr("is not UTF-8"));
}

}  // namespace
}  // namespace sora::cli
