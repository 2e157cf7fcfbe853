#include "lib/pipelines/memory_plan.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "lib/models/registry.h"

namespace sora {
namespace {

const std::filesystem::path kNano = std::filesystem::path(SORA_SOURCE_DIR) / "models/nano";

TEST(MemoryPlan, CountsWhatSelfAttentionHoldsWhereTheFeedForwardIsNarrow) {
  Request request;
  request.operation = GenerateRequest{.prompt = "a red ball"};
  request.runtime.model = kNano.string();
  request.runtime.dtype = "bf16";
  ModelInfo model = read_model_info("nano", kNano, {});
  const Plan plan = make_plan(request, model);
  const auto sampling_with = [&](int64_t ffn_dim) {
    model.transformer.ffn_dim = ffn_dim;
    return plan_memory(model, plan, INT64_MAX).sample;
  };
  // q, k and v, keys and values in the processor's order, and the output.
  const int64_t width = model.transformer.inner_dim();
  EXPECT_EQ(sampling_with(2 * width), sampling_with(6 * width));
  EXPECT_LT(sampling_with(6 * width), sampling_with(7 * width));
}

}  // namespace
}  // namespace sora
