#include "lib/provenance/content_credentials.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/core/numbered_names.h"
#include "lib/core/unfinished_files.h"
#include "lib/provenance/c2pa_library.h"

namespace sora {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr char kManifestLabel[] = "sora.manifest";
constexpr char kGenerated[] =
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
constexpr char kComposed[] =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";

template <typename T>
using Owned = std::unique_ptr<T, std::function<void(T*)>>;

// The manifest goes in as text: numbers in an assertion do not all come back as they went in.
json definition_of(const CredentialOrder& order) {
  const json agent = {{"name", "sora"}, {"version", order.program_version}};
  json actions = json::array({{{"action", "c2pa.created"},
                               {"digitalSourceType", order.has_sources ? kComposed : kGenerated},
                               {"softwareAgent", agent}}});
  return {{"claim_generator_info", json::array({agent})},
          {"title", fs::path(order.output_path).filename().string()},
          {"format", c2pa_format(order.output_path)},
          {"assertions",
           json::array({{{"label", "c2pa.actions.v2"}, {"data", {{"actions", actions}}}},
                        {{"label", kManifestLabel}, {"data", {{"json", order.manifest_json}}}}})}};
}

void add_source(C2paBuilder* builder, const CredentialSource& source) {
  const C2paLibrary& c2pa = C2paLibrary::get();
  const std::string format = c2pa_format(source.path);
  const json ingredient = {{"title", source.name},
                           {"relationship", "inputTo"},
                           {"instance_id", "sha256:" + source.sha256}};
  // Of what may hold credentials of its own, the file itself is looked at, so that they are carried
  // on.
  C2paFile file(source.path, "rb");
  if (c2pa->builder_add_ingredient(builder, to_text(ingredient).c_str(),
                                   format.empty() ? "application/octet-stream" : format.c_str(),
                                   file.stream()) != 0) {
    fail(ErrorKind::Input, "{} could not be named as a source in the C2PA manifest: {}",
         source.path, c2pa.error());
  }
}

// The library's own account of a file; null where it holds no manifest.
json read_store(const std::string& path, const std::string& format) {
  const C2paLibrary& c2pa = C2paLibrary::get();
  const C2paFile file(path, "rb");
  const Owned<C2paReader> reader(c2pa->reader_from_stream(format.c_str(), file.stream()),
                                 c2pa->reader_free);
  if (!reader) {
    const std::string error = c2pa.error();
    if (error.find("ManifestNotFound") != error.npos || error.find("no JUMBF") != error.npos)
      return nullptr;
    return {{"validation_state", "Unreadable"}, {"error", error}};
  }
  return parse_json(c2pa.taken(c2pa->reader_json(reader.get())), path);
}

// The file's kind by its first bytes, so that a renamed file is read as what it is.
std::string format_by_content(const std::string& path) {
  unsigned char head[16] = {};
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) fail(ErrorKind::NotFound, "{} cannot be opened", path);
  const std::string bytes(reinterpret_cast<char*>(head), std::fread(head, 1, sizeof head, file));
  std::fclose(file);
  if (bytes.substr(4, 4) == "ftyp")
    return bytes.substr(8, 4) == "qt  " ? "video/quicktime" : "video/mp4";
  if (bytes.starts_with("GIF8")) return "image/gif";
  if (bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP") return "image/webp";
  if (bytes.starts_with("\x89PNG")) return "image/png";
  if (bytes.starts_with("\xFF\xD8\xFF")) return "image/jpeg";
  return "";
}

void add_problems(const json& results, std::vector<std::string>& problems) {
  const json active = results.value("activeManifest", json::object());
  for (const json& failure : active.value("failure", json::array())) {
    // Nobody but the list of authorities vouches for a self-made identity: that is said apart.
    if (const std::string code = failure.value("code", ""); code != "signingCredential.untrusted")
      problems.push_back(code);
  }
}

bool concerns_content(const std::string& code) {
  return code.find("Hash.") != code.npos && code.find("mismatch") != code.npos;
}

}  // namespace

void check_can_sign(const std::string& output_path) {
  if (c2pa_format(output_path).empty() || names_sequence(output_path)) {
    fail(ErrorKind::Usage,
         "{} cannot hold a C2PA manifest; --sign writes .mp4, .mov, .gif, .webp, .apng and single "
         ".png",
         output_path == "-" ? "stdout" : output_path);
  }
  C2paLibrary::get();
}

void sign_file(const std::string& path, const CredentialOrder& order,
               const SigningIdentity& identity) {
  const C2paLibrary& c2pa = C2paLibrary::get();
  const std::string format = c2pa_format(order.output_path);
  const Owned<C2paBuilder> builder(c2pa->builder_from_json(to_text(definition_of(order)).c_str()),
                                   c2pa->builder_free);
  if (!builder)
    fail(ErrorKind::Internal, "the C2PA library did not take the manifest: {}", c2pa.error());
  for (const CredentialSource& source : order.sources) add_source(builder.get(), source);
  const C2paSignerInfo info = {"es256", identity.certificates.c_str(), identity.private_key.c_str(),
                               nullptr};
  const Owned<C2paSigner> signer(c2pa->signer_from_info(&info), c2pa->signer_free);
  if (!signer)
    fail(ErrorKind::Input, "the identity '{}' cannot sign: {}", identity.name, c2pa.error());

  const std::string signed_path = path + ".signed";
  const UnfinishedFile unfinished(signed_path);
  try {
    {
      C2paFile source(path, "rb"), signed_file(signed_path, "wb+");
      const uint8_t* manifest = nullptr;
      if (c2pa->builder_sign(builder.get(), format.c_str(), source.stream(), signed_file.stream(),
                             signer.get(), &manifest) < 0)
        fail(ErrorKind::Input, "{} could not be signed: {}", order.output_path, c2pa.error());
      if (manifest) c2pa->manifest_bytes_free(manifest);
      signed_file.sync();
    }
    const CredentialReport report = read_credentials(signed_path);
    if (report.state != CredentialState::Valid || report.manifest_json != order.manifest_json) {
      fail(ErrorKind::Internal, "{}: the signature does not read back: {}", order.output_path,
           report.problems.empty() ? "the manifest in it differs" : report.problems.front());
    }
    std::error_code error;
    fs::permissions(signed_path, fs::status(path).permissions(), error);
    if (std::rename(signed_path.c_str(), path.c_str()) != 0)
      fail(ErrorKind::Io, "{} could not take the place of {}", signed_path, path);
  } catch (...) {
    std::remove(signed_path.c_str());
    throw;
  }
}

CredentialReport read_credentials(const std::string& path) {
  const std::string format = format_by_content(path);
  CredentialReport report;
  if (format.empty()) return report;
  if (!C2paLibrary::is_here()) {
    report.state = CredentialState::Unread;
    return report;
  }
  const json store = read_store(path, format);
  if (store.is_null()) return report;
  report.is_trusted = store.value("validation_state", "") == "Trusted";
  add_problems(store.value("validation_results", json::object()), report.problems);
  if (store.contains("error")) report.problems.push_back(store["error"].get<std::string>());
  const bool all_concern_content =
      !report.problems.empty() &&
      std::all_of(report.problems.begin(), report.problems.end(), concerns_content);
  report.state = report.problems.empty() ? CredentialState::Valid
                 : all_concern_content   ? CredentialState::Changed
                                         : CredentialState::Broken;
  const std::string label = store.value("active_manifest", "");
  const json manifests = store.value("manifests", json::object());
  if (!manifests.contains(label)) return report;
  const json& active = manifests[label];
  const json signature = active.value("signature_info", json::object());
  report.signer = signature.value("common_name", signature.value("issuer", ""));
  for (const json& assertion : active.value("assertions", json::array())) {
    const std::string name = assertion.value("label", "");
    if (name.starts_with(kManifestLabel))
      report.manifest_json = assertion.value("data", json::object()).value("json", "");
    if (name.starts_with("c2pa.actions"))
      report.is_generated = assertion.dump().find("rainedAlgorithmicMedia") != std::string::npos;
  }
  return report;
}

}  // namespace sora
