// One request made into its clips, file by file: what the engine does between plan and result.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/media/video_writer.h"
#include "lib/pipelines/clip_maker.h"
#include "lib/pipelines/preview.h"
#include "lib/pipelines/request_shape.h"
#include "lib/provenance/image_policy.h"
#include "lib/provenance/manifest.h"
#include "lib/provenance/signing_identity.h"
#include "lib/sora.h"

namespace sora {

// How the tensors of --save-latents are called: "latents", or, where a clip has several windows,
// this and the window's number.
inline constexpr char kWindowLatents[] = "latents.";

ClipShape shape_of(const Plan& plan);
// Who signs. Throws Error where the output cannot hold a signature, or there is no such identity.
SigningIdentity identity_for(const std::string& output_path, const OutputSpec& output);

// Whether the clips of a request, and their latents, can be written where they are to be, without
// making anything. Throws as VideoWriter and OutputFile do.
void check_output(const OutputSpec& output, const ClipShape& shape);

// The policy on all texts of a plan, those of a storyboard or of a source's manifest too, which are
// no part of the request as it was asked. Throws Error(Refused).
void enforce_policy_on_plan(const Request& request, const Plan& plan, Observer& observer);

class ClipRun {
 public:
  struct Terms {
    std::string preset;              // the one that was asked for, or empty
    at::Tensor known_latents_1CFHW;  // only the VAE is run on them; undefined otherwise
    std::string latents_at;    // where a clip's latents are kept while it is made; empty: nowhere
    std::string preview_path;  // is replaced while the clip is made; empty: there is none
    Admission* admission = nullptr;  // asked before the work; none: all is admitted
    std::function<void(const ClipResult&)> take_clip;  // as each is whole; may be empty
    bool writes = true;                           // false: another rank of the same clip writes it
    std::chrono::steady_clock::time_point start;  // of the first clip's seconds
  };

  // Checks texts, pictures and output, asks for admission, and describes the run; no frame is made
  // yet. All of the references must outlive the object. Throws Error.
  ClipRun(const Request& request, const ModelInfo& model, const Plan& plan, const Terms& terms,
          Observer& observer);

  // `preview`, where there is one, must outlive the call.
  std::vector<ClipResult> make(Preview* preview);

 private:
  void check_texts() const;
  void check_latents_path(int index) const;
  void check_is_no_clip(const char* option, const std::string& path, int index) const;
  ClipResult make_variation(int index);
  WriterOptions writer_options(int index, const nlohmann::json& manifest) const;
  // All frames of the clip at `path`, to `writer` where this process writes.
  void draw(int index, const ClipResult& result, const std::string& path, VideoWriter* writer);

  const Request& request_;
  const ModelInfo& model_;
  const Plan& plan_;
  Terms terms_;
  Observer& observer_;
  int count_;
  ImagePolicy image_policy_;
  std::string base_path_;
  std::optional<SigningIdentity> identity_;
  Manifest manifest_;
  at::Tensor sound_NC_;
  Preview* preview_ = nullptr;
  std::optional<ClipMaker> maker_;
};

}  // namespace sora
