#include "workspace/sending/clean.h"

#include <algorithm>
#include <array>

#include "base/text/words.h"

namespace bottle::workspace {
namespace {

// Returns where the comment in a line begins, or the length of the line.
size_t comment_in(std::string_view line, size_t from) {
  bool quoted = false;
  for (; from < line.size() && (quoted || (line[from] != '#' && line[from] != ';')); ++from) {
    if (line[from] == '\\') ++from;
    else if (line[from] == '"') quoted = !quoted;
  }
  return std::min(from, line.size());
}

// Returns where the value in a line ends. What follows a "#" without a space before it counts as a part of the value,
// because it may be the end of a password without quotes.
size_t end_of_value(std::string_view line, size_t from) {
  size_t comment = comment_in(line, from);
  bool is_apart = comment == 0 || line[comment - 1] == ' ' || line[comment - 1] == '\t';
  return is_apart ? comment : std::min(line.find_first_of(" \t\r\n", comment), line.size());
}

// Returns the quote that must stay if this part of a line is removed, or an empty string.
const char* quote_of(std::string_view removed) {
  bool quoted = false;
  for (size_t at = 0; at < removed.size(); ++at) {
    if (removed[at] == '\\') ++at;
    else if (removed[at] == '"') quoted = !quoted;
  }
  return quoted ? "\"" : "";
}

// Removes the next logical line from the front of a configuration, with its continuation lines, and returns it as git
// reads it.
std::string logical_line(std::string_view& config) {
  std::string line;
  // An odd number of backslashes at the end continues the line; an even number are escaped backslashes.
  for (bool goes_on = true; goes_on && !config.empty();) {
    size_t end = std::min(config.find('\n'), config.size() - 1) + 1;
    line += config.substr(0, end);
    config.remove_prefix(end);
    size_t stop = line.find_last_not_of("\r\n");
    bool comment = comment_in(line, 0) < line.size();
    size_t escapes = 0;
    while (stop != line.npos && escapes <= stop && line[stop - escapes] == '\\') ++escapes;
    goes_on = !comment && escapes % 2 == 1;
    if (goes_on) line.resize(stop);
  }
  return line;
}

// Returns the position after the "]" of a section header, or 0 if the line has no header.
size_t end_of_section(std::string_view line) {
  size_t at = line.find_first_not_of(" \t");
  if (at == line.npos || line[at] != '[') return 0;
  for (bool quoted = false; ++at < line.size();) {
    if (line[at] == '\\') ++at;
    else if (line[at] == '"') quoted = !quoted;
    else if (line[at] == ']' && !quoted) return at + 1;
  }
  return 0;
}

// Returns the name of the setting in a line, in lower case, even if the setting is commented out. `section` is the
// length of the header before it.
std::string key_in(std::string_view line, size_t section) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t#;", section), line.size()));
  return lower(line.substr(0, line.find_first_of("= \t\r\n")));
}

bool has_any(std::string_view text, const auto& words) {
  std::string all = lower(text);
  return std::ranges::any_of(words, [&](const char* word) { return all.find(word) != all.npos; });
}

// The words count anywhere in a line, because leaving out a harmless setting costs less than sending a secret.
bool names_secret(std::string_view text) {
  return has_any(text,
                 std::array{"extraheader", "password", "passwd", "token", "secret", "authorization", "certnonceseed"});
}

// Returns whether the setting in a line is a secret. core.askPass is a program.
bool is_secret(std::string_view line, size_t section) {
  std::string key = key_in(line, section);
  return (key.ends_with("pass") && key != "askpass") || names_secret(line.substr(section));
}

// Returns the text without "user:password@" in its URLs.
std::string without_users(std::string_view text) {
  std::string out;
  for (size_t scheme; (scheme = text.find("://")) != text.npos;) {
    size_t authority = scheme + 3, stop = std::min(text.find_first_of("/ \t\r\n]", authority), text.size());
    // The last "@" ends the user, because a password may contain one. A quote ends nothing: git drops it.
    size_t at = text.substr(authority, stop - authority).rfind('@');
    size_t user = at == text.npos ? 0 : at + 1;
    out.append(text.substr(0, authority)).append(quote_of(text.substr(authority, user)));
    text.remove_prefix(authority + user);
  }
  return out.append(text);
}

// Returns whether an odd number of backslashes precedes this character.
bool is_escaped(std::string_view text, size_t at) {
  size_t escapes = 0;
  while (escapes < at && text[at - escapes - 1] == '\\') ++escapes;
  return escapes % 2 == 1;
}

// Returns the text without the queries in its URLs that may hold credentials.
std::string without_queries(std::string_view text) {
  constexpr const char* kEnd = "\" \t\r\n";
  std::string out;
  for (size_t scheme; (scheme = text.find("://")) != text.npos;) {
    size_t stop = std::min(text.find_first_of(kEnd, scheme), text.size());
    // A quote with a backslash before it is a part of the value.
    while (stop < text.size() && text[stop] == '"' && is_escaped(text, stop))
      stop = std::min(text.find_first_of(kEnd, stop + 1), text.size());
    size_t query = std::min(text.find('?', scheme), stop);
    std::string_view found = text.substr(query, stop - query);
    bool is_secret = names_secret(found) || has_any(found, std::array{"key", "pass", "auth", "sig"});
    out += text.substr(0, is_secret ? query : stop);
    text.remove_prefix(stop);
  }
  return out.append(text);
}

// Returns a line that sets a proxy without its user and password. A proxy needs no "://". A comment may have such
// words, too, so it goes.
std::string without_proxy_user(std::string_view line, size_t section) {
  size_t equals = line.find('=', section);
  if (equals == line.npos) return std::string(line);
  size_t stop = end_of_value(line, equals);
  std::string_view value = line.substr(0, stop), end = stop < line.size() ? "\n" : "";
  size_t at = value.rfind('@');
  if (at == value.npos || at < equals) return std::string(value).append(end);
  std::string_view before = value.substr(0, at);
  size_t scheme = before.find("://", equals);
  size_t user = scheme != line.npos ? scheme + 3 : std::min(before.find_first_not_of("= \t\"", equals), at);
  std::string out(value.substr(0, user));
  return out.append(quote_of(before.substr(user))).append(value.substr(at + 1)).append(end);
}

}  // namespace

std::string without_credentials_in_urls(std::string_view text) { return without_queries(without_users(text)); }

std::string without_credentials(std::string_view config) {
  std::string out;
  while (!config.empty()) {
    std::string line = logical_line(config);
    size_t section = end_of_section(line);
    // The header of a section stays, so that the following lines do not become part of the section before it.
    if (is_secret(line, section)) line = section > 0 ? line.substr(0, section) + "\n" : "";
    else if (key_in(line, section) == "proxy") line = without_proxy_user(line, section);
    size_t stop = end_of_value(line, 0);
    out += without_credentials_in_urls(std::string_view(line).substr(0, stop));
    out += without_credentials_in_urls(std::string_view(line).substr(stop));
  }
  return out;
}

std::string without_new_extensions(std::string_view config) {
  std::string out;
  bool is_extensions = false;
  while (!config.empty()) {
    std::string line = logical_line(config);
    size_t section = end_of_section(line);
    if (section > 0) is_extensions = lower(line.substr(0, section)).find("[extensions]") != line.npos;
    bool is_new = is_extensions && key_in(line, section) == "relativeworktrees";
    if (is_new) line = section > 0 ? line.substr(0, section) + "\n" : "";
    out += line;
  }
  return out;
}

std::string without_sessions(std::string_view packed_refs) {
  std::string out;
  for (bool dropped = false; !packed_refs.empty();) {
    std::string_view line = packed_refs.substr(0, std::min(packed_refs.find('\n'), packed_refs.size() - 1) + 1);
    packed_refs.remove_prefix(line.size());
    if (!line.starts_with('^'))
      // A line with ^ belongs to the tag on the line before.
      dropped = line.find(" refs/bottle/") != std::string_view::npos;
    if (!dropped) out += line;
  }
  return out;
}

}  // namespace bottle::workspace
