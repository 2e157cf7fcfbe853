// Where a file came from, by all the traces that this program leaves in one: manifest, C2PA
// signature, watermark.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/core/observer.h"

namespace sora {

// {"schema", "path",
//  "manifest": {"state": "present" | "absent" | "damaged", "id", "place", "created_by", "model",
//  "prompt"}, "signature": {"state": "valid" | "changed" | "broken" | "absent" | "unread",
//  "signer", "trusted", "says_generated",
//                "manifest_agrees", "problems"},
//  "watermark": {"state": "found" | "absent" | "unread", "id", "manifest_agrees", "of_source",
//  "log2_chance", "scale"}, "unchanged": true | false | null, "verdict": "confirmed" | "claimed" |
//  "marked" | "contradicted" | "nothing", "lines": the same in words}
// confirmed: a valid signature, or a watermark of the manifest that is there; claimed: a manifest
// and nothing that speaks for it, or the mark of a source that it names; marked: a watermark whose
// manifest is lost. Throws Error(NotFound | Input) as VideoReader. Of a sequence of pictures the
// first is looked at.
nlohmann::json verify_file(const std::string& name, const Observer& observer = {});

}  // namespace sora
