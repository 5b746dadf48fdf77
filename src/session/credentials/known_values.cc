// A file does not say which of its texts are secret, so this code guesses. Both kinds of mistakes are bad: a missed
// value can leave the bottle, and an ordinary word that is mistaken for a secret stops ordinary requests. Therefore, a
// line that may be a bare value counts as one. In an assignment, the name decides first: if it sounds like a secret,
// every value counts. Otherwise, the value decides, and only values that could occur in any program's traffic are left
// out.
//
// The form of the file is tried from the strictest to the loosest: JSON, then assignments only, then lines.
#include "session/credentials/known_values.h"

#include <algorithm>
#include <cctype>

#include "base/text/json.h"
#include "base/text/words.h"

namespace bottle::session {
namespace {

using nlohmann::json;
using Values = std::map<std::string, std::string>;

// Names become part of audit lines and messages, so they are kept short and plain.
constexpr size_t kShortest = 8, kLongestName = 100;
// Shorter values, such as "1" and "{}", are settings or punctuation.
constexpr size_t kShortestTold = 4;
// This bounds the recursion into JSON.
constexpr int kDeepest = 16;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  size_t begin = std::min(text.find_first_not_of(kBlank), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// Returns the text without a byte order mark.
std::string_view without_mark(std::string_view text) { return text.substr(text.starts_with("\xef\xbb\xbf") ? 3 : 0); }

bool is_name(std::string_view text) {
  auto of_name = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.' || c == '-'; };
  return !text.empty() && std::ranges::all_of(text, of_name);
}

// Returns whether a name can be shown. In lines that are values, and as a key of JSON, a secret may stand where a name
// is expected, such as the address before "?sslmode=". In random text, letters often follow digits; in names, they
// rarely do.
bool is_plain(std::string_view name) {
  size_t changes = 0;
  for (size_t i = 1; i < name.size(); ++i)
    changes +=
        std::isdigit(static_cast<unsigned char>(name[i - 1])) && std::isalpha(static_cast<unsigned char>(name[i]));
  return is_name(name) && changes < 2;
}

// Returns the text of JSON with each long whole number as a string, because the parser would round it.
std::string with_exact_numbers(std::string_view text) {
  constexpr size_t kLong = 20;  // shorter ones fit in 64 bits
  std::string exact;
  bool quoted = false;
  for (size_t at = 0, size = 1; at < text.size(); at += size) {
    size = quoted && text[at] == '\\' ? 2 : 1;
    if (text[at] == '"') quoted = !quoted;
    else if (!quoted) size = std::max(size, std::min(text.find_first_not_of("+-.0123456789eE", at), text.size()) - at);
    std::string_view part = text.substr(at, size);
    bool is_long = part.size() >= kLong && part.find_first_not_of("0123456789", part.front() == '-') == part.npos;
    exact.append(is_long ? "\"" : "").append(part).append(is_long ? "\"" : "");
  }
  return exact;
}

// Returns whether the line is the heading of a section, as in ~/.aws/credentials.
bool is_heading(std::string_view line) { return line.starts_with('[') && line.ends_with(']'); }

// Returns whether the line is a value in Base64 that ends with padding, and not a variable without a value.
bool is_padded(std::string_view line) {
  constexpr size_t kLeast = 16;
  auto any = [&](auto is) { return std::ranges::any_of(line, [&](unsigned char c) { return is(c) != 0; }); };
  size_t equals = std::min(line.find('='), line.size());
  bool ends = line.ends_with('=') && line.find_first_not_of('=', equals) == line.npos;
  return ends && line.size() >= kLeast && line.size() % 4 == 0 && any([](int c) { return std::islower(c); }) &&
         any([](int c) { return std::isupper(c); });
}

// Returns whether the name of a value says that it is a secret.
bool sounds_secret(std::string_view name) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  static constexpr std::string_view kWords[] = {"SECRET", "TOKEN", "KEY",  "PASS", "PWD",    "CRED",
                                                "AUTH",   "SALT",  "CERT", "DSN",  "COOKIE", "WEBHOOK"};
  return std::ranges::any_of(kWords, [&](std::string_view word) { return upper.find(word) != upper.npos; });
}

// Returns the last name of a path with dots. The elements of a list have the list's name.
std::string_view last_name(std::string_view path) {
  auto is_number = [](std::string_view text) { return text.find_first_not_of("0123456789") == text.npos; };
  size_t dot = path.rfind('.');
  for (; dot != path.npos && is_number(path.substr(dot + 1)); dot = path.rfind('.')) path = path.substr(0, dot);
  return dot == path.npos ? path : path.substr(dot + 1);
}

// Returns whether a number of this name is a setting or names something, as token_ttl, maxTokens and AUTH_PORT do.
bool names_setting(std::string_view name) {
  static constexpr std::string_view kFirst[] = {"max", "min", "num"};
  static constexpr std::string_view kLast[] = {"age",  "at",      "count", "days",   "expiration", "expires",  "expiry",
                                               "id",   "ids",     "in",    "length", "limit",      "lifetime", "max",
                                               "min",  "ms",      "port",  "ports",  "rounds",     "seconds",  "size",
                                               "time", "timeout", "ttl",   "version"};
  std::vector<std::string> words = {""};
  bool was_lower = false;
  for (unsigned char c : name) {
    if (!std::isalnum(c) || (std::isupper(c) && was_lower)) words.emplace_back();
    if (std::isalnum(c)) words.back() += static_cast<char>(std::tolower(c));
    was_lower = std::islower(c) != 0;
  }
  return std::ranges::find(kFirst, words.front()) != std::end(kFirst) ||
         std::ranges::find(kLast, words.back()) != std::end(kLast);
}

// Returns whether any program may send such a value: a word, a number, a path, or an address without a password.
bool is_ordinary(std::string_view value) {
  auto count = [&](auto is) { return std::ranges::count_if(value, [&](unsigned char c) { return is(c) != 0; }); };
  auto size = static_cast<std::ptrdiff_t>(value.size());
  auto digits = count([](int c) { return std::isdigit(c); });
  bool is_url = value.find("://") != value.npos;
  // The part of an address before an '@' may be a password.
  if (is_url || value.starts_with('/') || value.starts_with("./")) return value.find('@') == value.npos;
  auto others = count([](int c) { return std::ispunct(c) && c != '-' && c != '_' && c != '.'; });
  if (digits + count([](int c) { return std::ispunct(c); }) == size) return true;  // a number, a date or an address
  if (others > 0) return false;
  // In random values, letters and digits alternate often; in names, they form groups.
  std::ptrdiff_t groups = 0;
  int last = 0;
  for (unsigned char c : value) {
    int kind = std::isdigit(c) ? 1 : std::isupper(c) ? 2 : std::islower(c) ? 3 : 4;
    groups += kind != last;
    last = kind;
  }
  return size < 16 || groups * 4 < size;
}

class Reader {
 public:
  explicit Reader(std::string_view file) {
    for (unsigned char c : file.substr(0, kLongestName))
      file_ += std::isalnum(c) || std::string_view("._-").contains(static_cast<char>(c)) ? static_cast<char>(c) : '_';
  }

  // Returns the values of a file. `start` is its text without leading blanks, to recognize JSON.
  Values read(std::string_view text) {
    std::string_view start = trimmed(text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size())));
    if (start.starts_with('{') || start.starts_with('['))
      // A text that only begins like JSON, such as a line with a bracket, is read as lines below.
      if (auto document = parse_json(with_exact_numbers(text))) {
        branch(*document, {}, 0);
        return std::move(values_);
      }
    bool assigns = true, any = false, has_key = text.find("-----BEGIN") != text.npos;
    each_entry(text, [&](std::string_view line, size_t) {
      any = true;
      assigns &= is_name(name_of(line)) && !is_padded(line);
    });
    each_entry(text, [&](std::string_view line, size_t number) {
      if (any && assigns) return assignment(line, number);
      if (!line.starts_with("-----")) put(std::to_string(number), line);  // "-----BEGIN …" is not secret
      Name place{"", "line " + std::to_string(number)};
      password(place, line);
      // The last line of a key may be short.
      if (!has_key && line.find('=') == line.npos) note_if_short(place, line);
      // Files such as .npmrc also have assignments between other lines.
      if (!name_of(line).empty()) assignment(line, number);
    });
    return std::move(values_);
  }
  // Returns the names of values that are too short. Call it after read().
  std::vector<std::string> too_short() { return std::move(too_short_); }

 private:
  // A value's name in the file, which only decides whether the value counts, and what messages and the audit call it.
  struct Name {
    std::string given, shown;
  };

  // Calls `use` with each line that may have a value, without the blanks at its ends, and with its number.
  template <typename Use>
  static void each_entry(std::string_view text, Use use) {
    size_t number = 0;
    for (std::string_view each : each_line(text)) {
      ++number;
      std::string_view line = trimmed(each);
      if (!line.empty() && !line.starts_with('#') && !is_heading(line)) use(line, number);
    }
  }

  // Returns the name that the line assigns a value to, or an empty string.
  static std::string_view name_of(std::string_view line) {
    if (line.starts_with("export ")) line = trimmed(line.substr(7));
    size_t equals = line.find('=');
    return equals == line.npos ? std::string_view() : trimmed(line.substr(0, equals));
  }

  // Reads a line as programs read a .env file: a quoted value ends at its quote, and another one at a comment (" #").
  void assignment(std::string_view line, size_t number) {
    std::string_view given = name_of(line), value = trimmed(line.substr(line.find('=') + 1));
    std::string shown = is_plain(given) ? std::string(given) : "line " + std::to_string(number);
    // Before the '=' of an address, only the parameter is a name.
    if (given.contains("://")) given.remove_prefix(std::min(given.find_last_of("?&;/") + 1, given.size()));
    Name name{std::string(given), std::move(shown)};
    for (char quote : {'"', '\''})
      if (value.size() >= 2 && value.front() == quote && value.find(quote, 1) != value.npos)
        return choose(name, value.substr(1, value.find(quote, 1) - 1));
    choose(name, trimmed(value.substr(0, value.find(" #"))));
  }

  // Takes the strings below a node of JSON. The name of each is the path to it, with dots.
  void branch(const json& node, const Name& name, int depth) {
    if (depth > kDeepest) return;
    std::string_view dot = depth == 0 ? "" : ".";
    for (const auto& [key, value] : node.items()) {
      Name inner = name;
      inner.given.append(dot).append(key);
      inner.shown.append(dot).append(is_plain(key) ? key : "*");
      if (value.is_string()) leaf(inner, value.get_ref<const std::string&>());
      else if (value.is_number_integer()) number(inner, value.dump());
      else if (value.is_structured()) branch(value, inner, depth + 1);
    }
  }

  // Most numbers are ordinary, so those below a name such as "author" count only if their own name sounds secret.
  void number(const Name& name, const std::string& value) {
    if (sounds_secret(last_name(name.given)) && !names_setting(last_name(name.given))) choose(name, value);
  }

  // Each line of a key with several lines is a value, because any line can leave by itself.
  void leaf(const Name& name, const std::string& value) {
    if (value.find('\n') == value.npos) return choose(name, value);
    each_entry(value, [&](std::string_view line, size_t number) {
      std::string end = "." + std::to_string(number);
      if (!line.starts_with("-----")) choose({name.given + end, name.shown + end}, line);
    });
  }

  // Takes a value unless both its name and the value itself look ordinary.
  void choose(const Name& name, std::string_view value) {
    if (!sounds_secret(name.given) && is_ordinary(value)) return;
    if (sounds_secret(name.given)) note_if_short(name, value);
    put(name.shown, value);
    password(name, value);
  }

  // The password in an address is also a value, because it can leave without the address.
  void password(const Name& name, std::string_view address) {
    size_t scheme = address.find("://"), at = address.rfind('@');
    size_t colon = scheme == address.npos ? address.npos : address.find(':', scheme + 3);
    if (at == address.npos || colon >= at) return;
    std::string_view value = address.substr(colon + 1, at - colon - 1);
    Name inner{"password", name.shown + ".password"};
    note_if_short(inner, value);
    put(inner.shown, value);
  }

  // Keeps a value under its name, after the name of the file. Characters that could confuse a reader of the audit
  // become underscores.
  void put(std::string_view name, std::string_view value) {
    // One value more than allowed is kept, so that the caller notices that there are too many.
    if (value.size() < kShortest || values_.size() > kMostKnownValues) return;
    std::string whole = file_ + ":";
    for (unsigned char c : name.substr(0, kLongestName))
      whole += std::isalnum(c) || std::string_view("._-").contains(static_cast<char>(c)) ? static_cast<char>(c) : '_';
    // A file can assign to one name several times, and cutting can make long names equal. No value may be lost.
    std::string free = whole;
    for (int n = 2;; ++n) {
      auto [at, is_new] = values_.emplace(free, value);
      if (is_new || at->second == value) return;
      free = whole + "-" + std::to_string(n);
    }
  }

  // Notes a value that is too short to look for, unless it is a setting.
  void note_if_short(const Name& name, std::string_view value) {
    static constexpr std::string_view kSettings[] = {"true", "false", "yes", "no", "on", "off", "null", "none"};
    if (value.size() < kShortestTold || value.size() >= kShortest || too_short_.size() == kMostKnownValues) return;
    bool is_number = value.find_first_not_of("0123456789") == value.npos;
    if (is_number && names_setting(last_name(name.given))) return;
    if (std::ranges::find(kSettings, value) == std::end(kSettings))
      too_short_.emplace_back(name.shown.substr(0, kLongestName));
  }

  std::string file_;
  Values values_;
  std::vector<std::string> too_short_;
};

}  // namespace

Result<Values> known_values(std::string_view file, std::string_view text) {
  text = without_mark(text);
  if (!is_utf8(text)) return fail(Code::invalid, "the file is not UTF-8", "convert it, for example with base64");
  Values values = Reader(file).read(text);
  if (values.empty())
    return fail(Code::invalid, "the file has no value of 8 or more bytes to look for",
                "remove it from scan.secrets, or check which file it should be");
  return values;
}

std::vector<std::string> too_short_values(std::string_view text) {
  text = without_mark(text);
  if (!is_utf8(text)) return {};
  Reader reader("");
  (void)reader.read(text);
  return reader.too_short();
}

}  // namespace bottle::session
