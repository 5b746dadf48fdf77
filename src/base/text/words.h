// Trims, joins and divides texts, and converts them to upper and lower case. The conversion changes only ASCII letters,
// whatever the locale is.
#pragma once

#include <algorithm>
#include <concepts>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace bottle {

// Returns the text without the characters of `blank` at its end.
inline std::string_view trimmed_end(std::string_view text, std::string_view blank) {
  return text.substr(0, text.find_last_not_of(blank) + 1);
}

// Returns the text without the characters of `blank` at both of its ends.
inline std::string_view trimmed(std::string_view text, std::string_view blank = " \t") {
  text = trimmed_end(text, blank);
  text.remove_prefix(text.empty() ? 0 : text.find_first_not_of(blank));
  return text;
}

// Joins the words with `between`. Empty words at the beginning get no separator.
inline std::string joined(const std::vector<std::string>& words, std::string_view between = ", ") {
  std::string text;
  for (const auto& word : words) text.append(text.empty() ? "" : between).append(word);
  return text;
}

// Represents a range of records. each_record() and each_line() return objects of this class.
class Records {
 public:
  class Iterator {
   public:
    Iterator(std::string_view text, char end, bool takes_rest) : rest_(text), end_(end), takes_rest_(takes_rest) {
      find();
    }
    std::string_view operator*() const { return rest_.substr(0, size_); }
    Iterator& operator++() {
      rest_.remove_prefix(std::min(size_ + 1, rest_.size()));
      find();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return size_ == rest_.npos; }

   private:
    void find() {
      size_ = rest_.find(end_);
      if (size_ == rest_.npos && takes_rest_ && !rest_.empty()) size_ = rest_.size();
    }
    std::string_view rest_;
    size_t size_ = 0;  // of the current record, or npos after the last one
    char end_;
    bool takes_rest_;
  };

  Records(std::string_view text, char end, bool takes_rest) : begin_(text, end, takes_rest) {}
  Iterator begin() const { return begin_; }
  std::default_sentinel_t end() const { return {}; }

 private:
  Iterator begin_;
};

// Returns a range of the records of a text: `for (std::string_view path : each_record(out, '\0'))`. Each record ends
// with the character `end`, which it does not include. What follows the last `end` is left out. The text must outlive
// the range.
inline Records each_record(std::string_view text, char end) { return {text, end, false}; }

// Returns a range of the lines of a text, without their line breaks. The last line need not have one. The text must
// outlive the range.
inline Records each_line(std::string_view text) { return {text, '\n', true}; }

// A temporary string would be destroyed before the loop begins.
template <std::same_as<std::string> Text>
Records each_record(Text&& text, char end) = delete;
template <std::same_as<std::string> Text>
Records each_line(Text&& text) = delete;

// Returns the text with the letters a to z in upper case.
inline std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return text;
}

// Returns the text with the letters A to Z in lower case.
inline std::string lower(std::string_view text) {
  std::string out(text);
  // Without a branch, the compiler can process many characters with one instruction.
  for (char& c : out) c = static_cast<char>(c + (static_cast<unsigned char>(c - 'A') < 26 ? 32 : 0));
  return out;
}

}  // namespace bottle
