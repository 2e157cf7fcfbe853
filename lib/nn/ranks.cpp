// torch/csrc/distributed/c10d: a TCPStore for the ranks to find each other, Gloo between CPUs, NCCL
// between GPUs.
#include "lib/nn/ranks.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/error.h"
#include "lib/nn/companion_library.h"
#include "lib/nn/gloo_declarations.h"
#include "lib/nn/nccl_backend.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace sora {
namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Backend = c10::intrusive_ptr<c10d::Backend>;
using c10d::ProcessGroupGloo;

// For one rank to wait for another that decodes or writes meanwhile; one that has ended is noticed
// at once.
constexpr std::chrono::milliseconds kPatience = std::chrono::hours(24);
constexpr std::chrono::milliseconds kJoinPatience = std::chrono::minutes(5);

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int number(const char* name, int least, int most) {
  const std::string text = variable(name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    fail(ErrorKind::Usage,
         "the environment variable {} is '{}', expected a number from {} to {}; torchrun sets it",
         name, text, least, most);
  }
  return value;
}

Backend make_nccl(const Store& store, int rank, int size) {
  static auto* const make = reinterpret_cast<MakeNccl*>(companion_symbol(kNcclLibrary, kMakeNccl));
  if (make == nullptr) {
    fail(ErrorKind::Usage,
         "ranks on GPUs talk by NCCL, which this build is without; build it with -DSORA_CUDA=ON, "
         "or take --device cpu");
  }
  return Backend::reclaim(make(store, rank, size));
}

// Runs what all ranks of a group do together.
template <typename Work>
void together(const Work& work) {
  try {
    work()->wait();
  } catch (const std::exception& error) {
    const std::string_view reason(error.what());
    fail(ErrorKind::Io, "another rank has ended ({}); its own message says why",
         reason.substr(0, reason.find('\n')));
  }
}

}  // namespace

class RankGroup::Connection {
 public:
  Connection(const Store& store, const std::string& name, const std::string& address, int rank,
             int size)
      : rank(rank), size(size), store_(c10::make_intrusive<c10d::PrefixStore>(name, store)) {
    const auto options = ProcessGroupGloo::Options::create(kPatience);
    const bool is_local = address == "127.0.0.1" || address == "localhost";
    options->devices.push_back(is_local ? ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                        : ProcessGroupGloo::createDefaultDevice());
    gloo_ = c10::make_intrusive<ProcessGroupGloo>(store_, rank, size, options);
  }

  void use_device(at::Device device) {
    if (!device.is_cuda() || nccl_) return;
    nccl_ = make_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl", store_), rank, size);
    // NCCL's ranks find each other at their first work, with the store's short patience: now, while
    // all are here.
    std::vector<at::Tensor> one = {at::zeros({1}, at::TensorOptions(at::kFloat).device(device))};
    together([&] { return nccl_->allreduce(one); });
  }

  c10d::Backend& backend_of(const at::Tensor& tensor) const {
    return tensor.is_cuda() ? *nccl_ : *gloo_;
  }

  // `sent` in stretches of so many numbers to each rank, `taken` in stretches from each. c10d moves
  // the counts away.
  void exchange(at::Tensor& taken, at::Tensor& sent, std::vector<int64_t> taken_counts,
                std::vector<int64_t> sent_counts) const {
    together(
        [&] { return backend_of(sent).alltoall_base(taken, sent, taken_counts, sent_counts); });
  }

  const int rank;
  const int size;

 private:
  Store store_;
  Backend gloo_, nccl_;
};

RankGroup::RankGroup(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)), rank_(connection_->rank), size_(connection_->size) {}

void RankGroup::use_device(at::Device device) { connection_->use_device(device); }

RankGroup::Share RankGroup::share(int64_t num_tokens, int rank) const {
  const int64_t least = num_tokens / size_, larger = num_tokens % size_;
  return {rank * least + std::min<int64_t>(rank, larger), least + (rank < larger ? 1 : 0)};
}

bool RankGroup::can_share(int64_t num_tokens, int64_t num_heads) const {
  return size_ > 1 && num_tokens >= size_ && num_heads % size_ == 0;
}

at::Tensor RankGroup::tokens_to_heads(const at::Tensor& x_BlHK, int64_t num_tokens) const {
  const int64_t batch = x_BlHK.size(0), own = x_BlHK.size(1), heads = x_BlHK.size(2) / size_,
                width = x_BlHK.size(3);
  at::Tensor sent =
      x_BlHK.permute({2, 0, 1, 3}).contiguous().flatten();  // [H, B, l, K]: a stretch for each rank
  std::vector<int64_t> sent_counts(static_cast<size_t>(size_), heads * batch * own * width),
      taken_counts;
  for (int r = 0; r < size_; ++r)
    taken_counts.push_back(heads * batch * share(num_tokens, r).count * width);
  at::Tensor taken = at::empty({heads * batch * num_tokens * width}, x_BlHK.options());
  connection_->exchange(taken, sent, taken_counts, sent_counts);
  std::vector<at::Tensor> pieces = taken.split_with_sizes(taken_counts);
  for (int r = 0; r < size_; ++r) {
    at::Tensor& piece = pieces[static_cast<size_t>(r)];
    piece = piece.view({heads, batch, share(num_tokens, r).count, width});
  }
  return at::cat(pieces, 2).permute({1, 2, 0, 3}).contiguous();
}

at::Tensor RankGroup::heads_to_tokens(const at::Tensor& x_BLhK) const {
  const int64_t batch = x_BLhK.size(0), num_tokens = x_BLhK.size(1), heads = x_BLhK.size(2),
                width = x_BLhK.size(3);
  const int64_t own = own_share(num_tokens).count;
  at::Tensor sent = x_BLhK.transpose(0, 1).contiguous().flatten();  // [L, B, h, K]
  std::vector<int64_t> sent_counts,
      taken_counts(static_cast<size_t>(size_), own * batch * heads * width);
  for (int r = 0; r < size_; ++r)
    sent_counts.push_back(share(num_tokens, r).count * batch * heads * width);
  at::Tensor taken = at::empty({size_ * own * batch * heads * width}, x_BLhK.options());
  connection_->exchange(taken, sent, taken_counts, sent_counts);
  return taken.view({size_, own, batch, heads, width})
      .permute({2, 1, 0, 3, 4})
      .reshape({batch, own, size_ * heads, width});
}

at::Tensor RankGroup::join_tokens(const at::Tensor& x_BlD, int64_t num_tokens) const {
  const int64_t most = share(num_tokens, 0).count, own = x_BlD.size(1);
  const at::Tensor padded = own == most ? x_BlD : at::constant_pad_nd(x_BlD, {0, 0, 0, most - own});
  const at::Tensor all = gather(padded);
  std::vector<at::Tensor> pieces;
  for (int r = 0; r < size_; ++r) pieces.push_back(all[r].narrow(1, 0, share(num_tokens, r).count));
  return at::cat(pieces, 1);
}

at::Tensor RankGroup::gather(const at::Tensor& x) const {
  std::vector<at::Tensor> sent = {x.contiguous()};
  std::vector<std::vector<at::Tensor>> taken(1);
  for (int r = 0; r < size_; ++r) taken[0].push_back(at::empty_like(sent[0]));
  together([&] { return connection_->backend_of(sent[0]).allgather(taken, sent); });
  return at::stack(taken[0]);
}

const Ranks* Ranks::of_process() {
  // Kept to the end of the process: connections must not be torn down among the destructors of
  // statics.
  static const Ranks* const ranks = []() -> const Ranks* {
    if (variable("RANK").empty() || variable("WORLD_SIZE").empty()) return nullptr;
    const int size = number("WORLD_SIZE", 1, 1 << 16);
    return size == 1 ? nullptr : new Ranks(number("RANK", 0, size - 1), size);
  }();
  return ranks;
}

Ranks::Ranks(int rank, int size) {
  const std::string address = variable("MASTER_ADDR");
  if (address.empty())
    fail(ErrorKind::Usage,
         "the environment variable MASTER_ADDR is not set; it names the machine of rank 0");
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(number("MASTER_PORT", 1, 65535));
  options.isServer = rank == 0 && variable("TORCHELASTIC_USE_AGENT_STORE") !=
                                      "True";  // torchrun may serve it itself
  options.numWorkers = static_cast<size_t>(size);
  options.waitWorkers = false;
  options.timeout = kJoinPatience;
  try {
    const Store root = c10::make_intrusive<c10d::TCPStore>(address, options);
    const Store store = c10::make_intrusive<c10d::PrefixStore>(
        "sora" + variable("TORCHELASTIC_RESTART_COUNT"), root);
    const auto group = [&](const std::string& name, int own, int count) {
      return std::make_unique<RankGroup>(
          std::make_shared<RankGroup::Connection>(store, name, address, own, count));
    };
    all_ = group("all", rank, size);
    if (size % 2 != 0) return;
    const int half = size / 2;
    half_ = group(fmt::format("half{}", rank / half), rank % half, half);
    pair_ = group(fmt::format("pair{}", rank % half), rank / half, 2);
  } catch (const std::exception& error) {
    const std::string_view reason(error.what());
    fail(ErrorKind::Io, "rank {} of {} cannot reach the others at {}:{}: {}", rank, size, address,
         options.port, reason.substr(0, reason.find('\n')));
  }
}

void Ranks::use_device(at::Device device) const {
  for (RankGroup* group : {all_.get(), half_.get(), pair_.get()}) {
    if (group != nullptr) group->use_device(device);
  }
}

uint64_t Ranks::agree_on(uint64_t value) const {
  const at::Tensor own = at::full({1}, static_cast<int64_t>(value), at::kLong);
  return static_cast<uint64_t>(all_->gather(own)[0].item<int64_t>());
}

}  // namespace sora
