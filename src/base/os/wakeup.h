// Lets one thread wake another that waits in a poller.
#pragma once

#include <unistd.h>

#include "base/os/descriptors.h"

namespace bottle {

// Several threads may call wake(). Only the thread that waits calls clear().
class Wakeup {
 public:
  // If no descriptors are available, fd() is -1 and wake() has no effect.
  Wakeup() : ends_(make_pipe(Waits::no).value_or(PipeEnds())) {}

  int fd() const { return ends_.read.get(); }  // readable from wake() until clear()
  // Makes fd() readable. Never blocks: if the pipe is full, the other thread will wake anyway.
  void wake() { (void)!::write(ends_.write.get(), "", 1); }
  // Discards all calls of wake() so far. Call it before you look at what the other thread changed, so that no change
  // is missed.
  void clear() {
    for (char bytes[64]; ::read(ends_.read.get(), bytes, sizeof bytes) == sizeof bytes;) {
    }
  }

 private:
  PipeEnds ends_;
};

}  // namespace bottle
