// What the command line asked for, after parsing and before any work: plain data, tested without a model.
#pragma once

#include <string>
#include <variant>

#include "lib/gallery/gallery.h"
#include "lib/core/model_task.h"
#include "lib/pipelines/request.h"

namespace sora::cli {

enum class ProgressStyle { Auto, Bar, Plain, Json, None };

// How results and messages are shown, whatever the subcommand.
struct Display {
  bool json = false;
  bool quiet = false;
  ProgressStyle progress = ProgressStyle::Auto;
};

// Makes clips: generate, and every tool after it.
struct MakeClips {
  Request request;
  std::string recipe;  // a clip or JSON file whose request is repeated; empty: none
  bool dry_run = false;
};

// Prints what a media file holds, or, without a file, the versions of everything in use.
struct ShowInfo {
  std::string path;
};

// Makes the clip of latents.
struct DecodeLatents {
  std::string path;
  OutputSpec output;
  Runtime runtime;
};

// Works on models instead of clips.
struct UseModels {
  ModelTask task;
};

// Text that the program writes about itself: completion scripts, man page, reference page.
struct PrintText {
  std::string text;
};

// Makes a gallery of folders of clips, and serves it where wanted.
struct ExploreGallery {
  GalleryRequest request;
  bool serve = false;
  int port = 8765;
};

struct Command {
  std::variant<PrintText, MakeClips, ShowInfo, ExploreGallery, UseModels, DecodeLatents> action;
  Display display;
};

}  // namespace sora::cli
