// Lets one thread wake another that waits in a poller.
#pragma once

#include <unistd.h>

#include "base/os/descriptors.h"

namespace bottle {

class Wakeup {
 public:
  // If no descriptors are available, fd() is -1 and wake() has no effect.
  Wakeup() : ends_(make_pipe(Waits::no).value_or(PipeEnds())) {}

  int fd() const { return ends_.read.get(); }  // readable from wake() until clear()
  void wake() { (void)!::write(ends_.write.get(), "", 1); }
  void clear() {
    for (char bytes[64]; ::read(ends_.read.get(), bytes, sizeof bytes) == sizeof bytes;) {
    }
  }

 private:
  PipeEnds ends_;
};

}  // namespace bottle
