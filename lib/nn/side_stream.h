// A second stream of a device, for what goes on beside the first one's work: what is needed next is
// copied to the device, what is done is copied from it. A device without streams does one after the
// other.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <functional>

namespace sora {

class SideStream {
 public:
  explicit SideStream(at::Device device);

  // Remembers what the caller's stream has been given so far.
  void mark();
  // Lets `work` give its operators to this stream, after what was remembered: memory that had been
  // in use until then may be written to. Tensors that it makes are for join().
  void run(const std::function<void()>& work);
  // What the caller's stream is given from now on comes after all that this one was given.
  void join();
  // Behind all that this one was given so far, for the CPU to wait for.
  c10::Event end() const;

 private:
  c10::Stream current() const;

  at::Device device_;
  c10::Stream side_;
  c10::Event marked_, done_;
};

}  // namespace sora
