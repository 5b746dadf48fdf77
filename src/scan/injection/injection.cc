#include "scan/injection/injection.h"

#include <algorithm>
#include <array>
#include <optional>

#include "scan/encoding/decode.h"
#include "scan/encoding/survey.h"

namespace bottle::scan {
namespace {

// A sequence of word groups. Each must follow within a few words of the previous one.
struct Order {
  std::string_view what;
  std::array<std::string_view, 3> groups;  // words separated by '|'; an empty group ends the sequence
};

constexpr std::array kOrders = std::to_array<Order>({
    {"tells the agent to ignore its instructions",
     {"ignore|disregard|forget|override|bypass", "previous|prior|above|earlier|preceding|all|your|any|system",
      "instructions|instruction|prompts|prompt|rules|guidelines|directives|"
      "context|constraints"}},
    {"gives the agent a new role", {"you", "now|henceforth", "a|an|unrestricted|free|operating|acting|admin|root"}},
    {"gives the agent new instructions",
     {"new|updated|real|actual", "system|instructions", "instructions|prompt|follow"}},
    {"tells the agent to hide something",
     {"do|don|never|without", "not|tell|mention|reveal|telling|mentioning|informing|t", "user|operator|human"}},
    {"asks the agent for secrets",
     {"send|post|upload|exfiltrate|transmit|leak|forward|submit|output|print|"
      "include",
      "env|environment|secrets|secret|credentials|tokens|token|keys|passwords|"
      "ssh|apikey|contents",
      "to|http|https|url|webhook|server|variables|endpoint"}},
    {"asks for the system prompt",
     {"reveal|print|output|repeat|show|dump", "system|hidden|initial", "prompt|instructions|message"}},
});

// Marks of the frames of a conversation, which no honest text needs.
constexpr std::array<std::string_view, 9> kFrames = {"<|im_start|>system",
                                                     "<|system|>",
                                                     "[system](#",
                                                     "<<sys>>",
                                                     "### system:",
                                                     "<system-reminder>",
                                                     "</tool_result>",
                                                     "<important_instructions>",
                                                     "begin_hidden_instructions"};

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

struct Word {
  size_t begin, end;
};

std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> words;
  for (size_t at = 0; at < text.size();) {
    while (at < text.size() && !is_letter(text[at])) ++at;
    size_t begin = at;
    while (at < text.size() && is_letter(text[at])) ++at;
    if (at > begin) words.push_back({begin, at});
  }
  return words;
}

bool in_group(std::string_view group, std::string_view word) {
  for (; !group.empty(); group.remove_prefix(std::min(group.find('|'), group.size() - 1) + 1)) {
    std::string_view each = group.substr(0, group.find('|'));
    if (each == word) return true;
    if (each.size() == group.size()) break;
  }
  return false;
}

// Returns the text in one case, without what is inserted to hide words: soft hyphens, zero-width characters and HTML
// tags.
std::string plain(std::string_view text, std::vector<uint32_t>& from) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    bool no_width = byte(at) == 0xe2 && byte(at + 1) == 0x80 && byte(at + 2) >= 0x8b && byte(at + 2) <= 0x8f;
    bool joiner = byte(at) == 0xe2 && byte(at + 1) == 0x81 && byte(at + 2) == 0xa0;
    bool soft = byte(at) == 0xc2 && byte(at + 1) == 0xad;
    bool line_end = text[at] == '\\' && (byte(at + 1) == 'n' || byte(at + 1) == 'r' || byte(at + 1) == 't');
    if (line_end) {
      out += ' ';
      from.push_back(static_cast<uint32_t>(at));
      at += 2;
    } else if (no_width || joiner) at += 3;
    else if (soft) at += 2;
    else {
      char c = text[at];
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      from.push_back(static_cast<uint32_t>(at++));
    }
  }
  return out;
}

// Returns whether the place is within quotes, code or a list of examples, which means that the text is about
// injections.
bool is_quoted(std::string_view text, size_t begin, size_t end) {
  size_t from = begin - std::min<size_t>(begin, 160), to = std::min(text.size(), end + 40);
  std::string_view before = text.substr(from, begin - from), after = text.substr(end, to - end);
  std::string_view near = before.substr(before.size() - std::min<size_t>(before.size(), 24));
  // In JSON, a whole message is in quotes. So only quotes that are near, and not at the beginning of the message,
  // count.
  bool opens = near.find_last_of("`*") != near.npos || near.find("\xe2\x80\x9c") != near.npos ||
               near.find("\\\"") != near.npos || near.find(" \"") != near.npos || near.find(" '") != near.npos;
  bool closes = after.find_first_of("`\"'*") != after.npos || after.find("\xe2\x80\x9d") != after.npos;
  if (opens && closes) return true;
  static constexpr std::array<std::string_view, 16> kAbout = {
      "such as",   "for example", "e.g.",    "like ",  "attack",    "inject",  "phrase", "known as",
      "jailbreak", "example:",    "pattern", "detect", "malicious", "attempt", "called", "saying"};
  return std::ranges::any_of(kAbout, [&](auto word) { return before.find(word) != before.npos; });
}

// Returns whether the place is hidden from people: in a comment, in an element that is not shown, or white on white.
bool is_hidden(std::string_view text, size_t at) {
  std::string_view before = text.substr(at - std::min<size_t>(at, 400), std::min<size_t>(at, 400));
  size_t comment = before.rfind("<!--");
  if (comment != before.npos && before.find("-->", comment) == before.npos) return true;
  static constexpr std::array<std::string_view, 7> kStyles = {
      "display:none", "display: none", "visibility:hidden", "font-size:0", "font-size: 0", "opacity:0", "color:#fff"};
  size_t closed = before.rfind("</");
  return std::ranges::any_of(kStyles, [&](auto style) {
    size_t found = before.rfind(style);
    return found != before.npos && (closed == before.npos || closed < found);
  });
}

struct Place {
  std::string_view what;
  size_t begin, end;
};

std::optional<Place> order_at(std::string_view text, const std::vector<Word>& words, size_t first) {
  constexpr size_t kBetween = 4;  // in words
  auto text_of = [&](size_t i) { return text.substr(words[i].begin, words[i].end - words[i].begin); };
  for (const Order& order : kOrders) {
    if (!in_group(order.groups[0], text_of(first))) continue;
    size_t at = first;
    bool all = true;
    for (size_t group = 1; group < order.groups.size() && all; ++group) {
      size_t next = at + 1, limit = std::min(words.size(), at + 1 + kBetween);
      while (next < limit && !in_group(order.groups[group], text_of(next))) ++next;
      all = next < limit;
      at = next;
    }
    if (all) return Place{order.what, words[first].begin, words[at].end};
  }
  return {};
}

std::vector<Place> orders_in(std::string_view text) {
  std::vector<Place> places;
  std::vector<Word> words = words_of(text);
  for (size_t i = 0; i < words.size(); ++i)
    if (auto place = order_at(text, words, i)) places.push_back(*place);
  for (auto frame : kFrames)
    for (size_t at = 0; (at = text.find(frame, at)) != text.npos; at += frame.size())
      places.push_back({"imitates the frame of a conversation", at, at + frame.size()});
  return places;
}

// Returns whether the finding is weak. Orders to ignore instructions, and frames, always count. Weak findings count
// only if they are hidden or near another finding.
bool is_weak(std::string_view what) {
  return what != kOrders[0].what && what != "imitates the frame of a conversation";
}

}  // namespace

void InjectionScan::feed(std::string_view bytes) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
    window_.append(bytes.substr(0, kPiece));
    if (window_.size() < kPiece) continue;
    look();
    size_t drop = window_.size() - kReach;
    window_.erase(0, drop);
    before_ += drop;
  }
}

void InjectionScan::end() {
  look();
  before_ += window_.size();
  window_.clear();
}

void InjectionScan::look() {
  auto search = [&](std::string_view text, std::optional<uint64_t> fixed) {
    std::vector<uint32_t> from;
    std::string small = plain(text, from);
    std::vector<Place> places = orders_in(small);
    for (const Place& place : places) {
      if (found_.size() == kMost) return;
      bool hidden = fixed.has_value() || is_hidden(small, place.begin);
      bool beside = std::ranges::any_of(places, [&](const Place& other) {
        size_t apart = std::max(other.begin, place.begin) - std::min(other.begin, place.begin);
        return other.what != place.what && apart < 600;
      });
      if (!hidden && ((is_weak(place.what) && !beside) || is_quoted(small, place.begin, place.end))) continue;
      uint64_t begin = fixed.value_or(before_ + from[place.begin]);
      if (begin + 1 <= reported_) continue;
      found_.push_back({place.what, begin, hidden});
      reported_ = begin + 1;
    }
  };
  search(window_, {});
  std::vector<Spot> spots;
  survey(window_, spots);
  for (const Spot& spot : spots) {
    if (spot.shape == Shape::run) search(base64_run(window_, spot.begin, spot.end, 0).text, before_ + spot.begin);
    if (spot.shape == Shape::escapes) search(unescaped(window_, spot.begin, spot.end).text, before_ + spot.begin);
  }
}

}  // namespace bottle::scan
