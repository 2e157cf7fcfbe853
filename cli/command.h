// What the command line asked for, after parsing and before any work: plain data, tested without a
// model.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "lib/core/model_task.h"
#include "lib/core/pictures.h"
#include "lib/core/share_task.h"
#include "lib/gallery/gallery.h"
#include "lib/jobs/slurm.h"
#include "lib/pipelines/request.h"
#include "lib/serve/video_service.h"

namespace sora::cli {

enum class ProgressStyle { Auto, Bar, Plain, Json, None };

// How results and messages are shown, whatever the subcommand.
struct Display {
  bool json = false;
  bool quiet = false;
  ProgressStyle progress = ProgressStyle::Auto;
};

// How a clip is looked at while it is made.
struct PreviewWish {
  bool on_terminal = false;
  std::string file;  // empty: none
  bool is_wanted() const { return on_terminal || !file.empty(); }
};

// Makes clips: generate, and every tool after it.
struct MakeClips {
  Request request;
  std::string recipe;  // a clip or JSON file whose request is repeated; empty: none
  std::string plan;    // name or file of the plan it is made under; empty: the one in force
  bool dry_run = false;
  int ranks = 1;  // processes that draw each clip together
  PreviewWish preview;
};

// A contact sheet of files, on the terminal or as a file.
struct ShowSheet {
  SheetRequest sheet;
  bool is_still = false;  // the clips are not played first
  std::string output;     // a .png; empty: on the terminal
  bool force = false;
};

// Packs and unpacks clips and presets.
struct ShareFiles {
  ShareTask task;
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
  std::string plan;
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

// Makes all clips of a prompt file.
struct RunBatch {
  std::string file;    // "-": stdin; empty with `resume`: all that the folder's journal still holds
  std::string format;  // txt | jsonl | csv | yaml; empty: by the file's name
  std::string folder;  // empty: beside the file, named after it
  std::string name_template;          // of outputs; empty: after prompt and seed
  std::vector<std::string> defaults;  // options for all jobs, as on a command line
  bool dry_run = false;
  bool resume = false;
  bool keep_going = false;
  bool strict = false;  // what the plan would change in a request is a fault
  bool force = false;   // make again, replace
  bool watch = false;
  int retries = 0;
  int processes = 1;
  int shard = 0;
  int num_shards = 1;
  std::string plan;       // of jobs that name none
  std::string worker_of;  // this process is one of several: the batch whose jobs it makes
  // Of such a process on a cluster: the jobs of its task; empty: the folder's journal.
  std::string store;
  std::string on;     // slurm; empty: this machine
  bool wait = false;  // until the cluster has made all
  PreviewWish preview;
  SlurmWishes slurm;
};

// Tells how far the batches of a folder are.
struct ShowBatch {
  std::string folder;
};

// One action on the queue.
struct UseQueue {
  enum class Action { Add, List, Show, Cancel, Retry, Run, Pause, Unpause };
  Action action = Action::List;
  std::string folder;                // empty: the user's own
  std::vector<std::string> command;  // of Add: {"generate", "a red ball"}
  bool relaxed = false;
  int retries = 0;
  int64_t job = 0;
  bool follow = false;
  PreviewWish preview;         // of Run
  bool force_preview = false;  // its file may be replaced
};

// Tells what the plan in force has left, what was spent, and what a command would cost.
struct UseCredits {
  enum class Action { Balance, History, Estimate, Prices, Plans };
  Action action = Action::Balance;
  std::string plan;
  std::string account;               // a name of the server's token file; empty: the user's own
  std::vector<std::string> command;  // of Estimate
  int64_t limit = 20;                // of History
};

// Serves the queue over HTTP, or adds a token for it.
struct ServeVideos {
  ServeOptions options;
  std::string new_token;  // name; empty: serve
  std::vector<std::string> models;
  std::vector<std::string> defaults;  // options of every job
  std::string folder;                 // of the queue; empty: the user's own
  std::string plan;                   // of callers that have none of their own
  int processes = 1;
  int64_t max_waiting = 100;
};

// Tells where a clip came from.
struct VerifyFile {
  std::string path;
};

// Makes an identity to sign with.
struct NewIdentity {
  std::string name = "default";
  std::string owner = "sora";
};

// Lists the style presets.
struct ListPresets {};

struct Command {
  std::variant<PrintText, MakeClips, ShowInfo, ExploreGallery, UseModels, DecodeLatents, RunBatch,
               ShowBatch, UseQueue, UseCredits, ServeVideos, ListPresets, ShowSheet, ShareFiles,
               VerifyFile, NewIdentity>
      action;
  Display display;
};

}  // namespace sora::cli
