#include "cli/engine_maker.h"

#include <cstdlib>
#include <string_view>

#include "cli/actions/payment.h"
#include "cli/engine_library.h"
#include "cli/parse.h"
#include "cli/results.h"
#include "cli/run.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

// Output and side files go below the stage, as deep as they are to lie below the output folder.
void write_below(const std::filesystem::path& stage, const std::string& output, OutputSpec& spec) {
  const std::filesystem::path path = stage / output;
  const bool is_sequence = path.filename().string().find('%') != std::string::npos;
  std::filesystem::create_directories(is_sequence ? path.parent_path().parent_path()
                                                  : path.parent_path());
  spec.path = path.string();
  if (spec.latents_path.empty()) return;
  const std::filesystem::path latents = stage / spec.latents_path;
  std::filesystem::create_directories(latents.parent_path());
  spec.latents_path = latents.string();
}

// Relative paths of the environment go on from where this process was started, whatever directory
// its jobs bring along.
void fix_environment() {
  constexpr std::string_view kLibrary = "SORA_C2PA";  // the loader looks for a bare name
  constexpr std::string_view kPaths[] = {
      "SORA_LEDGER",   "SORA_CACHE",     "SORA_POLICY",    kLibrary,  "SORA_QUEUE",
      "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "HF_HOME", "HF_HUB_CACHE"};
  for (const std::string_view name : kPaths) {
    const char* const set = std::getenv(name.data());
    const std::string_view value = set == nullptr ? "" : set;
    if (value.empty() || value.front() == '/' || value.front() == '~') continue;
    if (name == kLibrary && value.find('/') == value.npos) continue;
    ::setenv(name.data(), std::filesystem::absolute(value).c_str(), /*overwrite=*/1);
  }
}

// A queued command's relative paths begin where it was typed.
void use_directory(const Job& job) {
  if (!job.details.contains("directory")) return;
  std::error_code error;
  std::filesystem::current_path(job.details.at("directory").get<std::string>(), error);
  if (error)
    fail(ErrorKind::NotFound, "the folder {}, where this job was added, is gone",
         job.details.at("directory").get<std::string>());
}

// What the ledger calls the making of a job.
std::string work_of(const std::filesystem::path& store, const Job& job) {
  return fmt::format("{}#{}", std::filesystem::weakly_canonical(store).string(), job.id);
}

// Its result says whether credits hang on it.
bool is_paid(const Job& job) {
  return job.result.is_array() && !job.result.empty() && job.result.front().contains("credits");
}

}  // namespace

MakeClips parse_job(const std::vector<std::string>& command) {
  const Command parsed = parse(command);
  const auto* make = std::get_if<MakeClips>(&parsed.action);
  if (make == nullptr)
    fail(ErrorKind::Usage, "'{}' makes no clip", command.empty() ? "" : command.front());
  if (make->dry_run || make->ranks > 1)
    fail(ErrorKind::Usage, "--dry-run and --ranks are no part of a job");
  if (make->preview.is_wanted())
    fail(ErrorKind::Usage,
         "--preview is no part of a job; sora batch FILE --preview and sora queue run --preview "
         "show the job that is drawn");
  return *make;
}

// Sets a job's credits aside once it is planned, waiting where the plan makes no more at a time.
class EngineMaker::Payment : public Admission {
 public:
  Payment(EngineMaker& maker, const Job& job, const Observer& observer)
      : maker_(maker), job_(job), account_(maker.account_of(job)), observer_(observer) {
    if (account_.plan().has_limits()) maker_.engine_->set_admission(this);
  }
  ~Payment() override { maker_.engine_->set_admission(nullptr); }
  Payment(const Payment&) = delete;
  Payment& operator=(const Payment&) = delete;

  void planned(const ClipShape& shape) override {
    if (is_reserved())
      account_.refund(work_of(maker_.store_, job_), "planned anew");  // its latents were of no use
    if (!account_.reserve(work_of(maker_.store_, job_), work_text(job_.command.front(), shape),
                          shape, job_.lane, &observer_))
      return;
    maker_.open_.insert(job_.id);
    credits_of_clip_ = account_.price(shape, job_.lane) / shape.variations;
  }

  const CreditPlan& plan() const { return account_.plan(); }
  bool is_reserved() const { return maker_.open_.count(job_.id) > 0; }
  int64_t credits_of_clip() const { return credits_of_clip_; }

 private:
  EngineMaker& maker_;
  const Job& job_;
  Account& account_;
  const Observer& observer_;
  int64_t credits_of_clip_ = 0;
};

EngineMaker::EngineMaker(std::filesystem::path store, std::string plan)
    : store_(std::filesystem::weakly_canonical(store)), plan_(std::move(plan)) {
  fix_environment();
  engine_ = load_engine();
  engine_->keep_models_loaded();
}

EngineMaker::~EngineMaker() = default;

Account& EngineMaker::account_of(const std::string& plan, const std::string& owner) {
  const auto known = accounts_.find({plan, owner});
  if (known != accounts_.end()) return known->second;
  return accounts_.emplace(std::pair(plan, owner), Account(load_plan(plan), owner)).first->second;
}

Account& EngineMaker::account_of(const Job& job) {
  return account_of(job.details.value("plan", plan_), job.owner);
}

void EngineMaker::settle(const JobStore& store, const Job& job) {
  if (is_paid(job))
    account_of(job).ledger().settle(work_of(store.path(), job));  // also what another process made
  open_.erase(job.id);
}

void EngineMaker::refund(const JobStore& store, const Job& job) {
  if (open_.erase(job.id) > 0 || is_paid(job))
    account_of(job).ledger().refund(work_of(store.path(), job), "it was not made");
}

void EngineMaker::lost(const JobStore& store, const Job& job) {
  account_of(job).refund_open(work_of(store.path(), job), "its process ended");
}

// A job that was cut off after sampling goes on from its latents.
std::vector<ClipResult> EngineMaker::make_clips(const Request& request,
                                                const std::filesystem::path& latents,
                                                Observer& observer) {
  engine_->keep_latents_at(latents.string());
  if (std::filesystem::exists(latents)) {
    try {
      return engine_->decode(latents.string(), request.output, request.runtime, observer);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Input) throw;
      std::filesystem::remove(latents);  // of another version, or damaged
    }
  }
  return engine_->run(request, observer);
}

nlohmann::json EngineMaker::make(const Job& job, const std::filesystem::path& stage,
                                 Observer& observer) {
  use_directory(job);
  Request request = with_recipe(parse_job(job.command), *engine_);
  Payment payment(*this, job, observer);
  request.output = payment.plan().with_watermark(request.output);
  write_below(stage, job.output, request.output);
  nlohmann::json clips = nlohmann::json::array();
  for (const ClipResult& clip :
       make_clips(request, OutputFolder::latents_beside(stage), observer)) {
    nlohmann::json result = to_json(clip);
    for (const char* key : {"path", "paths"}) result.erase(key);
    result["paths"] = nlohmann::json::array();
    for (const std::string& path : clip.paths) {
      result["paths"].push_back(
          std::filesystem::path(path).lexically_relative(stage).generic_string());
    }
    if (payment.is_reserved()) result["credits"] = payment.credits_of_clip();
    clips.push_back(std::move(result));
  }
  return clips;
}

void EngineMaker::prepare(const std::vector<Job>& jobs, Observer& observer) {
  std::vector<Request> requests;
  for (const Job& job : jobs) {
    try {
      use_directory(job);
      requests.push_back(with_recipe(parse_job(job.command), *engine_));
    } catch (const Error&) {
      continue;  // the job tells when it is its turn
    }
  }
  engine_->prepare(requests, observer);
}

}  // namespace sora::cli
