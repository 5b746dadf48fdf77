// Implements the small parts of the state that all connections of a guard share: idle pipes for splicing, what was
// reported, and the ids of decisions.
#include "guard/core/context.h"

#include <bit>
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
  return number_of_news(code, std::move(subject)) == 1;
}

uint64_t Context::number_of_news(std::string_view code, std::string subject) {
  constexpr size_t kMost = 4096;
  constexpr uint64_t kEach = 16;
  std::pair<std::string, std::string> line(code, std::move(subject));
  if (reported.size() >= kMost && !reported.contains(line)) reported.clear();
  uint64_t number = ++reported[std::move(line)];
  return number <= kEach || std::has_single_bit(number) ? number : 0;
}

std::string Context::new_id() {
  char text[9];
  snprintf(text, sizeof text, "%08x", next_id++);
  return text;
}

}  // namespace bottle::guard
