// Makes one clip through the library: use_library PROMPT OUTPUT [MODEL]
#include <sora/sora.h>

namespace {

// Says which part of the work has begun.
class PhasePrinter : public sora::Observer {
 public:
  void begin(sora::Phase phase, int64_t total_steps) override {
    fmt::print(stderr, "{}: {} steps\n", sora::to_string(phase), total_steps);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: use_library PROMPT OUTPUT [MODEL]\n");
    return 2;
  }
  try {
    sora::GenerateRequest generate;
    generate.prompt = argv[1];
    sora::Request request{.operation = generate};
    request.video.num_frames = 5;
    request.sampling.steps = 2;
    request.sampling.seed = 1;
    request.output.path = argv[2];
    if (argc > 3) request.runtime.model = argv[3];

    PhasePrinter observer;
    for (const sora::ClipResult& clip : sora::make_engine()->run(request, observer)) {
      fmt::print("{}\n", clip.paths.front());
    }
  } catch (const sora::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return sora::exit_code(error.kind());
  }
}
