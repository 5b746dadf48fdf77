#include "guard/request.h"

#include <algorithm>

namespace bottle::guard {
namespace {

using Action = policy::StreamScan::Action;

// The credentials of "Basic …", or empty.
std::string basic(std::string_view value) {
  if (value.size() < 7 || !iequals(value.substr(0, 6), "basic ")) return {};
  auto decoded = base64_decode(
      value.substr(value.find_first_not_of(' ', 6) == value.npos ? value.size() : value.find_first_not_of(' ', 6)));
  return decoded ? *decoded : std::string();
}

bool replace_all(std::string& text, std::string_view from, std::string_view to) {
  bool any = false;
  for (size_t at = 0; !from.empty() && (at = text.find(from, at)) != text.npos; at += to.size(), any = true)
    text.replace(at, from.size(), to);
  return any;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  auto hex = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// A value or placeholder that must not go to this host, in the head as it is, percent-encoded, or in Basic credentials.
const Secret* foreign_secret(const HostSecrets& secrets, const Head& head, std::string_view raw, bool& literal) {
  int found = -1;
  literal = secrets.foreign.contains(raw, &found);
  if (!literal && head.target.find('%') != head.target.npos)
    secrets.foreign.contains(percent_decoded(head.target), &found);
  for (const auto& each : head.headers) {
    if (found >= 0) break;
    if (std::string credentials = basic(each.value); !credentials.empty())
      secrets.foreign.contains(credentials, &found);
  }
  return found < 0 ? nullptr : secrets.owner[static_cast<size_t>(found)];
}

void swap_in(std::string& value, const HostSecrets& secrets) {
  std::string credentials = basic(value);
  for (const Secret* secret : secrets.bound) {
    if (secret->placeholder.empty() || secret->value.empty()) continue;
    replace_all(value, secret->placeholder, secret->value);
    if (!credentials.empty() && replace_all(credentials, secret->placeholder, secret->value))
      value = "Basic " + base64_encode(credentials);
  }
}

// Where an absolute-form request goes. Empty reason: fine.
std::string parse_absolute(const Head& head, policy::Authority& authority, std::string& origin) {
  std::string_view target = head.target;
  if (target.size() < 7 || !iequals(target.substr(0, 7), "http://")) return "neither CONNECT nor http://";
  target.remove_prefix(7);
  size_t end = target.find_first_of("/?#");
  auto parsed = policy::parse_authority(target.substr(0, end), 80);
  if (!parsed) return "the target's host: " + parsed.error().what;
  authority = *parsed;
  origin = end == target.npos ? "/" : std::string(target.substr(end));
  if (origin[0] == '?') origin = "/" + origin;
  if (origin.find('#') != origin.npos) return "a fragment in the target";
  return {};
}

}  // namespace

bool hop_by_hop(std::string_view name) {
  for (std::string_view each :
       {"connection", "proxy-connection", "keep-alive", "te", "trailer", "upgrade", "proxy-authorization",
        "proxy-authenticate", "host", "content-length", "transfer-encoding", "http2-settings"})
    if (iequals(name, each)) return true;
  return false;
}

Verdict prepare_request(Connection& c, const Head& given, Request& request, std::string& out) {
  const Config& config = *c.config;
  Head head = given;
  request = Request{
      .method = std::string(head.method), .keep = head.minor == 1 ? !head.close : head.keep_alive, .minor = head.minor};
  if (head.method == "CONNECT" || head.method == "TRACE")
    return {.status = 400, .code = "bad_request", .reason = "a method that is not for here"};

  // Where to.
  if (c.tls) {
    if (!head.target.starts_with('/') && !(head.method == "OPTIONS" && head.target == "*"))
      return {.status = 400, .code = "bad_request", .reason = "a target that is not a path"};
    request.target = std::string(head.target);
  } else {
    policy::Authority authority;
    if (auto wrong = parse_absolute(head, authority, request.target); !wrong.empty())
      return {.status = 400, .code = "bad_request", .reason = wrong};
    c.host = authority.host;
    c.port = authority.port;
  }
  auto named = policy::parse_authority(head.host, c.tls ? 443 : 80);
  // A server that goes by Host must be the one that was asked for (RFC 9110 §7.2; "domain fronting").
  if (head.has_host && (!named || named->host.name != c.host.name ||
                        (named->port != c.port && head.host.find(':') != head.host.npos && !head.host.ends_with(']'))))
    return {.code = "host_mismatch", .reason = "Host is not the host of the connection"};
  if (!c.tls && c.host.literal && !config.fixed(c.host))
    return {.code = "ip_literal", .reason = "an address instead of a name"};

  // May it?
  auto decision = config.rules.request(c.host, c.port, request.method, request.target);
  if (!decision.allowed) return {.code = decision.code, .reason = decision.reason};

  // Secrets are bound to a host, and only TLS proves that it is the host.
  static const HostSecrets kNone;
  policy::Host nobody{.name = "-"};
  const HostSecrets& secrets = config.secrets_of(c.tls ? c.host : nobody);
  std::string_view raw(given.method.data(), given.size);
  std::string redacted;
  bool literal = false;
  if (const Secret* secret = foreign_secret(secrets, head, raw, literal)) {
    if (config.on_secret == Action::block || (config.on_secret == Action::redact && !literal))
      return {.code = "secret", .reason = "secret \"" + secret->name + "\" in a request to a host it is not bound to"};
    c.audit("allow", "http", "secret",
            "secret \"" + secret->name + "\" in the head of a request to a host it is not bound to", request.method,
            request.target);
    if (config.on_secret == Action::redact) {
      policy::StreamScan scan(&secrets.foreign, Action::redact);
      scan.feed(raw, redacted);
      scan.finish(redacted);
      if (parse_request(redacted, head) != Parse::ok || head.host != given.host || head.method != given.method)
        return {.code = "secret", .reason = "secret \"" + secret->name + "\" where it cannot be starred out"};
      if (c.tls) {
        request.target = std::string(head.target);
      } else {
        policy::Authority authority;
        parse_absolute(head, authority, request.target);
      }
    }
  }

  request.body = Body::of_request(head);
  request.expects_continue = head.expect_continue;
  request.upgrade = head.upgrade_websocket && head.minor == 1;
  std::string authority =
      c.host.literal && c.host.name.find(':') != std::string::npos ? "[" + c.host.name + "]" : c.host.name;
  if (c.port != (c.tls ? 443 : 80)) authority += ":" + std::to_string(c.port);
  bool relayed = config.relayed(c.host);
  bool absolute = !c.tls && (relayed || (config.parent && !config.fixed(c.host) &&
                                         !config.lan_route(c.host, c.port)));  // what a parent proxy wants
  out.append(request.method).append(" ");
  if (absolute) out.append("http://").append(authority);
  out.append(request.target).append(" HTTP/1.1\r\nHost: ").append(authority).append("\r\n");
  const Header* connection = head.find("connection");
  bool identity = !secrets.bound.empty();
  for (const auto& each : head.headers) {
    if (hop_by_hop(each.name) || (connection && has_token(connection->value, each.name))) continue;
    if (identity && iequals(each.name, "accept-encoding")) continue;
    bool replaced = std::ranges::any_of(secrets.bound, [&](const Secret* s) {
      return !s->header.empty() && !s->value.empty() && iequals(s->header, each.name);
    });
    if (replaced) continue;
    out.append(each.name).append(": ");
    if (secrets.bound.empty()) {
      out.append(each.value);
    } else {
      std::string value(each.value);
      swap_in(value, secrets);
      out.append(value);
    }
    out.append("\r\n");
  }
  for (const Secret* secret : secrets.bound)
    if (!secret->header.empty() && !secret->value.empty())
      out.append(secret->header)
          .append(": ")
          .append(secret->template_before)
          .append(secret->value)
          .append(secret->template_after)
          .append("\r\n");
  // Answers are scanned for the value, so they must come as they are.
  if (identity) out.append("Accept-Encoding: identity\r\n");
  if (head.chunked) out.append("Transfer-Encoding: chunked\r\n");
  else if (head.content_length)
    out.append("Content-Length: ").append(std::to_string(*head.content_length)).append("\r\n");
  if (request.upgrade) out.append("Connection: upgrade\r\nUpgrade: websocket\r\n");
  if (absolute && !relayed && !config.parent->authorization.empty())
    out.append("Proxy-Authorization: ").append(config.parent->authorization).append("\r\n");
  out.append("\r\n");
  return {.allowed = true};
}

}  // namespace bottle::guard
