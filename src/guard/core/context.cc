// Implements the small parts of the state that all connections of a guard share: idle pipes for splicing, what was
// reported, and the ids of decisions.
#include "guard/core/context.h"

#include <cstdio>

namespace bottle::guard {

PipeEnds PipePool::take() {
  if (!idle_.empty()) {
    PipeEnds pipe = std::move(idle_.back());
    idle_.pop_back();
    return pipe;
  }
  return make_splice_pipe().value_or(PipeEnds());
}

// A few idle pipes save most calls of pipe2(2). More would only hold descriptors.
void PipePool::give_back(PipeEnds pipe) {
  if (pipe.read && idle_.size() < 16) idle_.push_back(std::move(pipe));
}

bool Context::is_news(std::string_view code, std::string subject) {
  constexpr size_t kMost = 4096;
  std::pair<std::string, std::string> line(code, std::move(subject));
  if (reported.contains(line)) return false;
  if (reported.size() >= kMost) reported.clear();
  reported.insert(std::move(line));
  return true;
}

std::string Context::new_id() {
  char text[9];
  snprintf(text, sizeof text, "%08x", next_id++);
  return text;
}

}  // namespace bottle::guard
