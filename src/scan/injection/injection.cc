// Looks for sequences of words and for a few frames of conversations. It does not try to understand the text. An
// order is three groups of words that follow each other closely, so "ignore all of the previous instructions" is
// found in any wording of its middle. Most answers have some of these words, so one order by itself is often weak and
// counts only beside another, or where people do not see it.
//
// False alarms stop the agent's work. Text about injections is full of such orders, in quotes or behind words such as
// "for example", and does not count. The text that decides this may not have arrived yet; undecided() tells.
//
// Every word of every answer is looked up, so the vocabulary first checks whether any of its words has that first
// letter and length.
#include "scan/injection/injection.h"

#include <algorithm>
#include <array>
#include <optional>
#include <ranges>
#include <utility>

#include "scan/encoding/decode.h"
#include "scan/encoding/survey.h"

namespace bottle::scan {
namespace {

// Describes a sequence of word groups. Each must follow within a few words of the previous one.
struct Order {
  std::string_view what;
  std::array<std::string_view, 3> groups;  // words separated by '|'
};

constexpr std::array kOrders = std::to_array<Order>({
    {"tells the agent to ignore its instructions",
     {"ignore|disregard|forget|override|bypass", "previous|prior|above|earlier|preceding|all|your|any|system",
      "instructions|instruction|prompts|prompt|rules|guidelines|directives|context|constraints"}},
    {"gives the agent a new role", {"you", "now|henceforth", "a|an|unrestricted|free|operating|acting|admin|root"}},
    {"gives the agent new instructions",
     {"new|updated|real|actual", "system|instructions", "instructions|prompt|follow"}},
    {"tells the agent to hide something",
     {"do|don|never|without", "not|tell|mention|reveal|telling|mentioning|informing|t", "user|operator|human"}},
    {"asks the agent for secrets",
     {"send|post|upload|exfiltrate|transmit|leak|forward|submit|output|print|include",
      "env|environment|secrets|secret|credentials|tokens|token|keys|passwords|ssh|apikey|contents",
      "to|http|https|url|webhook|server|variables|endpoint"}},
    {"asks for the system prompt",
     {"reveal|print|output|repeat|show|dump", "system|hidden|initial", "prompt|instructions|message"}},
});

// Marks that frame the messages of a conversation. Honest text does not need them.
struct Frame {
  std::string_view text;
  size_t word;  // the offset of its first word
};

constexpr std::string_view kImitates = "imitates the frame of a conversation";
constexpr std::array kFrames = std::to_array<Frame>({{"<|im_start|>system", 2},
                                                     {"<|system|>", 2},
                                                     {"[system](#", 1},
                                                     {"<<sys>>", 2},
                                                     {"### system:", 4},
                                                     {"<system-reminder>", 1},
                                                     {"</tool_result>", 2},
                                                     {"<important_instructions>", 1},
                                                     {"begin_hidden_instructions", 0}});

constexpr bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

// Each word has one bit for each group of each order that contains it, and one if it begins a frame.
constexpr uint32_t bit_of(size_t order, size_t group) { return 1u << (3 * order + group); }
constexpr uint32_t kBeginsFrame = 1u << 31;
constexpr uint32_t kBeginsOrder = [] {
  uint32_t bits = 0;
  for (size_t order = 0; order < kOrders.size(); ++order) bits |= bit_of(order, 0);
  return bits;
}();

// Holds the words of all orders and frames. Almost every word of an answer is in none of them, and its first letter
// and length usually show that.
class Vocabulary {
 public:
  Vocabulary() {
    for (size_t order = 0; order < kOrders.size(); ++order)
      for (size_t group = 0; group < kOrders[order].groups.size(); ++group)
        for (auto word : std::views::split(kOrders[order].groups[group], '|'))
          add(std::string_view(word), bit_of(order, group));
    for (const Frame& frame : kFrames) {
      std::string_view word = frame.text.substr(frame.word);
      add(word.substr(0, static_cast<size_t>(std::ranges::find_if_not(word, is_letter) - word.begin())), kBeginsFrame);
    }
  }

  // Returns 0 for a word that is in no order and no frame. `word` has lowercase letters only.
  uint32_t bits_of(std::string_view word) const {
    auto letter = static_cast<size_t>(word[0] - 'a');
    if (word.size() >= 32 || !(lengths_[letter] >> word.size() & 1)) return 0;
    for (const auto& [each, bits] : words_[letter])
      if (each == word) return bits;
    return 0;
  }

 private:
  void add(std::string_view word, uint32_t bits) {
    auto letter = static_cast<size_t>(word[0] - 'a');
    lengths_[letter] |= 1u << word.size();
    auto known = std::ranges::find(words_[letter], word, &std::pair<std::string_view, uint32_t>::first);
    if (known == words_[letter].end()) words_[letter].emplace_back(word, bits);
    else known->second |= bits;
  }

  std::array<uint32_t, 26> lengths_{};  // for each first letter, the lengths that occur
  std::array<std::vector<std::pair<std::string_view, uint32_t>>, 26> words_;
};

// Stands for a word of the vocabulary in a text.
struct Word {
  uint32_t begin, end;
  uint32_t number;  // how many words the text has before it
  uint32_t bits;
};

// Returns the words of the vocabulary that the text has, in their order.
std::vector<Word> words_of(std::string_view text) {
  static const Vocabulary kVocabulary;
  std::vector<Word> words;
  uint32_t number = 0;
  for (size_t at = 0; at < text.size();) {
    while (at < text.size() && !is_letter(text[at])) ++at;
    size_t begin = at;
    while (at < text.size() && is_letter(text[at])) ++at;
    if (at == begin) break;
    if (uint32_t bits = kVocabulary.bits_of(text.substr(begin, at - begin)))
      words.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(at), number, bits});
    ++number;
  }
  return words;
}

// Holds a text in lower case, without what attackers insert to hide words: soft hyphens, zero-width characters and
// escapes of white space.
class Plain {
 public:
  explicit Plain(std::string_view text) : text_(text) {
    bool skips = false;
    for (char& c : text_) {
      skips |= c == '\\' || c == '\xe2' || c == '\xc2';  // the first bytes of all that is skipped
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    if (skips) skip();
  }

  std::string_view text() const { return text_; }

  // Returns where in the original text the byte `at` was.
  size_t origin(size_t at) const {
    auto next = std::ranges::upper_bound(skips_, at, {}, &Skip::to);
    return next == skips_.begin() ? at : at - std::prev(next)->to + std::prev(next)->from;
  }

 private:
  struct Skip {
    size_t to, from;  // from here on, byte `to` was byte `from`
  };

  static size_t length_of_invisible(std::string_view text) {
    // These are the soft hyphen, the word joiner, and the characters without width from U+200B to U+200F.
    if (text.starts_with("\xc2\xad")) return 2;
    if (text.starts_with("\xe2\x81\xa0")) return 3;
    bool no_width = text.size() >= 3 && text.starts_with("\xe2\x80") && text[2] >= '\x8b' && text[2] <= '\x8f';
    return no_width ? 3 : 0;
  }

  void skip() {
    std::string_view rest = text_;
    size_t to = 0;
    auto drop = [&](size_t length) {
      rest.remove_prefix(length);
      skips_.push_back({to, text_.size() - rest.size()});
    };
    while (!rest.empty()) {
      // In JSON, these stand between words like spaces.
      if (rest.starts_with("\\n") || rest.starts_with("\\r") || rest.starts_with("\\t")) {
        text_[to++] = ' ';
        drop(2);
      } else if (size_t length = length_of_invisible(rest)) {
        drop(length);
      } else {
        text_[to++] = rest[0];
        rest.remove_prefix(1);
      }
    }
    text_.resize(to);
  }

  std::string text_;
  std::vector<Skip> skips_;
};

// How many bytes before a place are examined to tell whether it is quoted.
constexpr size_t kBefore = 160;

// Says whether a place is within quotes, code or a list of examples. The text is then about injections.
enum class Quoted : uint8_t {
  no,
  perhaps,  // quoted if text that has not arrived yet closes the quotes
  yes
};

// Judges whether the text quotes an instruction or writes about instructions, instead of giving one. Documentation of
// attacks must not count as an attack.
Quoted quoting(std::string_view text, size_t begin, size_t end) {
  // The bytes after the order among which a closing quote counts.
  constexpr size_t kAfter = 40;
  size_t from = begin - std::min(begin, kBefore), to = std::min(text.size(), end + kAfter);
  std::string_view before = text.substr(from, begin - from), after = text.substr(end, to - end);
  std::string_view near = before.substr(before.size() - std::min<size_t>(before.size(), 24));
  // In JSON, a whole message is in quotes. So only quotes that are near, and not at the beginning of the message,
  // count.
  bool opens = near.find_last_of("`*") != near.npos || near.find("\xe2\x80\x9c") != near.npos ||
               near.find("\\\"") != near.npos || near.find(" \"") != near.npos || near.find(" '") != near.npos;
  bool closes = after.find_first_of("`\"'*") != after.npos || after.find("\xe2\x80\x9d") != after.npos;
  if (opens && closes) return Quoted::yes;
  static constexpr std::array<std::string_view, 16> kAbout = {
      "such as",   "for example", "e.g.",    "like ",  "attack",    "inject",  "phrase", "known as",
      "jailbreak", "example:",    "pattern", "detect", "malicious", "attempt", "called", "saying"};
  if (std::ranges::any_of(kAbout, [&](auto word) { return before.find(word) != before.npos; })) return Quoted::yes;
  return opens && after.size() < kAfter ? Quoted::perhaps : Quoted::no;
}

// Knows where a text has marks that make what follows them hidden from people, or visible again. A text may have a
// place to judge in every ten bytes, so the marks are searched once for all of them.
class Markup {
 public:
  explicit Markup(std::string_view text) {
    auto begins = [&](size_t at, std::string_view mark) { return text.substr(at).starts_with(mark); };
    for (size_t at = text.find_first_of("<-:"); at != text.npos; at = text.find_first_of("<-:", at + 1)) {
      if (begins(at, "<!--")) comments_.push_back(at);
      if (begins(at, "-->")) comment_ends_.push_back(at);
      if (begins(at, "</")) element_ends_.push_back(at);
      for (std::string_view style : kStyles) {
        size_t colon = style.find(':');
        if (text[at] == ':' && at >= colon && begins(at - colon, style)) styles_.push_back(at - colon);
      }
    }
  }

  // Returns whether the place is in a comment, in an element that is not shown, or white on white. Looks only at the
  // bytes before it that are near.
  bool hides(size_t place) const {
    constexpr size_t kNear = 400;
    size_t from = place - std::min(place, kNear);
    auto last = [&](const std::vector<size_t>& marks) {  // one more than where it begins, or 0
      auto next = std::ranges::lower_bound(marks, place);
      return next == marks.begin() || *std::prev(next) < from ? 0 : *std::prev(next) + 1;
    };
    // An element that ended after the style does not hide what follows it.
    return last(comments_) > last(comment_ends_) || last(styles_) > last(element_ends_);
  }

 private:
  static constexpr std::array<std::string_view, 7> kStyles = {
      "display:none", "display: none", "visibility:hidden", "font-size:0", "font-size: 0", "opacity:0", "color:#fff"};
  std::vector<size_t> comments_, comment_ends_, styles_, element_ends_;  // where each begins
};

struct Place {
  std::string_view what;
  size_t begin, end;
};

// Returns the order that begins with this word, if the other groups follow.
std::optional<Place> order_at(const std::vector<Word>& words, size_t first) {
  constexpr uint32_t kBetween = 4;  // in words
  for (size_t order = 0; order < kOrders.size(); ++order) {
    if (!(words[first].bits & bit_of(order, 0))) continue;
    size_t at = first;
    bool all = true;
    for (size_t group = 1; group < kOrders[order].groups.size() && all; ++group) {
      // Each group may be up to this many words after the one before it.
      uint32_t last = words[at].number + kBetween;
      do ++at;
      while (at < words.size() && words[at].number <= last && !(words[at].bits & bit_of(order, group)));
      all = at < words.size() && words[at].number <= last;
    }
    if (all) return Place{kOrders[order].what, words[first].begin, words[at].end};
  }
  return {};
}

std::optional<Place> frame_at(std::string_view text, size_t word) {
  for (const Frame& frame : kFrames)
    if (word >= frame.word && text.substr(word - frame.word).starts_with(frame.text))
      return Place{kImitates, word - frame.word, word - frame.word + frame.text.size()};
  return {};
}

// Returns all places at which an instruction may be, in the order of their beginnings. Their surroundings are judged
// later.
std::vector<Place> places_in(std::string_view text) {
  std::vector<Place> places;
  std::vector<Word> words = words_of(text);
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].bits & kBeginsOrder)
      if (auto place = order_at(words, i)) places.push_back(*place);
    if (words[i].bits & kBeginsFrame)
      if (auto place = frame_at(text, words[i].begin)) places.push_back(*place);
  }
  // A frame begins before its word.
  std::ranges::sort(places, {}, [](const Place& each) { return std::pair(each.begin, each.end); });
  return places;
}

// Returns whether another kind of instruction is near the place. Looks only at those that are near, because a text may
// have a place in every ten bytes.
bool is_beside_another(const std::vector<Place>& places, size_t index) {
  constexpr size_t kNear = 600;
  const Place& place = places[index];
  for (size_t i = index; i-- > 0 && place.begin - places[i].begin < kNear;)
    if (places[i].what != place.what) return true;
  for (size_t i = index + 1; i < places.size() && places[i].begin - place.begin < kNear; ++i)
    if (places[i].what != place.what) return true;
  return false;
}

// Returns whether the finding is weak. Orders to ignore instructions, and frames, always count. Weak findings count
// only if they are hidden or near another finding.
bool is_weak(std::string_view what) { return what != kOrders[0].what && what != kImitates; }

}  // namespace

void InjectionScan::feed(std::string_view bytes) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
    window_.append(bytes.substr(0, kPiece));
    // Each look also sees the last 2 KB again, so few looks at large pieces cost less.
    if (looks_ == Looks::now_and_then && window_.size() < kPiece) continue;
    look(false);
    size_t drop = window_.size() - std::min(window_.size(), kReach);
    window_.erase(0, drop);
    before_ += drop;
  }
}

void InjectionScan::end() {
  look(true);
  before_ += window_.size();
  window_.clear();
}

// Stands for a text to search: the window, or what a part of it decodes to.
struct InjectionScan::Text {
  std::string_view bytes;
  std::optional<uint64_t> fixed = {};  // the offset in the answer that stands for all of the text; empty for the window
  bool at_end = true;                  // whether nothing follows
};

// Adds what the text contains to the findings, unless it is quoted, weak or known already.
void InjectionScan::search(const Text& text) {
  Plain plain(text.bytes);
  std::string_view small = plain.text();
  std::vector<Place> places = places_in(small);
  if (places.empty()) return;
  Markup markup(small);
  for (size_t i = 0; i < places.size(); ++i) {
    const Place& place = places[i];
    // More findings would tell the operator nothing new.
    if (found_.size() == kMost) return;
    // This place was judged already, when the window still had the text before it.
    if (!text.fixed && before_ > 0 && plain.origin(place.begin) < kBefore) continue;
    bool hidden = text.fixed.has_value() || markup.hides(place.begin);
    if (!hidden && is_weak(place.what) && !is_beside_another(places, i)) continue;
    Quoted quoted = hidden ? Quoted::no : quoting(small, place.begin, place.end);
    if (quoted == Quoted::perhaps && !text.at_end) undecided_ = true;
    if (quoted == Quoted::yes || (quoted == Quoted::perhaps && !text.at_end)) continue;
    // The window overlaps with earlier ones, so the same place is found again. Findings are only reported in order.
    uint64_t begin = text.fixed.value_or(before_ + plain.origin(place.begin));
    if (begin + 1 <= reported_) continue;
    found_.push_back({place.what, begin, hidden});
    reported_ = begin + 1;
  }
}

void InjectionScan::look(bool at_end) {
  undecided_ = false;
  search({.bytes = window_, .at_end = at_end});
  std::vector<Spot> spots;
  survey(window_, {{0, window_.size()}}, spots);
  for (const Spot& spot : spots) {
    uint64_t place = before_ + spot.begin;
    // A person does not read Base64 or escapes, but an agent may decode them, so what they decode to counts as hidden.
    if (spot.shape == Shape::run) search({base64_run(window_, spot.begin, spot.end, 0).text, place});
    if (spot.shape == Shape::escapes) search({unescaped(window_, spot.begin, spot.end).text, place});
  }
}

}  // namespace bottle::scan
