// A resolver over HTTPS is another way out, because it forwards names. No single mark identifies all such requests, so
// the path, the headers and the parameters are each taken as a sign.
#include "guard/named_hosts/dns_over_https.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "base/text/base64.h"
#include "base/text/words.h"
#include "guard/core/dialer.h"
#include "guard/named_hosts/parameters.h"
#include "guard/protocol/dns.h"
#include "http/body.h"
#include "policy/path.h"

namespace bottle::guard {
namespace {

bool has_type(const http::Head& head, std::string_view header, std::string_view type) {
  return lower(head.list(header)).find(type) != std::string::npos;
}

// Returns the path as a tolerant server reads it: decoded, in lower case, without slashes at its end.
std::string plain_path(std::string_view path) {
  std::string plain = lower(policy::percent_decoded(path));
  while (plain.ends_with('/')) plain.pop_back();
  return plain;
}

// Returns whether the path has this segment, perhaps with parameters (";x").
bool has_segment(std::string_view path, std::string_view name) {
  for (size_t at = path.find(name); at != path.npos; at = path.find(name, at + 1)) {
    size_t end = at + name.size();
    bool ends = end == path.size() || std::string_view("/;. %\\\0", 7).find(path[end]) != std::string_view::npos;
    if (at > 0 && path[at - 1] == '/' && ends) return true;
  }
  return false;
}

// Returns whether this is the last segment of the path, as a tolerant server reads it: it may ignore parameters (";x"),
// empty segments, and dots and spaces at the end of a segment. A segment in the middle may be the name of a repository.
bool ends_with_segment(std::string_view path, std::string_view name) {
  size_t skipped = 0;  // the segments that ".." removes
  while (true) {
    size_t slash = path.find_last_of("/\\");
    std::string_view segment = path.substr(slash + 1);
    segment = segment.substr(0, segment.find_first_of(std::string_view(";%\0", 3)));
    bool is_up = segment == "..";
    segment = segment.substr(0, segment.find_last_not_of(". ") + 1);
    if (is_up) ++skipped;
    else if (!segment.empty() && skipped > 0) --skipped;
    else if (!segment.empty()) return segment == name;
    if (slash == path.npos) return false;
    path = path.substr(0, slash);
  }
}

// Returns the characters of Base64url as Base64. Some servers ignore others.
std::string base64_text(std::string_view url) {
  std::string text(url);
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  std::erase_if(text, [](unsigned char c) { return !isalnum(c) && c != '+' && c != '/'; });
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

// Returns whether the bytes may be a DNS message that some server accepts. Only a few questions and records fit into
// the target of a request, so the high bytes of all four counts are zero.
bool may_be_message(std::string_view bytes) {
  constexpr size_t kHeader = 12, kCounts = 4, kMostRecords = 16;
  if (bytes.size() < kHeader) return false;
  for (size_t at = kCounts; at < kHeader; at += 2)
    if (bytes[at] != '\0' || static_cast<unsigned char>(bytes[at + 1]) > kMostRecords) return false;
  return bytes[kCounts + 1] != '\0';
}

// Judges the question of a DNS message in Base64url. Only the options that clients send may follow the question.
std::string judge_message(const Connection& c, std::string_view value) {
  constexpr size_t kMostAfter = 32;
  auto bytes = from_base64(base64_text(policy::percent_decoded(value)));
  DnsQuery query;
  if (!bytes || parse_dns_query(*bytes, query) != Parse::ok || bytes->size() > query.size + kMostAfter)
    return "the guard cannot read the DNS query in this request";
  auto host = policy::normalise_host(query.name);
  if (!host) return "the DNS query in this request is not for a valid name";
  return carried(c.context, *c.config, *host);
}

}  // namespace

std::optional<Refused> judge_dns_over_https(const Connection& c, const http::Head& head, std::string_view target) {
  auto refuse = [](std::string why) { return Refused{.code = "name_carries_data", .reason = std::move(why)}; };
  std::string path = plain_path(target.substr(0, target.find('?')));
  bool accepts_dns = has_type(head, "accept", "application/dns-");
  bool is_dns = accepts_dns || has_segment(path, "dns-query");
  // See RFC 8484, and RFC 9230 for a query through a proxy.
  bool in_body =
      has_type(head, "content-type", "dns-message") || ((accepts_dns || ends_with_segment(path, "dns-query")) &&
                                                        http::Body::of_request(head).kind() != http::Body::Kind::none);
  if (in_body)
    return refuse(
        "the guard does not pass DNS queries in a body; configure the client to send them with GET, or to use the "
        "bottle's own name server");
  std::string why;
  bool is_json = is_dns || has_segment(path, "resolve");
  each_parameter(target, [&](const Parameter& each) {
    if (!why.empty()) return;
    std::string name = lower(policy::percent_decoded(each.name));
    if (name == "ct" && lower(policy::percent_decoded(each.value)).find("application/dns-") != std::string::npos)
      is_json = true;
    if (name != "dns") return;
    auto bytes = from_base64(base64_text(policy::percent_decoded(each.value)));
    if (is_dns || (bytes && may_be_message(*bytes))) why = judge_message(c, each.value);
  });
  each_parameter(target, [&](const Parameter& each) {
    if (!why.empty() || !is_json || lower(policy::percent_decoded(each.name)) != "name") return;
    // Some servers ignore spaces and the like around the name.
    std::string asked = policy::percent_decoded(each.value);
    std::erase_if(asked, [](unsigned char byte) { return byte <= ' ' || byte == '+' || byte == 0x7f; });
    if (auto host = policy::normalise_host(asked)) why = carried(c.context, *c.config, *host);
    else if (is_dns) why = "the DNS query in this request is not for a valid name";
  });
  if (why.empty()) return std::nullopt;
  return refuse(std::move(why));
}

}  // namespace bottle::guard
