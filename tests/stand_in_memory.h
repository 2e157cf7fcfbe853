// What the stand-in device (stand_in_device.h) is made of: memory that is under a mark, and two
// streams. For its own files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace sora::stand_in {

inline constexpr auto kType = c10::DeviceType::PrivateUse1;

// A place on one of the streams, and how far along each of them something reaches.
struct Place {
  int stream = 0;
  int64_t at = 0;
  bool operator==(const Place&) const = default;
};
struct Clock {
  int64_t of[2] = {0, 0};
  bool covers(Place place) const { return of[place.stream] >= place.at; }
  void include(const Clock& other);
};

// One after the other in truth: what each stream knows to be done is all that there is to them.
struct Streams {
  Clock known[2];
  int current = 0;

  Place step() { return {current, ++known[current].of[current]}; }
  const Clock& known_here() const { return known[current]; }
};
Streams& streams();  // of this thread

// Of one storage, in truth the CPU's.
struct Memory {
  explicit Memory(at::Tensor made);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void spoil();  // what nobody has computed reads as NaN, or as -1

  at::Tensor held;
  int64_t bytes;
  Place written;
  int64_t recording = 0;  // the number of the one that it belongs to; 0: none
};
int64_t alive_bytes();
int64_t most_alive_bytes();
void reset_most_alive_bytes();

bool is_stand_in(const at::Tensor& tensor);
const std::shared_ptr<Memory>& memory_of(const at::Tensor& tensor);
c10::Allocator* allocator();

// The same memory as the CPU sees it: alive with the view, or not held by it.
at::Tensor as_cpu(const at::Tensor& tensor);
at::Tensor as_borrowed_cpu(const at::Tensor& tensor);
// The CPU's tensor, which nobody else uses, as one of the device.
at::Tensor as_stand_in(const at::Tensor& made);
// Makes `tensor` what an operator made of its view on the CPU by resizing it.
void become(const at::Tensor& tensor, const at::Tensor& made);

// Throws where a tensor was last written on a stream whose work up to there the current one has not
// waited for.
void check_is_made(const at::Tensor& tensor);
void mark_as_written(const at::Tensor& tensor);

// Note [Asynchronous copies] in stand_in_device.h.
void copy_later(const at::Tensor& from, const at::Tensor& to_pinned);
void finish_copies(const Clock& waited_for);

}  // namespace sora::stand_in
