// Follows the nesting of JSON without building a document: an answer may have any size, and only a few numbers of it
// matter. The path of the outermost six objects tells the meaning of a key, because the model may write the same
// words anywhere. Deeper objects are only counted. Strings are kept up to 96 bytes, which is enough for every key and
// name.
//
// The reader accepts much that is not JSON. It does not judge the answer, which goes to the client in any case. If a
// server sends broken JSON, only the count is wrong.
#include "guard/budget/token_usage.h"

#include <algorithm>

namespace bottle::guard {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

// Returns what a key means inside an object of that kind.
UsageReader::Key UsageReader::key_named(std::string_view name, Where where) {
  struct Named {
    std::string_view name;
    Key key;
  };
  static constexpr Named kTop[] = {{"usage", Key::usage},     {"usageMetadata", Key::usage},
                                   {"message", Key::message}, {"response", Key::response},
                                   {"model", Key::model},     {"modelVersion", Key::model}};
  static constexpr Named kUsage[] = {{"input_tokens", Key::input},
                                     {"prompt_tokens", Key::prompt},
                                     {"promptTokenCount", Key::gemini_prompt},
                                     {"toolUsePromptTokenCount", Key::gemini_tool},
                                     {"cachedContentTokenCount", Key::cached},
                                     {"cache_read_input_tokens", Key::cache_read},
                                     {"cache_creation_input_tokens", Key::cache_write},
                                     {"output_tokens", Key::output},
                                     {"completion_tokens", Key::completion},
                                     {"candidatesTokenCount", Key::candidates},
                                     {"thoughtsTokenCount", Key::thoughts},
                                     {"input_tokens_details", Key::details},
                                     {"prompt_tokens_details", Key::details}};
  auto find = [&](const auto& names) {
    auto found = std::ranges::find(names, name, &Named::name);
    return found == std::end(names) ? Key::none : found->key;
  };
  // The same word means nothing at any other place, for example in the input of a tool.
  if (where == Where::top || where == Where::wrapper) return find(kTop);
  if (where == Where::usage) return find(kUsage);
  return where == Where::details && name == "cached_tokens" ? Key::cached : Key::none;
}

UsageReader::Where UsageReader::where() const {
  if (depth_ == 0 || depth_ > kDeepest) return Where::other;
  return path_[depth_ - 1];
}

// Returns what the object or list is that begins here.
UsageReader::Where UsageReader::inside(bool list) const {
  if (depth_ == 0) return list ? Where::top_list : Where::top;
  if (list) return Where::other;
  switch (where()) {
    case Where::top_list:
      return Where::top;
    case Where::top:
      if (key_ == Key::message || key_ == Key::response) return Where::wrapper;
      return key_ == Key::usage ? Where::usage : Where::other;
    case Where::wrapper:
      return key_ == Key::usage ? Where::usage : Where::other;
    case Where::usage:
      return key_ == Key::details ? Where::details : Where::other;
    case Where::details:
    case Where::other:
      break;
  }
  return Where::other;
}

void UsageReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    // Most of an answer is text beyond what is kept of a string, so it is skipped quickly.
    if (state_ == State::text && text_.size() == kLongestText) {
      size_t skipped = 0;
      while (skipped < bytes.size() && bytes[skipped] != '"' && bytes[skipped] != '\\' && bytes[skipped] != '\n')
        ++skipped;
      // The string is longer than what is kept of it.
      if (skipped) whole_text_ = false;
      bytes.remove_prefix(skipped);
      if (bytes.empty()) return;
    }
    take(bytes.front());
    bytes.remove_prefix(1);
  }
}

void UsageReader::take(char c) {
  // In an event stream, no document continues on another line, so a broken one ends here.
  if (c == '\n' && layout_ == Layout::events) {
    if (state_ == State::number) end_number();
    state_ = State::outside;
    key_ = Key::none;
    depth_ = 0;
    return;
  }
  switch (state_) {
    case State::text:
      if (c == '\\') state_ = State::escape;
      else if (c == '"') end_text();
      else if (text_.size() < kLongestText) text_ += c;
      else whole_text_ = false;
      return;
    case State::escape:
      state_ = State::text;
      whole_text_ = false;  // no name that counts has an escape
      return;
    case State::after_text:
      if (is_blank(c)) return;
      state_ = State::outside;
      if (c == ':') key_ = whole_text_ ? key_named(text_, where()) : Key::none;
      else take_outside(c);
      return;
    case State::number:
      if (is_digit(c)) {
        number_ = std::min(number_ * 10 + static_cast<uint64_t>(c - '0'), kMost);
        return;
      }
      end_number();
      state_ = State::outside;
      take_outside(c);
      return;
    case State::outside:
      take_outside(c);
  }
}

// Takes a character that is not part of a string or a number.
void UsageReader::take_outside(char c) {
  if (is_blank(c)) return;
  if (c == '{' || c == '[') {
    Where next = inside(c == '[');
    if (depth_ < kDeepest) path_[depth_] = next;
    if (depth_ < UINT32_MAX) ++depth_;
    key_ = Key::none;
  } else if (c == '}' || c == ']') {
    if (depth_ > 0) --depth_;
    key_ = Key::none;
  } else if (c == '"') {
    state_ = State::text;
    text_.clear();
    whole_text_ = true;
  } else if (is_digit(c) && key_ >= Key::input) {
    state_ = State::number;
    number_ = static_cast<uint64_t>(c - '0');
  } else {
    key_ = Key::none;  // a comma, or a value that is not a count
  }
}

// Ends a string, which is a value if it comes after a key, and otherwise perhaps a key.
void UsageReader::end_text() {
  bool is_value = key_ != Key::none;
  if (key_ == Key::model && whole_text_) model_ = text_;
  key_ = Key::none;
  state_ = is_value ? State::outside : State::after_text;
}

void UsageReader::end_number() {
  // A stream repeats the sum so far, and some events have a smaller number for a part of it.
  uint64_t& largest = counts_[static_cast<size_t>(key_)];
  largest = std::max(largest, number_);
  key_ = Key::none;
}

TokenUsage UsageReader::usage() const {
  // OpenAI and Gemini count what was read from a cache with the rest; Anthropic does not.
  uint64_t cached = count(Key::cached);
  uint64_t input = std::max({count(Key::input), count(Key::prompt), count(Key::gemini_prompt)});
  return {
      .input = input - std::min(input, cached) + count(Key::gemini_tool),
      .cache_read = count(Key::cache_read) + std::min(input, cached),
      .cache_write = count(Key::cache_write),
      .output = std::max({count(Key::output), count(Key::completion), count(Key::candidates)}) + count(Key::thoughts)};
}

}  // namespace bottle::guard
