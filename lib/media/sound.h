// Sound of a file, as samples on the timeline of its pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace sora {

// Samples a second of all sound between reading and writing; the one rate that both AAC and Opus
// take.
inline constexpr int64_t kSoundRate = 48'000;

// Channels that the sound of a file is read as: 1 or 2, 0 where it has none. Throws as probe()
// does.
int64_t sound_channels(const std::string& path);

// Samples [start_s, start_s + num_samples / kSoundRate) of a file, f32 [num_samples, channels] in
// [-1,1]. Time 0 is that of the first picture. Where the file is silent, has no sound yet or no
// more, zeros. `channels` is 1 or 2; others are mixed down as libswresample does. Throws
// Error(NotFound | Io | Input), also for a codec that cannot be decoded.
at::Tensor read_sound(const std::string& path, double start_s, int64_t num_samples,
                      int64_t channels);

}  // namespace sora
