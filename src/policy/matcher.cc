#include "policy/matcher.h"

#include <algorithm>

namespace bottle::policy {

Matcher::Matcher(const std::vector<std::string>& patterns) {
  for (const auto& pattern : patterns)
    for (unsigned char c : pattern)
      if (class_[c] == 0 && classes_ < 256) class_[c] = static_cast<uint8_t>(classes_++);
  auto add_state = [&](uint32_t depth) {
    next_.resize(next_.size() + classes_, 0);
    depth_.push_back(depth);
    found_.push_back(-1);
    return static_cast<uint32_t>(depth_.size() - 1);
  };
  add_state(0);
  for (size_t i = 0; i < patterns.size(); ++i) {
    length_.push_back(patterns[i].size());
    if (patterns[i].empty()) continue;
    uint32_t state = 0;
    for (unsigned char c : patterns[i]) {
      size_t at = size_t{state} * classes_ + class_[c];
      if (next_[at] == 0) {
        uint32_t made = add_state(depth_[state] + 1);
        next_[at] = made;
      }
      state = next_[at];
    }
    if (found_[state] < 0) found_[state] = static_cast<int>(i);
  }
  // Breadth first: a missing edge becomes the edge of the longest proper suffix.
  std::vector<uint32_t> fallback(depth_.size(), 0), queue;
  for (uint32_t c = 0; c < classes_; ++c)
    if (next_[c]) queue.push_back(next_[c]);
  for (size_t head = 0; head < queue.size(); ++head) {
    uint32_t state = queue[head];
    if (found_[state] < 0) found_[state] = found_[fallback[state]];
    for (uint32_t c = 0; c < classes_; ++c) {
      uint32_t& edge = next_[size_t{state} * classes_ + c];
      uint32_t shorter = next_[size_t{fallback[state]} * classes_ + c];
      if (edge) {
        fallback[edge] = shorter;
        queue.push_back(edge);
      } else {
        edge = shorter;
      }
    }
  }
}

Matcher::Match Matcher::next(uint32_t& state, std::string_view bytes, size_t from) const {
  if (empty()) return {};
  uint32_t at = state;
  for (size_t i = from; i < bytes.size(); ++i) {
    at = next_[size_t{at} * classes_ + class_[static_cast<unsigned char>(bytes[i])]];
    if (found_[at] >= 0) {
      state = at;
      return {i + 1, length_[static_cast<size_t>(found_[at])], found_[at]};
    }
  }
  state = at;
  return {};
}

bool Matcher::contains(std::string_view bytes, int* pattern) const {
  uint32_t state = 0;
  auto match = next(state, bytes);
  if (pattern) *pattern = match.pattern;
  return match.pattern >= 0;
}

int StreamScan::feed(std::string_view bytes, std::string& out) {
  if (!matcher_ || matcher_->empty()) {
    out.append(bytes);
    return -1;
  }
  int first = -1;
  size_t held = held_.size(), start = out.size();
  out.append(held_).append(bytes);
  held_.clear();
  for (size_t from = 0;;) {
    auto match = matcher_->next(state_, bytes, from);
    if (match.pattern < 0) break;
    if (first < 0) first = match.pattern;
    if (action_ == Action::block) {
      out.resize(start);
      return first;
    }
    size_t end = held + match.end, length = std::min(match.length, end);
    if (action_ == Action::redact) std::fill_n(out.begin() + static_cast<long>(start + end - length), length, '*');
    from = match.end;
  }
  size_t keep = std::min(matcher_->depth(state_), out.size() - start);
  held_.assign(out, out.size() - keep, keep);
  out.resize(out.size() - keep);
  return first;
}

void StreamScan::finish(std::string& out) {
  out.append(held_);
  held_.clear();
}

}  // namespace bottle::policy
