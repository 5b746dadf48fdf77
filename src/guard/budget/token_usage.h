// Reads how many tokens a model has used from its provider's answer: the `usage` of the APIs of Anthropic and OpenAI,
// and the `usageMetadata` of Gemini. Pure. The memory is bounded.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bottle::guard {

// Holds the tokens of one answer. Each token counts in only one of the four numbers.
struct TokenUsage {
  uint64_t input = 0, cache_read = 0, cache_write = 0;  // what the model has read
  uint64_t output = 0;                                  // what it has written, thoughts included

  // Return the tokens that the model has read, and all tokens. `input` alone leaves out what came from a cache or
  // went into one.
  uint64_t read() const { return input + cache_read + cache_write; }
  uint64_t total() const { return read() + output; }
  bool operator==(const TokenUsage&) const = default;
};

// Takes an answer in pieces of any size. A count is read only where the APIs put it: in the usage of the document
// itself, of its `message` or of its `response`. Text that a model writes, such as the input of a tool, can therefore
// not look like usage. A stream repeats the counts, each time with the sum so far, so the largest number of each kind
// counts.
class UsageReader {
 public:
  // Says what the body is: one or more JSON documents, or server-sent events with one document each, on a single
  // line.
  enum class Layout : uint8_t { json, events };
  explicit UsageReader(Layout layout) : layout_(layout) {}

  // Takes the next bytes. Bytes that are not JSON only cause counts to be missed.
  void feed(std::string_view bytes);
  // Returns the usage so far.
  TokenUsage usage() const;
  // Returns the name of the model, or an empty string if the answer has not named it so far.
  const std::string& model() const { return model_; }

  static constexpr uint64_t kMost = 1'000'000'000;  // tokens of each kind; no answer has so many

 private:
  enum class State : uint8_t { outside, text, escape, after_text, number };
  // Says which part an object has in the usage. Everything below `other` is `other`.
  enum class Where : uint8_t { top_list, top, wrapper, usage, details, other };
  enum class Key : uint8_t {
    none,
    message,
    response,
    usage,
    details,
    model,
    // Counts:
    input,
    prompt,
    gemini_prompt,
    gemini_tool,
    cached,
    cache_read,
    cache_write,
    output,
    completion,
    candidates,
    thoughts,
    end,
  };
  static Key key_named(std::string_view name, Where where);
  Where where() const;
  Where inside(bool list) const;
  void take(char c);
  void take_outside(char c);
  void end_text();
  void end_number();
  uint64_t count(Key key) const { return counts_[static_cast<size_t>(key)]; }

  static constexpr size_t kLongestText = 96, kDeepest = 6;

  Layout layout_;
  State state_ = State::outside;
  Key key_ = Key::none;                 // of the value that comes next
  std::array<Where, kDeepest> path_{};  // of the outermost open objects and lists
  uint32_t depth_ = 0;                  // how many are open
  std::string text_;                    // the current string, or its beginning
  bool whole_text_ = true;              // whether text_ is all of it, without escapes
  uint64_t number_ = 0;
  std::array<uint64_t, static_cast<size_t>(Key::end)> counts_{};
  std::string model_;
};

}  // namespace bottle::guard
