// An Aho-Corasick automaton with edges only for the bytes that occur. A table of 256 edges for each state would make
// each step faster, but the secrets in all their forms have many thousands of states, and almost all of these have a
// single edge. What makes it fast is skip(): most bytes of a stream belong to no pattern, and it jumps over them with
// the shift table of Wu and Manber. Only near a possible beginning does the automaton walk byte by byte.
//
// The texts are secrets, so they are overwritten once the automaton is built. The states still contain them.
#include "scan/known/dictionary.h"

#include <string.h>

#include <algorithm>

namespace bottle::scan {
namespace {

constexpr size_t kGram = 3, kWidestWindow = 24;

// Multiplies by 2^32 divided by the golden ratio, and keeps the upper bits, which depend on all three bytes.
uint32_t hash(const char* p, unsigned bits) {
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(p[i])); };
  return (byte(0) | byte(1) << 8 | byte(2) << 16) * 0x9e3779b1u >> (32 - bits);
}

}  // namespace

void Dictionary::add(uint32_t needle, std::string_view text) {
  if (text.empty()) return;
  for (const auto& form : forms_of(text)) insert(form, needle);
}

void Dictionary::add_exactly(uint32_t needle, std::string_view text) {
  if (!text.empty()) insert({std::string(text), Encoding::literal, 0}, needle);
}

Dictionary::State Dictionary::edge(State from, uint8_t byte) const {
  if (from == kRoot) return root_[byte];
  for (State to = nodes_[from].child; to; to = nodes_[to].sibling)
    if (nodes_[to].byte == byte) return to;
  return 0;
}

void Dictionary::insert(const Form& form, uint32_t needle) {
  State state = kRoot;
  auto length = static_cast<uint32_t>(form.text.size());
  for (unsigned char c : form.text) {
    State to = edge(state, c);
    if (!to) {
      to = static_cast<State>(nodes_.size());
      nodes_.push_back({.sibling = nodes_[state].child, .byte = c});
      nodes_[state].child = to;
      depth_.push_back(depth_[state] + 1);
      ends_.push_back(kNone);
      shortest_.push_back(length);
      some_.push_back(static_cast<uint32_t>(patterns_.size()));
      if (state == kRoot) root_[c] = to;
    }
    state = to;
    shortest_[to] = std::min(shortest_[to], length);
  }
  // Another form or needle has the same text and came first.
  if (ends_[state] != kNone) return;
  ends_[state] = static_cast<uint32_t>(patterns_.size());
  patterns_.push_back({needle, static_cast<uint32_t>(form.text.size()), form.encoding, form.shift});
  texts_.push_back(form.text);
  longest_ = std::max(longest_, form.text.size());
}

void Dictionary::build() {
  shorter_.assign(nodes_.size(), kRoot);
  open_.assign(nodes_.size(), 0);
  std::vector<State> queue;
  for (State to : root_)
    if (to) queue.push_back(to);
  for (size_t head = 0; head < queue.size(); ++head) {
    State state = queue[head];
    // States are visited by their depth, so the shorter suffix of each is finished before it is needed.
    State fail = nodes_[state].fail;
    shorter_[state] = ends_[fail] != kNone ? fail : shorter_[fail];
    open_[state] = nodes_[state].child ? depth_[state] : open_[fail];
    nodes_[state].reports = ends_[state] != kNone || shorter_[state] != kRoot;
    for (State to = nodes_[state].child; to; to = nodes_[to].sibling) {
      State suffix = fail;
      uint8_t byte = nodes_[to].byte;
      while (suffix != kRoot && !edge(suffix, byte)) suffix = nodes_[suffix].fail;
      nodes_[to].fail = edge(suffix, byte);
      queue.push_back(to);
    }
  }
  make_shifts();
  for (auto& text : texts_) explicit_bzero(text.data(), text.size());
  texts_.clear();
  texts_.shrink_to_fit();
}

// Makes the shift table of Wu and Manber's algorithm for the beginnings of the patterns.
void Dictionary::make_shifts() {
  if (texts_.empty()) return;
  window_ = kWidestWindow;
  // The window must not be longer than the shortest text. Otherwise, that text could lie between two places that are
  // looked at.
  for (const auto& text : texts_) window_ = std::min(window_, text.size());
  if (window_ < kGram) {
    window_ = 0;
    return;
  }
  // A gram (three bytes) that is in no beginning permits the longest shift. Grams with the same hash share the
  // smaller shift, which is slower but correct.
  shift_.assign(1u << kShiftBits, static_cast<uint8_t>(window_ - kGram + 1));
  for (const auto& text : texts_)
    for (size_t i = 0; i + kGram <= window_; ++i) {
      auto& shift = shift_[hash(text.data() + i, kShiftBits)];
      shift = std::min(shift, static_cast<uint8_t>(window_ - kGram - i));
    }
}

bool Dictionary::barely_begun(State state) const {
  for (; state != kRoot; state = nodes_[state].fail)
    if (nodes_[state].child && depth_[state] * 4 > shortest_[state]) return false;
  return true;
}

uint32_t Dictionary::half_begun(State state) const {
  constexpr uint32_t kFewest = 8;  // in bytes; so many do not occur by chance
  for (; state != kRoot; state = nodes_[state].fail)
    if (nodes_[state].child && depth_[state] >= kFewest && depth_[state] * 2 > shortest_[state]) return some_[state];
  return kNoPattern;
}

size_t Dictionary::skip(std::string_view bytes, size_t at, size_t limit) const {
  if (window_ == 0) return at;
  const size_t most = window_ - kGram + 1;
  const char* grams = bytes.data() + window_ - kGram;
  auto shift_at = [&](const char* gram) { return shift_[hash(gram, kShiftBits)]; };
  // Almost always, no pattern contains the bytes at the next few places. Looking at several places in one step, and
  // moving on by a constant, avoids waiting for each lookup.
  while (at + 3 * most + window_ <= limit) {
    const char* p = grams + at;
    const std::array<uint8_t, 4> shifts = {shift_at(p), shift_at(p + most), shift_at(p + 2 * most),
                                           shift_at(p + 3 * most)};
    if (((shifts[0] ^ most) | (shifts[1] ^ most) | (shifts[2] ^ most) | (shifts[3] ^ most)) == 0) [[likely]] {
      at += 4 * most;
      continue;
    }
    for (uint8_t shift : shifts) {
      if (shift == 0) return at;
      at += shift;
      if (shift != most) break;
    }
  }
  while (at + window_ <= limit) {
    uint8_t shift = shift_at(grams + at);
    if (shift == 0) return at;
    at += shift;
  }
  return std::min(at, limit);
}

}  // namespace bottle::scan
