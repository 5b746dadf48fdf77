// Recognizes Ctrl-P Ctrl-Q in the keystrokes on their way to the agent. A Ctrl-P may be the beginning of the key, so
// it is held back for a moment. Programs also use Ctrl-P alone, so it is released after that moment, and the key
// still counts if Ctrl-Q follows later.
#include "session/console/detach_key.h"

#include <algorithm>

namespace bottle::session {
namespace {

constexpr char kCtrlP = 0x10, kCtrlQ = 0x11;

}  // namespace

bool DetachKey::take(std::string& bytes, Time now) {
  std::string kept;
  for (char c : bytes) {
    // The key counts even after its Ctrl-P was released to the agent.
    if (state_ != State::idle && c == kCtrlQ) return true;
    // The Ctrl-P that was held was not the beginning of the key.
    if (state_ == State::held) kept += kCtrlP;
    state_ = c == kCtrlP ? State::held : State::idle;
    if (state_ == State::held) since_ = now;
    else kept += c;
  }
  bytes = kept;
  return false;
}

std::string DetachKey::release(Time now) {
  if (state_ != State::held || now - since_ < kHold) return "";
  state_ = State::let_go;
  return std::string(1, kCtrlP);
}

int DetachKey::wait_ms(Time now) const {
  if (state_ != State::held) return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(since_ + kHold - now);
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

}  // namespace bottle::session
