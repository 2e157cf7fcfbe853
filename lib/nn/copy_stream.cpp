#include "lib/nn/copy_stream.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace sora {

CopyStream::CopyStream(at::Device device)
    : device_(device),
      copies_(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)),
      marked_(device.type()),
      copied_(device.type()) {}

c10::Stream CopyStream::current() const {
  return c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
}

void CopyStream::mark() { marked_.record(current()); }

void CopyStream::run(const std::function<void()>& work) {
  marked_.block(copies_);
  const c10::StreamGuard on_copies(copies_);
  work();
  copied_.record(copies_);
}

void CopyStream::join() { copied_.block(current()); }

}  // namespace sora
