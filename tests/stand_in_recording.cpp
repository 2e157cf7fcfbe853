#include "tests/stand_in_recording.h"

#include <ATen/ATen.h>

#include <utility>

#include "lib/nn/device_graph.h"

namespace sora::stand_in {
namespace {

Recording* underway = nullptr;
int64_t recordings = 0, replays = 0;

// While it lives, operators are recorded on the other stream, which has waited for this one.
class Underway {
 public:
  explicit Underway(Recording& recorded) : caller_(streams().current) {
    recorded.stream = 1 - caller_;
    streams().known[recorded.stream].include(streams().known_here());
    streams().current = recorded.stream;
    underway = &recorded;
  }
  ~Underway() {
    underway = nullptr;
    streams().known[caller_].include(streams().known_here());
    streams().current = caller_;
  }
  Underway(const Underway&) = delete;
  Underway& operator=(const Underway&) = delete;

 private:
  int caller_;
};

using Recordings = std::vector<std::weak_ptr<Recording>>;

class Graph final : public DeviceGraph {
 public:
  Graph(std::shared_ptr<Recording> own, std::shared_ptr<Recordings> all)
      : own_(std::move(own)), all_(std::move(all)) {}

  // They share memory, so that a replay leaves nothing of what the others made.
  void replay() override {
    refuse_while_recording("a graph is replayed");
    for (const std::weak_ptr<Recording>& each : *all_) {
      if (const auto alive = each.lock()) alive->spoil();
    }
    own_->replay();
    ++replays;
  }

 private:
  std::shared_ptr<Recording> own_;
  std::shared_ptr<Recordings> all_;
};

class Recorder final : public GraphRecorder {
 public:
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override {
    refuse_while_recording("another graph is recorded");
    const auto recorded = std::make_shared<Recording>();
    recorded->number = ++recordings;
    {
      const Underway until_the_end(*recorded);
      work();
    }
    recorded->spoil();
    all_->push_back(recorded);
    return std::make_unique<Graph>(recorded, all_);
  }

 private:
  std::shared_ptr<Recordings> all_ = std::make_shared<Recordings>();
};

std::vector<std::weak_ptr<Memory>> memories(const std::vector<at::Tensor>& tensors) {
  std::vector<std::weak_ptr<Memory>> all;
  for (const at::Tensor& tensor : tensors) all.push_back(memory_of(tensor));
  return all;
}

}  // namespace

Recording* recording() { return underway; }
int64_t num_replays() { return replays; }

void refuse_while_recording(const std::string& what) {
  TORCH_CHECK(underway == nullptr, what, " while a graph is recorded");
}

void check_recording_stream(const std::string& what) {
  TORCH_CHECK(underway == nullptr || streams().current == underway->stream, what,
              " is on another stream than the graph that is recorded");
}

void Recording::take_in(const std::shared_ptr<Memory>& memory) {
  check_recording_stream("memory");
  memory->recording = number;
  own.push_back(memory);
}

void Recording::add(const std::string& name, const std::vector<at::Tensor>& reads,
                    const std::vector<at::Tensor>& writes, std::function<void()> again) {
  steps.push_back({name, memories(reads), memories(writes), std::move(again)});
}

void Recording::spoil() const {
  for (const std::shared_ptr<Memory>& memory : own) memory->spoil();
}

void Recording::replay() const {
  for (const Step& step : steps) {
    for (const std::weak_ptr<Memory>& each : step.reads) {
      const std::shared_ptr<Memory> memory = each.lock();
      TORCH_CHECK(memory != nullptr, step.name, ": memory that a graph uses has been freed");
      TORCH_CHECK(owns(*memory) || streams().known_here().covers(memory->written), step.name,
                  ": a graph is replayed before the stream that makes its input was waited for");
    }
    step.again();
    for (const std::weak_ptr<Memory>& each : step.writes) {
      if (const std::shared_ptr<Memory> memory = each.lock()) memory->written = streams().step();
    }
  }
}

void register_graphs() {
  register_graph_recorder(kType, [](int) -> GraphRecorder* { return new Recorder; });
}

}  // namespace sora::stand_in
