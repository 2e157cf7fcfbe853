// Curves, ranges and times of the command line: what is accepted stays inside its bounds and reads
// back as itself.
#include "lib/pipelines/request_operations.h"
#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(curve) {
  try {
    const sora::TimeRange range = sora::parse_time_range(bytes);
    if (!(range.start_s >= 0 && range.start_s < range.stop_s)) __builtin_trap();
  } catch (const sora::Error&) {
  }
  const sora::Curve curve = sora::parse_curve(bytes);
  for (const double position : {0.0, 0.3, 1.0}) {
    const double value = curve(position);
    if (!(value >= 0 && value <= 1)) __builtin_trap();
  }
  if (!(sora::parse_curve(sora::to_string(curve)) == curve)) __builtin_trap();
}
