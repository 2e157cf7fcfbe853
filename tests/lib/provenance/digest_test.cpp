// Against the published test vectors of SHA-256 and against the program sha256sum.
#include "lib/provenance/digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "lib/core/error.h"

namespace sora {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer;
  while (size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), count);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return output;
}

class Digest : public ::testing::Test {
 protected:
  Digest()
      : folder_(fs::temp_directory_path() / ("sora_digest_" + std::to_string(::getpid()))),
        model_(folder_ / "model"),
        cache_(folder_ / "cache") {
    fs::remove_all(folder_);
    fs::create_directories(model_);
  }
  ~Digest() override { fs::remove_all(folder_); }

  // Written with a time of change in the past, as files are that were not made this second.
  fs::path write(const std::string& name, const std::string& bytes, int age_s = 3600) const {
    const fs::path path = model_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::seconds(age_s));
    return path;
  }

  size_t cached_entries() const {
    if (!fs::exists(cache_)) return 0;
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(cache_), fs::directory_iterator()));
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const FileDigest& file : digest_model(model_, DigestCache(cache_))) {
      names.push_back(file.name);
    }
    return names;
  }

  std::string model_fingerprint() const {
    return fingerprint(digest_model(model_, DigestCache(cache_)));
  }

  fs::path folder_;
  fs::path model_;
  fs::path cache_;
};

// FIPS 180-4, examples of NIST's Cryptographic Standards and Guidelines.
TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(sha256_of_bytes(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of_bytes("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of_bytes(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(Digest, OfAFileIsWhatSha256sumPrints) {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{1} << 20, (size_t{1} << 20) + 1, size_t{3'000'001}}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 257);
    const fs::path path = write("weights.safetensors", bytes);
    EXPECT_EQ(sha256_of_file(path), output_of("sha256sum " + path.string()).substr(0, 64)) << size;
  }
}

TEST_F(Digest, TellsAbsentFilesFromOnesThatAreNoFiles) {
  const auto kind_of = [](const fs::path& path) {
    try {
      sha256_of_file(path);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::Internal;
  };
  EXPECT_EQ(kind_of(model_ / "absent"), ErrorKind::NotFound);
  EXPECT_EQ(kind_of(model_), ErrorKind::Input);
  ASSERT_EQ(::mkfifo((model_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(kind_of(model_ / "pipe"), ErrorKind::Input);
}

TEST_F(Digest, StopsWhenAsked) {
  class Stopping final : public Observer {
    bool stop_requested() const override { return true; }
  };
  const fs::path path = write("a.safetensors", "weights");
  EXPECT_THROW(sha256_of_file(path, Stopping()), Error);
  EXPECT_THROW(DigestCache(cache_).sha256(path, Stopping()), Error);
  EXPECT_EQ(cached_entries(), 0u);
}

// That the second time does not read is shown by a content that the key cannot see.
TEST_F(Digest, AFileIsReadOnceForItsPathSizeAndTime) {
  const DigestCache cache(cache_);
  const fs::path path = write("a.safetensors", "first");
  const auto time = fs::last_write_time(path);
  const std::string first = cache.sha256(path);
  EXPECT_EQ(first, sha256_of_bytes("first"));
  EXPECT_EQ(cached_entries(), 1u);

  std::ofstream(path, std::ios::binary) << "other";
  fs::last_write_time(path, time);
  EXPECT_EQ(cache.sha256(path), first);

  fs::last_write_time(path, time + std::chrono::nanoseconds(1000));
  EXPECT_EQ(cache.sha256(path), sha256_of_bytes("other"));
  std::ofstream(path, std::ios::binary) << "longer";
  fs::last_write_time(path, time);
  EXPECT_EQ(cache.sha256(path), sha256_of_bytes("longer"));
}

TEST_F(Digest, ALinkSharesTheEntryOfItsTarget) {
  const DigestCache cache(cache_);
  const fs::path path = write("blob.safetensors", "weights");
  const fs::path link = model_ / "link.safetensors";
  fs::create_symlink(path, link);
  EXPECT_EQ(cache.sha256(link), cache.sha256(path));
  EXPECT_EQ(cached_entries(), 1u);
}

TEST_F(Digest, AFileChangedJustNowIsNotEntered) {
  const DigestCache cache(cache_);
  cache.sha256(write("a.safetensors", "weights", 0));
  EXPECT_EQ(cached_entries(), 0u);
}

TEST_F(Digest, ADamagedEntryIsMadeAnew) {
  const DigestCache cache(cache_);
  const fs::path path = write("a.safetensors", "weights");
  cache.sha256(path);
  for (const char* damage :
       {"", "abc", "zz", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"}) {
    std::ofstream(fs::directory_iterator(cache_)->path()) << damage;
    EXPECT_EQ(cache.sha256(path), sha256_of_bytes("weights")) << damage;
  }
}

TEST_F(Digest, WorksWithoutACache) {
  const fs::path path = write("a.safetensors", "weights");
  EXPECT_EQ(DigestCache(fs::path()).sha256(path), sha256_of_bytes("weights"));
  EXPECT_EQ(DigestCache("/dev/null/digests").sha256(path), sha256_of_bytes("weights"));
}

TEST_F(Digest, OfAModelCoversWeightsConfigsAndVocabulariesInOrder) {
  write("transformer/diffusion_pytorch_model-00002-of-00002.safetensors", "b");
  write("transformer/diffusion_pytorch_model-00001-of-00002.safetensors", "a");
  write("transformer/config.json", "{}");
  write("tokenizer/spiece.model", "pieces");
  write("model_index.json", "{}");
  write("README.md", "notes");
  write("sample.mp4", "pictures");
  write(".cache/huggingface/x.json", "bookkeeping");
  EXPECT_THAT(names(),
              ElementsAre("model_index.json", "tokenizer/spiece.model", "transformer/config.json",
                          "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
                          "transformer/diffusion_pytorch_model-00002-of-00002.safetensors"));
}

TEST_F(Digest, OfAModelFollowsLinksAndEndsOnACircle) {
  fs::create_directories(folder_ / "shared");
  std::ofstream(folder_ / "shared" / "model.safetensors") << "shared";
  fs::create_directory_symlink(folder_ / "shared", model_ / "text_encoder");
  write("model_index.json", "{}");
  EXPECT_THAT(names(), ElementsAre("model_index.json", "text_encoder/model.safetensors"));
  fs::create_directory_symlink(model_, model_ / "vae");
  EXPECT_GE(names().size(), 2u);
}

TEST_F(Digest, TheFingerprintIsWhatTheShellComputes) {
  write("model_index.json", "{}");
  write("vae/config.json", R"({"z_dim": 16})");
  write("vae/diffusion_pytorch_model.safetensors", std::string(5000, 'w'));
  const std::string shell =
      "cd " + model_.string() +
      " && find . -type f | sed 's|^\\./||' | LC_ALL=C sort | while read -r f; do "
      "printf '%s %s %s\\n' \"$(sha256sum < \"$f\" | cut -d' ' -f1)\" \"$(stat -c %s \"$f\")\" "
      "\"$f\"; "
      "done | sha256sum | cut -c1-64";
  EXPECT_EQ(model_fingerprint() + "\n", output_of(shell));
}

TEST_F(Digest, TheFingerprintSeesContentsAndNamesButNotThePlace) {
  write("vae/config.json", "{}");
  write("vae/model.safetensors", "weights");
  const std::string before = model_fingerprint();
  EXPECT_EQ(model_fingerprint(), before);
  fs::rename(model_, folder_ / "moved");
  model_ = folder_ / "moved";
  EXPECT_EQ(model_fingerprint(), before);
  write("vae/model.safetensors", "weighty", 1800);
  EXPECT_NE(model_fingerprint(), before);
  write("vae/model.safetensors", "weights", 1800);
  EXPECT_EQ(model_fingerprint(), before);
  fs::rename(model_ / "vae", model_ / "vae_2");
  EXPECT_NE(model_fingerprint(), before);
}

TEST_F(Digest, OfASingleFileModelIsNamedByTheFile) {
  const fs::path path = write("wan.safetensors", "weights");
  const std::vector<FileDigest> files = digest_model(path, DigestCache(cache_));
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].name, "wan.safetensors");
  EXPECT_EQ(files[0].size, 7);
  EXPECT_EQ(files[0].sha256, sha256_of_bytes("weights"));
}

TEST_F(Digest, AFolderWithoutAModelIsNamed) {
  write("notes.md", "none");
  try {
    digest_model(model_, DigestCache(cache_));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::NotFound);
    EXPECT_THAT(error.what(), HasSubstr(model_.string()));
  }
  EXPECT_THROW(digest_model(folder_ / "absent", DigestCache(cache_)), Error);
}

}  // namespace
}  // namespace sora
