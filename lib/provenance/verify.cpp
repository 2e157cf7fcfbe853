#include "lib/provenance/verify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/media/metadata.h"
#include "lib/media/video_reader.h"
#include "lib/provenance/content_credentials.h"
#include "lib/provenance/manifest.h"
#include "lib/provenance/watermark.h"

namespace sora {
namespace {

using nlohmann::json;

constexpr const char* kSignaturePlace = "the signature";

struct Findings {
  json manifest = {{"state", "absent"}};
  json signature;
  json watermark = {{"state", "absent"}};
  std::string manifest_text;
  bool expects_watermark = false;
  std::vector<std::string> source_marks;  // that the manifest knows of
  bool is_webp = false;
  bool contradicts = false;
  std::vector<std::string> lines;
};

struct ManifestText {
  std::string json;  // empty: there is none
  std::string place;
};

bool holds_manifest(const ManifestText& text) {
  return !text.json.empty() && is_manifest(parse_json(text.json, text.place));
}

// Other programs write JSON into a comment, and beside a file under the side file's name, as well.
ManifestText manifest_text_of(const FileInfo& info) {
  ManifestText text{info.metadata_json, info.metadata_path};
  if (!text.json.empty() && text.place == info.path && !holds_manifest(text))
    text = {sidecar_metadata(info.path), sidecar_path(info.path)};
  return holds_manifest(text) ? text : ManifestText();
}

// Where the file shows none, the one that was signed with it stands for it.
void look_at_manifest(const std::string& path, const CredentialReport& report, Findings& found) {
  const FileInfo info = probe(path);
  found.is_webp = info.container == "webp";
  ManifestText text = manifest_text_of(info);
  if (text.json.empty() && report.state == CredentialState::Valid)
    text = {report.manifest_json, kSignaturePlace};
  if (text.json.empty()) {
    found.lines.emplace_back("Manifest: none.");
    return;
  }
  try {
    const Manifest manifest = manifest_from_json(parse_json(text.json, text.place), text.place);
    found.manifest_text = text.json;
    for (const ManifestSource& source : manifest.sources)
      found.source_marks.insert(found.source_marks.end(), source.watermarks.begin(),
                                source.watermarks.end());
    found.expects_watermark = manifest.watermark == "invisible" || manifest.watermark == "both";
    const std::string id = watermark_id(watermark_payload(found.manifest_text));
    found.manifest = {{"state", "present"},
                      {"id", id},
                      {"place", text.place},
                      {"created_by", manifest.created_by},
                      {"operation", manifest.operation},
                      {"model", manifest.model.name}};
    found.lines.push_back(fmt::format("Manifest: {} by {} with {}, id {}{}.", manifest.operation,
                                      manifest.created_by, manifest.model.name, id,
                                      text.place == path ? ""
                                      : text.place == kSignaturePlace
                                          ? ", in " + text.place
                                          : ", beside the file in " + text.place));
  } catch (const Error& error) {
    found.manifest = {{"state", "damaged"}, {"problem", error.what()}};
    found.lines.push_back(fmt::format("Manifest: cannot be read: {}.", error.what()));
  }
}

const char* name_of(CredentialState state) {
  switch (state) {
    case CredentialState::Absent:
      return "absent";
    case CredentialState::Valid:
      return "valid";
    case CredentialState::Changed:
      return "changed";
    case CredentialState::Broken:
      return "broken";
    case CredentialState::Unread:
      return "unread";
  }
  return "";
}

void look_at_signature(const CredentialReport& report, Findings& found) {
  found.signature = {{"state", name_of(report.state)}};
  if (report.state == CredentialState::Absent) {
    found.lines.emplace_back("Signature: none.");
    return;
  }
  if (report.state == CredentialState::Unread) {
    found.lines.emplace_back(
        "Signature: not looked for, libc2pa_c.so is not here; scripts/get-c2pa brings it.");
    return;
  }
  found.signature["signer"] = report.signer;
  found.signature["trusted"] = report.is_trusted;
  found.signature["says_generated"] = report.is_generated;
  found.signature["problems"] = report.problems;
  const bool holds = report.state == CredentialState::Valid;
  found.contradicts |= !holds;
  if (holds) {
    found.lines.push_back(
        fmt::format("Signature: C2PA, valid, by \"{}\"{}; {}.", report.signer,
                    report.is_trusted ? "" : ", a name that only its own certificate vouches for",
                    report.is_generated ? "it says that the picture was generated"
                                        : "it does not say that the picture was generated"));
  } else if (report.state == CredentialState::Changed) {
    found.lines.push_back(fmt::format(
        "Signature: C2PA, by \"{}\", and the file was changed after it was signed ({}).",
        report.signer, fmt::join(report.problems, ", ")));
  } else {
    found.lines.push_back(fmt::format("Signature: C2PA, and it does not hold ({}).",
                                      fmt::join(report.problems, ", ")));
  }
  if (!report.manifest_json.empty() && !found.manifest_text.empty()) {
    const bool agrees = report.manifest_json == found.manifest_text;
    found.signature["manifest_agrees"] = agrees;
    found.contradicts |= !agrees;
    if (!agrees)
      found.lines.emplace_back("The manifest that was signed is not the one that the file shows.");
  }
}

void look_at_watermark(const std::string& path, const Observer& observer, Findings& found) {
  std::optional<WatermarkReading> reading;
  try {
    reading = read_watermark(path, observer);
  } catch (const Error& error) {
    if (!found.is_webp || error.kind() != ErrorKind::Input) throw;
    found.watermark = {{"state", "unread"}};
    found.lines.emplace_back(
        "Watermark: not looked for, this FFmpeg does not decode animated WebP.");
    return;
  }
  if (!reading) {
    found.lines.emplace_back(
        found.expects_watermark
            ? "Watermark: none found, though the manifest says that there was "
              "one; the pictures were "
              "changed beyond what it withstands, they are too small for it, or "
              "the key is another one."
            : "Watermark: none.");
    return;
  }
  const std::string id = watermark_id(reading->payload);
  found.watermark = {{"state", "found"},
                     {"id", id},
                     {"log2_chance", reading->log2_chance},
                     {"scale", json::array({reading->scale_x, reading->scale_y})}};
  std::string line = fmt::format("Watermark: found, id {}", id);
  if (!found.manifest_text.empty()) {
    const bool is_own = reading->payload == watermark_payload(found.manifest_text);
    const bool is_source =
        !is_own && std::find(found.source_marks.begin(), found.source_marks.end(), id) !=
                       found.source_marks.end();
    found.watermark["of_source"] = is_source;
    found.watermark["manifest_agrees"] = is_own || is_source;
    found.contradicts |= !is_own && !is_source;
    line += is_own      ? ", the manifest's"
            : is_source ? ", a source's, as the manifest says"
                        : ", which is not the manifest's: one of the two came from elsewhere";
  }
  found.lines.push_back(line + ".");
}

std::string verdict_of(const Findings& found) {
  if (found.contradicts || found.manifest["state"] == "damaged") return "contradicted";
  const bool has_mark = found.watermark["state"] == "found",
             has_manifest = found.manifest["state"] == "present",
             has_own_mark = has_mark && !found.watermark.value("of_source", false);
  if (found.signature["state"] == "valid" || (has_own_mark && has_manifest)) return "confirmed";
  if (has_manifest) return "claimed";
  return has_mark ? "marked" : "nothing";
}

std::string sentence_of(const std::string& verdict) {
  if (verdict == "confirmed") return "The traces agree.";
  if (verdict == "claimed")
    return "The manifest says so; nothing else speaks for it, and anyone can write one.";
  if (verdict == "marked")
    return "The pictures carry the mark; the manifest it belongs to is lost.";
  if (verdict == "contradicted")
    return "The traces contradict each other, or the file was changed.";
  return "Nothing says where the file came from.";
}

}  // namespace

json verify_file(const std::string& name, const Observer& observer) {
  const std::string path = first_file(name);
  Findings found;
  const CredentialReport report = read_credentials(path);
  look_at_manifest(path, report, found);
  look_at_signature(report, found);
  look_at_watermark(path, observer, found);
  const std::string verdict = verdict_of(found);
  found.lines.push_back(sentence_of(verdict));
  json unchanged;  // of what a signature covers
  if (found.signature["state"] == "valid") unchanged = true;
  if (found.signature["state"] == "changed") unchanged = false;
  return {{"schema", 1},
          {"path", path},
          {"manifest", found.manifest},
          {"signature", found.signature},
          {"watermark", found.watermark},
          {"unchanged", unchanged},
          {"verdict", verdict},
          {"lines", found.lines}};
}

}  // namespace sora
