#include "lib/media/filter_graph.h"

#include <fmt/format.h>

namespace sora {
namespace {

struct InOutDeleter {
  void operator()(AVFilterInOut* list) const { avfilter_inout_free(&list); }
};
using InOut = std::unique_ptr<AVFilterInOut, InOutDeleter>;

InOut make_link(const std::string& name, AVFilterContext* filter, InOut next) {
  InOut link(avfilter_inout_alloc());
  if (!link) fail(ErrorKind::Memory, "no memory for a filter graph");
  link->name = av_strdup(name.c_str());
  link->filter_ctx = filter;
  link->pad_idx = 0;
  link->next = next.release();
  return link;
}

}  // namespace

FilterGraph::FilterGraph(const std::vector<FilterInput>& inputs, const std::string& description)
    : graph_(avfilter_graph_alloc()) {
  if (!graph_) fail(ErrorKind::Memory, "no memory for a filter graph");
  const av::LogCapture log;
  graph_->nb_threads = 1;  // threads would only share the cores with the encoder's
  InOut sources;
  for (size_t i = inputs.size(); i-- > 0;) {
    const FilterInput& input = inputs[i];
    const std::string arguments =
        fmt::format("video_size={}x{}:pix_fmt={}:time_base={}/{}:frame_rate={}/{}:pixel_aspect=1/1",
                    input.width, input.height, int{input.pixel_format}, input.fps.den,
                    input.fps.num, input.fps.num, input.fps.den);
    const std::string name = fmt::format("in{}", i);
    AVFilterContext* source = nullptr;
    if (avfilter_graph_create_filter(&source, avfilter_get_by_name("buffer"), name.c_str(),
                                     arguments.c_str(), nullptr, graph_.get()) < 0) {
      fail(ErrorKind::Internal, "libavfilter takes no frames of {}", arguments);
    }
    sources_.insert(sources_.begin(), source);
    sources = make_link(name, source, std::move(sources));
  }
  if (avfilter_graph_create_filter(&sink_, avfilter_get_by_name("buffersink"), "out", nullptr,
                                   nullptr, graph_.get()) < 0) {
    fail(ErrorKind::Internal, "libavfilter has no frame sink");
  }
  InOut sink = make_link("out", sink_, nullptr);
  AVFilterInOut* ends = sink.release();
  AVFilterInOut* starts = sources.release();
  int result = avfilter_graph_parse_ptr(graph_.get(), description.c_str(), &ends, &starts, nullptr);
  InOut(ends).reset();
  InOut(starts).reset();
  if (result >= 0) result = avfilter_graph_config(graph_.get(), nullptr);
  if (result < 0) {
    fail(ErrorKind::NotFound, "this FFmpeg cannot run the filter '{}': {}", description,
         log.describe(result));
  }
}

void FilterGraph::push(size_t input, av::Frame frame) {
  const av::LogCapture log;
  const int result = av_buffersrc_add_frame(sources_.at(input), frame.get());
  if (result < 0) fail(ErrorKind::Internal, "a filter refused a frame: {}", log.describe(result));
}

void FilterGraph::close(size_t input) {
  const av::LogCapture log;
  const int result = av_buffersrc_add_frame(sources_.at(input), nullptr);
  if (result < 0) fail(ErrorKind::Internal, "a filter cannot be closed: {}", log.describe(result));
}

av::Frame FilterGraph::pull() {
  const av::LogCapture log;
  av::Frame frame = av::make_frame();
  const int result = av_buffersink_get_frame(sink_, frame.get());
  if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return nullptr;
  if (result < 0) fail(ErrorKind::Internal, "a filter failed: {}", log.describe(result));
  return frame;
}

}  // namespace sora
