// The thread that has TMA fill the buffers of attention on Hopper.
#pragma once

#include "kernels/cuda/hopper/attention_tile.h"
#include "kernels/cuda/hopper/ring.h"

namespace sora::kernels::cuda::hopper {

template <class Tile, class Machine>
class AttentionProducer {
 public:
  using Maps = AttentionMaps<typename Machine::TensorMap>;
  SORA_DEVICE AttentionProducer(const AttentionProblem& problem, const Maps& maps, Machine& machine)
      : p_(problem), maps_(maps), machine_(machine) {}

  SORA_DEVICE void run() {
    const int count = num_works<Tile>(p_);
    for (int i = machine_.block(); i < count; i += machine_.blocks()) {
      const AttentionWork work = work_at<Tile>(p_, i);
      if (work.blocks <= 0) continue;
      // Its first keys have a place before the queries of the tile before are free.
      load_keys(work, 0);
      load_queries(work);
      // Values are wanted one block later than their keys.
      for (int block = 1; block <= work.blocks; ++block) {
        if (block < work.blocks) load_keys(work, block);
        load_values(work, block - 1);
      }
    }
  }

 private:
  using Map = typename Machine::TensorMap;

  SORA_DEVICE void load_queries(const AttentionWork& work) {
    machine_.wait_for_phase(Tile::queries_free(), queries_.parity_of_free());
    machine_.expect(Tile::queries_full(), Tile::kQueryBytes);
    load(maps_.q, 0, Tile::kQuerySliceBytes, Tile::queries_full(), work.first_query, work,
         p_.q.batch_stride);
    queries_.next();
  }
  SORA_DEVICE void load_keys(const AttentionWork& work, int block) {
    machine_.wait_for_phase(Tile::keys_free(keys_.stage()), keys_.parity_of_free());
    machine_.expect(Tile::keys_full(keys_.stage()), Tile::kKeyBytes);
    load(maps_.k, Tile::keys_at(keys_.stage()), Tile::kKeySliceBytes,
         Tile::keys_full(keys_.stage()), block * Tile::kKeys, work, p_.k.batch_stride);
    keys_.next();
  }
  SORA_DEVICE void load_values(const AttentionWork& work, int block) {
    machine_.wait_for_phase(Tile::values_free(values_.stage()), values_.parity_of_free());
    machine_.expect(Tile::values_full(values_.stage()), Tile::kValueBytes);
    if constexpr (Tile::kValuesAreTransposed) {
      machine_.copy_box(maps_.v, Tile::values_at(values_.stage()),
                        Tile::values_full(values_.stage()), block * Tile::kKeys, 0, work.head,
                        p_.v.batch_stride ? work.batch : 0);
    } else {
      load(maps_.v, Tile::values_at(values_.stage()), Tile::kKeySliceBytes,
           Tile::values_full(values_.stage()), block * Tile::kKeys, work, p_.v.batch_stride);
    }
    values_.next();
  }

  // One box for each slice of columns. A tensor without a stride from batch to batch has one batch.
  SORA_DEVICE void load(const Map& map, uint32_t to, uint32_t slice_bytes, uint32_t full,
                        int first_row, const AttentionWork& work, int64_t batch_stride) {
#pragma unroll
    for (int slice = 0; slice < Tile::kSlices; ++slice)
      machine_.copy_box(map, to + static_cast<uint32_t>(slice) * slice_bytes, full,
                        slice * Tile::kSliceColumns, first_row, work.head,
                        batch_stride ? work.batch : 0);
  }

  const AttentionProblem& p_;
  const Maps& maps_;
  Machine& machine_;
  RingPlace<1> queries_;
  RingPlace<Tile::kStages> keys_, values_;
};

}  // namespace sora::kernels::cuda::hopper
