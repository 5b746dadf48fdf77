// Follows git's own parser (config.c) character by character, quirks included, because a difference is a hole: a
// setting that git sees and this parser does not see, or the reverse, would be judged wrongly. What git refuses is
// refused here too, and so is everything that this parser does not understand.

#include "git/formats/config.h"

#include <cctype>

#include "base/text/words.h"

namespace bottle::git {
namespace {

constexpr size_t kMostSettings = 100'000;
constexpr int kEnd = -1;

// Returns whether git allows the character in a key or a section. kEnd is not one.
bool is_name(int c) { return std::isalnum(c) || c == '-'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    // git ignores a byte order mark at the beginning as well.
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
  }

  Result<std::vector<Setting>> run() {
    for (int c; (c = next()) != kEnd;) {
      if (std::isspace(c)) continue;
      if (c == '#' || c == ';') skip_line();
      else if (c == '[') TRY(section());
      else if (std::isalpha(c)) TRY(setting(c));
      else return bad("a line is not a setting");
    }
    return std::move(settings_);
  }

 private:
  int peek() const {
    if (at_ >= text_.size()) return kEnd;
    // git reads CR LF as one line end, and any other CR as a character.
    bool pair = text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n';
    return pair ? '\n' : static_cast<unsigned char>(text_[at_]);
  }

  // Takes the next character, and counts lines for messages.
  int next() {
    int c = peek();
    if (c == kEnd) return c;
    at_ += text_[at_] == '\r' && c == '\n' ? 2 : 1;
    if (c == '\n') ++line_;
    return c;
  }

  void skip_line() {
    while (peek() != kEnd && next() != '\n') {
    }
  }

  std::unexpected<Error> bad(const std::string& why) const {
    // The error is before the line end that was just read.
    size_t line = at_ > 0 && text_[at_ - 1] == '\n' ? line_ - 1 : line_;
    return fail(Code::protocol, "line " + std::to_string(line) + ": " + why);
  }

  // Reads what follows a "[" up to the "]". Settings may follow on the same line.
  Result<> section() {
    section_.clear();
    int c = next();
    // The old form [section.sub] is not case-sensitive. The form [section "sub"] keeps the case of the part in quotes.
    for (; is_name(c) || c == '.'; c = next()) section_ += static_cast<char>(std::tolower(c));
    if (section_.empty()) return bad("a section without a name");
    if (c == ']') return {};
    if (c != ' ' && c != '\t') return bad("a section's name is broken");
    while (c == ' ' || c == '\t') c = next();
    if (c != '"') return bad("a section's name is broken");
    section_ += '.';
    while ((c = next()) != '"') {
      // In a subsection's name, a backslash only quotes the next character, so
      // is an n.
      if (c == '\\') c = next();
      if (c == kEnd || c == '\n') return bad("a section's name has no end");
      section_ += static_cast<char>(c);
    }
    return next() == ']' ? Result<>{} : bad("a section's name has no end");
  }

  // Reads a key, whose first character is `c`, and its value, if there is one.
  Result<> setting(int c) {
    std::string key(1, static_cast<char>(c));
    while (is_name(peek())) key += static_cast<char>(next());
    while (peek() == ' ' || peek() == '\t') next();
    Setting setting{(section_.empty() ? "" : section_ + ".") + lower(key), std::nullopt};
    if (peek() != '\n' && peek() != kEnd) {
      if (next() != '=') return bad("a setting has no '='");
      setting.value = TRY(value());
    }
    if (settings_.size() >= kMostSettings) return fail(Code::limit, "it has too many settings");
    settings_.push_back(std::move(setting));
    return {};
  }

  // Reads a value up to the end of its line. White space around it does not belong to it, except in quotes, and a
  // comment ends it.
  Result<std::string> value() {
    std::string out;
    size_t kept = 0;  // the length of `out` without trailing white space
    bool quoted = false;
    for (;;) {
      int c = next();
      if (c == kEnd || c == '\n') {
        if (quoted) return bad("a quoted value has no end");
        out.resize(kept);
        return out;
      }
      if (!quoted && (c == ' ' || c == '\t' || std::isspace(c))) {
        // White space inside the value is kept, as newer versions of git do, and dropped later if nothing follows.
        if (!out.empty()) out += static_cast<char>(c);
        continue;
      }
      if (!quoted && (c == '#' || c == ';')) {
        skip_line();
        out.resize(kept);
        return out;
      }
      if (c == '"') {
        quoted = !quoted;
        // White space beside a quote belongs to the value.
        kept = out.size();
        continue;
      }
      if (c == '\\') {
        c = next();
        if (c == '\n') continue;  // a backslash continues the line
        static constexpr std::string_view kFrom = "tbn\\\"", kTo = "\t\b\n\\\"";
        size_t which = c == kEnd ? std::string_view::npos : kFrom.find(static_cast<char>(c));
        if (which == std::string_view::npos) return bad("a value has an escape that git does not know");
        c = kTo[which];
      }
      out += static_cast<char>(c);
      kept = out.size();
    }
  }

  std::string_view text_;
  size_t at_ = 0, line_ = 1;
  std::string section_;
  std::vector<Setting> settings_;
};

}  // namespace

Result<std::vector<Setting>> parse_config(std::string_view text) { return Parser(text).run(); }

std::optional<bool> as_bool(const Setting& setting) {
  // A key without "=" is true, but one with an empty value is false.
  if (!setting.value) return true;
  std::string value = lower(*setting.value);
  if (value == "true" || value == "yes" || value == "on") return true;
  if (value.empty() || value == "false" || value == "no" || value == "off") return false;
  // git also accepts a number as a boolean, even with a unit or a sign. This function accepts only digits.
  bool number = value.find_first_not_of("0123456789") == std::string::npos;
  if (!number) return std::nullopt;
  return value.find_first_not_of('0') != std::string::npos;
}

std::string config_line(const std::string& name, const std::string& value) {
  auto quoted = [](std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
      // git would cut the value off at a NUL.
      if (c == '\0') continue;
      if (c == '"' || c == '\\') out += '\\';
      // A line end would end the value, and could begin another setting.
      out += c == '\n' ? "\\n" : std::string(1, c);
    }
    return out + "\"";
  };
  // Only the subsection may contain further dots.
  size_t first = name.find('.'), last = name.rfind('.');
  std::string line = "[" + name.substr(0, first);
  if (first != last) {
    std::string sub = quoted(name.substr(first + 1, last - first - 1));
    line += " " + sub;
  }
  return line + "]\n\t" + name.substr(last + 1) + " = " + quoted(value) + "\n";
}

}  // namespace bottle::git
