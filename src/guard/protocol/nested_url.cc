// Reads URLs as many programs do, and not as one standard says. The guard must find each host that some server could
// connect to. A host too many costs at most a refusal with a reason, whereas a missing one is a way around the rules.
// So this is not a parser with one result: it cuts the text at every character at which some program ends the
// authority, and each part that could be the host counts.
#include "guard/protocol/nested_url.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text/words.h"
#include "policy/address.h"

namespace bottle::guard {
namespace {

constexpr size_t kLongestScheme = 20, kLongestAuthority = 2000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
size_t leading_slashes(std::string_view text) { return std::min(text.find_first_not_of("/\\"), text.size()); }

// Describes a range of characters that names may have in place of plain ones (UTS 46). `plain` is the plain character
// for the first of them, or 0 if the characters are left out; `step` is 0 if the whole range stands for the same
// character.
struct LookAlike {
  uint32_t first, last;
  char plain;
  uint32_t step = 1;
};
constexpr auto kLookAlikes = std::to_array<LookAlike>({
    {0xad, 0xad, '\0', 0},                                 // soft hyphen
    {0xb2, 0xb3, '2'},                                     // superscripts
    {0xb9, 0xb9, '1'},         {0x200b, 0x200d, '\0', 0},  // without width
    {0x2060, 0x2060, '\0', 0}, {0x2070, 0x2070, '0'},     {0x2074, 0x2079, '4'},
    {0x2080, 0x2089, '0'},  // subscripts
    {0x2460, 0x2468, '1'},  // in circles
    {0x24b6, 0x24cf, 'a'},     {0x24d0, 0x24e9, 'a'},     {0x24ea, 0x24ea, '0'},
    {0x3002, 0x3002, '.', 0},                                                     // full stops
    {0xfe52, 0xfe52, '.', 0},  {0xfeff, 0xfeff, '\0', 0}, {0xff01, 0xff5e, '!'},  // full width
    {0xff61, 0xff61, '.', 0},  {0x1d7ce, 0x1d7d7, '0'},                           // mathematical digits, in five styles
    {0x1d7d8, 0x1d7e1, '0'},   {0x1d7e2, 0x1d7eb, '0'},   {0x1d7ec, 0x1d7f5, '0'},
    {0x1d7f6, 0x1d7ff, '0'},
});

// Takes one character of UTF-8 from the front of `text`. If the bytes are not UTF-8, takes one byte and returns 0.
uint32_t take_character(std::string_view& text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t size = byte(0) < 0xc2 ? 1 : byte(0) < 0xe0 ? 2 : byte(0) < 0xf0 ? 3 : byte(0) < 0xf5 ? 4 : 1;
  uint32_t value = size == 1 ? byte(0) : byte(0) & (0xffu >> (size + 1));
  bool valid = size <= text.size() && (size > 1 || value < 0x80);
  for (size_t i = 1; i < size && valid; ++i) {
    valid = (byte(i) & 0xc0) == 0x80;
    value = value << 6 | (byte(i) & 0x3fu);
  }
  text.remove_prefix(valid ? size : 1);
  return valid ? value : 0;
}

// Returns a host as a tolerant program reads it: with plain characters, in lower case, without final dots.
std::string plain_host(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view rest = text;
    uint32_t character = take_character(rest);
    std::string_view bytes = text.substr(0, text.size() - rest.size());
    text = rest;
    auto found = std::ranges::find_if(
        kLookAlikes, [&](const LookAlike& each) { return each.first <= character && character <= each.last; });
    if (found == kLookAlikes.end()) out += bytes;
    else if (found->plain)
      out += static_cast<char>(static_cast<uint32_t>(found->plain) + (character - found->first) * found->step);
  }
  while (out.ends_with('.')) out.pop_back();
  return lower(out);
}

// The other characters that Unicode maps to one or more plain ones, such as numbers in circles, letters of mathematics
// and ligatures (NFKC). No name of a host has them (RFC 5892).
struct Range {
  uint32_t first, last;
};
constexpr auto kCompatible = std::to_array<Range>(
    {{0xaa, 0xaa},     {0xba, 0xba},       {0x132, 0x133},     {0x17f, 0x17f},     {0x1c7, 0x1cc},
     {0x1f1, 0x1f3},   {0x2b0, 0x2b8},     {0x2e0, 0x2e4},     {0x1d2c, 0x1d6a},   {0x1d9b, 0x1dbf},
     {0x2024, 0x2026}, {0x2070, 0x20a8},   {0x2100, 0x218b},   {0x2460, 0x24ff},   {0x2c7c, 0x2c7d},
     {0x3250, 0x33ff}, {0xa7f2, 0xa7f4},   {0xfb00, 0xfb06},   {0xfe19, 0xfe19},   {0xfe30, 0xfe30},
     {0xfe50, 0xfe6b}, {0x107a5, 0x107a5}, {0x1d400, 0x1d7ff}, {0x1f100, 0x1f190}, {0x1fbf0, 0x1fbf9}});

// Returns the text without dots before it and without what follows a character that no host has. Programs that ignore
// such a mistake connect to the rest. A "%" stays, because the text may still be decoded.
std::string_view without_faults(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('.'), text.size()));
  auto fits = [](char c) {
    bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
    return letter || is_digit(c) || c == '.' || c == '-' || c == '_' || c == '%' ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  return text.substr(0, static_cast<size_t>(std::ranges::find_if_not(text, fits) - text.begin()));
}

// Returns the host at the beginning of `text`, without a port. Brackets may have a zone (RFC 6874).
std::string host_at(std::string_view text) {
  if (text.starts_with('[')) {
    // Without a ']', the rest of the text counts.
    std::string_view address = text.substr(1, text.find(']') - 1);
    address = address.substr(0, address.find('%'));
    auto parsed = policy::parse_address(address);
    // Some programs accept other hosts in brackets.
    return parsed && parsed->v6 ? "[" + lower(address) + "]" : plain_host(without_faults(address));
  }
  // Some programs accept an IPv6 address without brackets.
  if (policy::parse_address(text)) return lower(text);
  return plain_host(without_faults(text.substr(0, text.find(':'))));
}

bool is_literal(std::string_view host) {
  constexpr size_t kFewestDigits = 8;  // of an address that is one number
  if (host.starts_with('[') || host == "localhost" || policy::parse_address(host) || is_disguised(host)) return true;
  bool number = std::ranges::all_of(host, is_digit) || (host.starts_with("0x") && host.size() > 2);
  return number && host.size() >= kFewestDigits;
}

// Adds what a program could treat as the host of "HOST/…", "USER@HOST:PORT", "HOST\@HOST", "HOST#@HOST" and the like:
// the text at the beginning, unless '@' follows it, and the text after each '@'.
void add_hosts(std::string_view text, bool bare_names, std::vector<std::string>& hosts) {
  // The limit bounds the work. No program connects to a longer name.
  text = text.substr(0, std::min(text.find('/'), kLongestAuthority));
  bool in_authority = true;
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find_first_of("@\\?#", at), text.size());
    char stop = end < text.size() ? text[end] : '\0', before = at > 0 ? text[at - 1] : '@';
    std::string host = before == '@' && stop != '@' ? host_at(text.substr(at, end - at)) : "";
    bool has_dot = host.find('.') != host.npos;
    bool counts = is_literal(host) || (in_authority && (bare_names || has_dot));
    if (!host.empty() && counts && std::ranges::find(hosts, host) == hosts.end()) hosts.push_back(std::move(host));
    // A text after one of these characters is a host only for programs that misread the URL. It counts only if it
    // looks like an address or a full name.
    in_authority = in_authority && stop != '?' && stop != '#';
    at = end + 1;
  }
}

bool is_scheme(std::string_view text) {
  auto is_letter = [](char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; };
  return !text.empty() && text.size() <= kLongestScheme && is_letter(text.front()) &&
         std::ranges::all_of(text,
                             [&](char c) { return is_letter(c) || is_digit(c) || c == '+' || c == '.' || c == '-'; });
}

// Returns the URL without spaces before it, and without tabs and line ends in it, because some programs ignore those.
// In a query, '+' is a space.
std::string trimmed(std::string_view value) {
  std::string text(value);
  std::erase_if(text, [](char each) { return each == '\t' || each == '\r' || each == '\n'; });
  size_t begin = 0;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) <= ' ' || text[begin] == '+')) ++begin;
  return text.substr(begin);
}

struct Url {
  std::string scheme;      // in lower case, or empty
  std::string_view after;  // what follows the scheme and its colon
};

// Returns the URL that the trimmed text begins with. A URL may be in a URL, as in "url:http://…" and
// "view-source:http://…"; then the inner one counts.
Url innermost(std::string_view text) {
  // Some programs drop slashes before a URL.
  std::string_view inner = text.substr(leading_slashes(text));
  if (size_t end = inner.find(':');
      end != inner.npos && end + 1 < inner.size() && is_of_web(lower(inner.substr(0, end))))
    text = inner;
  size_t colon = text.find(':');
  for (int depth = 0; depth < 2 && colon != text.npos && is_scheme(text.substr(0, colon)); ++depth) {
    std::string scheme = lower(text.substr(0, colon));
    text.remove_prefix(colon + 1);
    if (is_of_web(scheme) || leading_slashes(text) > 0) return {std::move(scheme), text};
    colon = text.find(':');
  }
  return {{}, text};
}

}  // namespace

bool is_of_web(std::string_view scheme) {
  for (std::string_view each : {"http", "https", "ws", "wss", "ftp", "ftps"})
    if (scheme == each) return true;
  return false;
}

bool is_disguised(std::string_view host) {
  while (!host.empty()) {
    uint32_t character = take_character(host);
    if (std::ranges::any_of(kCompatible,
                            [&](const Range& each) { return each.first <= character && character <= each.last; }))
      return true;
  }
  return false;
}

std::vector<std::string> hosts_of_url(std::string_view value) {
  std::vector<std::string> hosts;
  std::string text = trimmed(value);
  auto [scheme, after] = innermost(text);
  size_t slashes = leading_slashes(after);
  bool web = is_of_web(scheme);
  // Only URLs of the Web may have too few or too many slashes.
  if (web || slashes == 2 || (scheme.empty() && slashes > 2))
    add_hosts(after.substr(slashes), web && slashes > 0, hosts);
  return hosts;
}

std::string innermost_scheme(std::string_view value) { return innermost(trimmed(value)).scheme; }

std::vector<std::string> hosts_of_bare_url(std::string_view value) {
  std::vector<std::string> hosts;
  add_hosts(trimmed(value), false, hosts);
  std::erase_if(hosts, [](const std::string& host) { return !is_literal(host); });
  return hosts;
}

}  // namespace bottle::guard
