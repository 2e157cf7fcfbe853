#include "lib/nn/side_stream.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace sora {

SideStream::SideStream(at::Device device)
    : device_(device),
      side_(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)),
      marked_(device.type()),
      done_(device.type()) {}

c10::Stream SideStream::current() const {
  return c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
}

void SideStream::mark() { marked_.record(current()); }

void SideStream::run(const std::function<void()>& work) {
  marked_.block(side_);
  const c10::StreamGuard on_side(side_);
  work();
  done_.record(side_);
}

void SideStream::join() { done_.block(current()); }

c10::Event SideStream::end() const {
  c10::Event end(device_.type());
  end.record(side_);
  return end;
}

}  // namespace sora
