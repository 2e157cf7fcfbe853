// Ranks: processes that draw one clip together. A group shares the tokens of a sequence among them;
// for attention, tokens are exchanged for heads (DeepSpeed Ulysses, arXiv 2309.14509), so that each
// rank sees all tokens of some heads. B batch, L all tokens, l a rank's own tokens, H heads, h a
// rank's own heads, K head width, D = H * K
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace sora {

// All members are called by all ranks of the group, in the same order. They throw Error(Io) where
// another rank has ended.
class RankGroup {
 public:
  class Connection;  // torch's c10d
  explicit RankGroup(std::shared_ptr<Connection> connection);

  // Tensors of this device will be exchanged, too. Those of the CPU always can be.
  void use_device(at::Device device);

  int rank() const { return rank_; }
  int size() const { return size_; }

  struct Share {
    int64_t start = 0;
    int64_t count = 0;
  };
  // Shares differ by one token at most.
  Share share(int64_t num_tokens, int rank) const;
  Share own_share(int64_t num_tokens) const { return share(num_tokens, rank_); }
  // Whether every rank gets a token and the same number of heads.
  bool can_share(int64_t num_tokens, int64_t num_heads) const;

  // [B, l, H, K] -> [B, L, h, K], and back.
  at::Tensor tokens_to_heads(const at::Tensor& x_BlHK, int64_t num_tokens) const;
  at::Tensor heads_to_tokens(const at::Tensor& x_BLhK) const;
  // [B, l, D] -> [B, L, D] on all ranks.
  at::Tensor join_tokens(const at::Tensor& x_BlD, int64_t num_tokens) const;
  // [...] of one shape on all ranks -> [size(), ...].
  at::Tensor gather(const at::Tensor& x) const;

 private:
  std::shared_ptr<Connection> connection_;
  int rank_;
  int size_;
};

// The ranks that this process is one of.
class Ranks {
 public:
  // By the environment variables that torchrun sets: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT.
  // The first call joins the others and waits for them; null where there are no others. Throws
  // Error(Usage) for variables that make no sense, Error(Io) where the others cannot be reached.
  static const Ranks* of_process();

  const RankGroup& all() const { return *all_; }
  // With an even number of ranks: the half this rank is in, first or second, and, with one rank of
  // each, the rank that has the same place in the other half.
  bool has_halves() const { return half_ != nullptr; }
  const RankGroup& half() const { return *half_; }
  const RankGroup& pair() const { return *pair_; }
  bool is_in_first_half() const { return pair_->rank() == 0; }
  // Where clips are computed: between GPUs the ranks talk by NCCL. Throws Error(Usage) where this
  // build has none.
  void use_device(at::Device device) const;
  // Rank 0's value.
  uint64_t agree_on(uint64_t value) const;

 private:
  Ranks(int rank, int size);
  std::unique_ptr<RankGroup> all_, half_, pair_;
};

}  // namespace sora
