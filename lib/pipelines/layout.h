// What an operation makes of its request: the output's own timeline, in output frames, before any
// model has a say. Which frames come out as a source's own, which follow a source down to a noise
// level, which text holds when.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/models/model_info.h"
#include "lib/pipelines/request.h"
#include "lib/pipelines/source.h"
#include "lib/pipelines/windows.h"

namespace sora {

// Share of a side that a picture may lose, where it is fitted to another shape, without much of it
// being missed: 16:9 on what a model has for it.
inline constexpr double kLittleCut = 0.08;

// Output frames `frames` show a source from its frame `first` on, counted at the output's rate.
struct Shot {
  Stretch frames;
  std::shared_ptr<const Source> source;
  int64_t first = 0;
  Fit fit = Fit::Crop;
};

// A source that drawn frames follow. Where several overlap, they are mixed by weight.
struct Guide {
  Shot placement;
  std::vector<double> weights;  // one for each frame of the placement
  bool look_only = false;       // lends its colours and contrast instead of its picture
};

// Output frames during which the sound of a source is heard, from its frame `first` on.
struct Heard {
  Stretch frames;
  std::shared_ptr<const Source> source;
  int64_t first = 0;
  std::vector<double> gains;  // one for each frame; empty: 1
};

struct Picture {
  int64_t frame = 0;
  std::string path;
  // Empty for a file that cannot be read, which is told of where it is to be shown.
  std::optional<Size> size;
};

struct Said {
  Stretch frames;
  std::string text;
};

enum class EditMethod { None, FlowEdit, FlowAlign };

struct Layout {
  Size size;
  Rational fps;
  int64_t num_frames = 0;
  // Frames after the last that the model sees and nobody else: a loop's beginning.
  int64_t num_hidden = 0;
  bool cyclic = false;  // the end runs into the beginning

  std::vector<Shot> kept;  // by time, disjoint; may reach into the hidden frames
  std::vector<Picture> pictures;
  std::vector<Guide> guides;
  std::vector<std::string> references;  // paths of pictures, for models with a control branch
  std::optional<Shot> control;          // likewise: what its frames say of the drawn ones
  double control_scale = 1;
  // Noise level down to which a frame follows the guides; empty without guides.
  std::vector<double> levels;
  std::vector<Heard> heard;   // may overlap; only of sources with sound
  std::vector<Said> prompts;  // by time, without gaps
  // Frames before which nothing of the drawing is carried on; rising, inside the clip.
  std::vector<int64_t> cuts;
  EditMethod edit = EditMethod::None;
  std::string source_prompt;  // of the edit methods
  std::vector<std::string> notices;

  bool has_sources() const { return !kept.empty() || !guides.empty(); }
  // The first text: the clip's title and name.
  const std::string& prompt() const { return prompts.front().text; }
  // What can be opened of a source of this name: itself, or what was kept of a pipe.
  std::string readable(const std::string& name) const;
  // Of kept, followed and heard frames and of the control; one may come more than once.
  std::vector<const Source*> sources() const;
  Shot place(std::shared_ptr<const Source> source, const std::string& fit, int64_t start,
             int64_t first, int64_t count) const;
  void say_everywhere(const std::string& text) { prompts = {{{0, num_frames + num_hidden}, text}}; }
};

// One page an operation. Throw Error(Usage | Input | NotFound) in one sentence.
Layout lay_out(const GenerateRequest& request, const VideoSpec& video, const ModelInfo& model);
Layout lay_out(const ExtendRequest& request, const VideoSpec& video, const ModelInfo& model);
Layout lay_out(const RecutRequest& request, const VideoSpec& video, const ModelInfo& model);
Layout lay_out(const LoopRequest& request, const VideoSpec& video, const ModelInfo& model);
Layout lay_out(const RemixRequest& request, const VideoSpec& video, const ModelInfo& model);
Layout lay_out(const BlendRequest& request, const VideoSpec& video, const ModelInfo& model);

// The size that `video` asks for; empty where it leaves that open. A resolution alone is that of
// the named aspect nearest to `shown`, 16:9 where nothing is shown.
std::optional<Size> asked_size(const VideoSpec& video, std::optional<Size> shown);

// A source's own. Throws Error(Input) for one that no clip can have.
Size own_size(const Source& source);

// The output as `video` asks for it; what it leaves open is the source's own. Opens the layout for
// a tool.
Layout layout_for(const VideoSpec& video, const Source& source);

// Lets the sources be heard where their frames are kept or followed, unless the operation has said
// who is heard.
void hear_sources(Layout& layout);

// A notice of each source whose frames are two fields.
void tell_of_fields(Layout& layout);

// A notice of each source and picture of which the frame of the clip leaves out a good part.
void tell_of_cropping(Layout& layout);

// `seconds` as frames of the layout, rounded to nearest.
int64_t frames_in(const Layout& layout, double seconds);

// `asked`, or the source's own text with a notice where there is none.
std::string prompt_or_own(const std::string& asked, const Source& source, Layout& layout);

// Paths of all files that a request reads.
std::vector<std::string> sources_of(const Operation& operation);

}  // namespace sora
