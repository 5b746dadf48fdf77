// Turns the head of a request into the head that goes upstream. The guard copies only what it has parsed. It writes
// the request line, Host and the framing again, leaves out headers that are for one connection, and sends the path
// that it judged. A server can therefore not read another request than the one that the guard has allowed.
//
// The order of prepare_request() matters. The rules decide first. Then the texts are scanned, and values are inserted
// on the way. The headers that the guard itself writes come after the scan, because the scan would find the values in
// them. The budget comes last, so that a refused request does not count.
#include "guard/exchange/request.h"

#include <algorithm>
#include <optional>

#include "base/text/words.h"
#include "guard/core/judge.h"
#include "guard/exchange/finding_scan.h"
#include "guard/exchange/value_scan.h"
#include "guard/named_hosts/dns_over_https.h"
#include "guard/named_hosts/module_proxy.h"
#include "guard/named_hosts/nested_hosts.h"
#include "policy/credentials.h"
#include "policy/header_name.h"
#include "policy/overrides.h"

namespace bottle::guard {
namespace {

// Returns whether the guard writes a header for the secret, whatever the client sent.
bool writes_header(const Secret& secret) {
  return secret.in_header && !secret.header.empty() && secret.is_inserted_here();
}

// Finds the destination of an absolute-form request. Returns an empty reason if it is valid.
std::string parse_absolute(const http::Head& head, bool tls, policy::Authority& authority, std::string& origin) {
  std::string_view target = head.target, scheme = tls ? "https://" : "http://";
  if (!http::iequals(target.substr(0, scheme.size()), scheme))
    return "the target is neither a path nor begins with " + std::string(scheme);
  target.remove_prefix(scheme.size());
  size_t end = target.find_first_of("/?#");
  auto parsed = policy::parse_authority(target.substr(0, end), tls ? 443 : 80);
  if (!parsed) return "the target's host is not valid: " + parsed.error().what;
  authority = *parsed;
  // An empty path is "/" in origin form, or "*" for OPTIONS (RFC 9112 §3.2.1 and §3.2.4).
  std::string_view empty = head.method == "OPTIONS" ? "*" : "/";
  origin = end == target.npos ? empty : target.substr(end);
  if (origin[0] == '?') origin = "/" + origin;
  if (origin.find('#') != origin.npos) return "the target has a fragment";
  return {};
}

}  // namespace

Syntax syntax_of(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  if (http::iequals(type, "application/x-www-form-urlencoded")) return Syntax::form;
  if (type.size() >= 4 && http::iequals(type.substr(type.size() - 4), "json")) return Syntax::json;
  return Syntax::text;
}

bool asks_parent(const Connection& c) {
  const Config& config = *c.config;
  return !c.tls && config.parent && !config.relayed(c.host) && !config.fixed(c.host) &&
         !config.lan_route(c.host, c.port);
}

void append_framing(Framing framing, uint64_t length, std::string& out) {
  if (framing == Framing::chunked) out.append("Transfer-Encoding: chunked\r\n");
  if (framing == Framing::length) out.append("Content-Length: ").append(std::to_string(length)).append("\r\n");
  out.append("\r\n");
}

bool replaces_header(const HostSecrets& secrets, std::string_view name) {
  return std::ranges::any_of(secrets.bound, [&](const Secret* s) {
    return writes_header(*s) && s->header.size() == name.size() &&
           policy::folded_header(s->header) == policy::folded_header(name);
  });
}

bool hop_by_hop(std::string_view name) {
  for (std::string_view each : {"connection", "proxy-connection", "keep-alive", "te", "upgrade", "proxy-authorization",
                                "proxy-authenticate", "host", "content-length", "transfer-encoding", "http2-settings"})
    if (http::iequals(name, each)) return true;
  return false;
}

bool may_be_trailer(std::string_view name) {
  // A server must not be able to imitate the guard.
  if (hop_by_hop(name) || http::iequals(name.substr(0, 9), "x-bottle-")) return false;
  for (std::string_view each :
       {"trailer", "content-type", "content-encoding", "content-range", "authorization", "cookie", "set-cookie",
        "www-authenticate", "location", "expect", "range", "cache-control", "age", "date", "expires", "vary",
        "max-forwards", "pragma", "retry-after"})
    if (http::iequals(name, each)) return false;
  return true;
}

namespace {

// Returns whether the Host header names the destination. A server that goes by Host must be the requested one (RFC
// 9110 §7.2; this prevents domain fronting). The port may be missing or empty.
bool names_destination(const Connection& c, const http::Head& head) {
  if (!head.host) return true;
  auto named = policy::parse_authority(*head.host, c.tls ? 443 : 80);
  if (!named || named->host.name != c.host.name) return false;
  bool has_port =
      head.host->find(':') != std::string_view::npos && !head.host->ends_with(']') && !head.host->ends_with(':');
  return !has_port || named->port == c.port;
}

// Returns the part of an Upgrade header that passes: the one protocol that the guard can pass. If messages must be
// scanned, that is WebSocket. The guard could not judge anything after a switch to HTTP or TLS, so such a switch
// never passes.
std::string protocol_to_request(std::string_view list, bool framed) {
  std::string chosen;
  while (!list.empty()) {
    size_t comma = std::min(list.find(','), list.size());
    std::string_view each = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (each.starts_with(' ') || each.starts_with('\t')) each.remove_prefix(1);
    while (each.ends_with(' ') || each.ends_with('\t')) each.remove_suffix(1);
    // WebSocket comes before others in the list, because its messages can be scanned.
    if (http::iequals(each, "websocket")) return std::string(each);
    // Old servers also switch to drafts of HTTP/2, such as h2c-14.
    bool opaque = http::iequals(each.substr(0, 2), "h2") || http::iequals(each.substr(0, 4), "TLS/") ||
                  http::iequals(each.substr(0, 5), "HTTP/");
    if (!framed && !opaque && chosen.empty()) chosen = each;
  }
  return chosen;
}

// Judges the path in a header: a copy or a move uses two paths, and the rules apply to both.
std::optional<Refused> judge_other_paths(const Connection& c, const http::Head& head, const Request& request) {
  for (const auto& each : head.headers) {
    if (!policy::names_other_path(each.name)) continue;
    auto refuse = [&](const std::string& why) {
      return Refused{.code = "not_allowed",
                     .reason = "the header " + c.config->recordable(each.name).substr(0, 40) + ": " + why,
                     .lacks = policy::Lacks::header};
    };
    std::string_view path = each.value;
    if (size_t scheme = path.find("://"); scheme != path.npos && scheme < path.find('/')) {
      path.remove_prefix(scheme + 3);
      auto named = policy::parse_authority(path.substr(0, path.find('/')), c.tls ? 443 : 80);
      if (!named || named->host.name != c.host.name) return refuse("it names another host");
      path.remove_prefix(std::min(path.find('/'), path.size()));
    }
    std::string target = path.starts_with('/') ? std::string(path) : "/" + std::string(path);
    auto decision = c.config->rules.request(c.host, c.port, request.method, target);
    if (!decision.allowed) return refuse(decision.reason);
    // The header is sent unchanged, so it must already have the form that was judged.
    if (!decision.target.empty() && decision.target != target)
      return refuse("servers may read its path in different ways");
  }
  return std::nullopt;
}

// Fills in the destination of the request, and judges it by the rules.
std::optional<Refused> find_destination(Connection& c, const http::Head& head, Request& request) {
  auto bad = [](std::string reason) {
    return Refused{.status = 400, .code = "bad_request", .reason = std::move(reason)};
  };
  if (!is_for_here(head.method)) return bad("the guard does not accept this method in such a request");
  bool asterisk = head.method == "OPTIONS" && head.target == "*";
  if (c.tunneled && (head.target.starts_with('/') || asterisk)) {
    request.target = std::string(head.target);
  } else {
    policy::Authority authority;
    if (auto wrong = parse_absolute(head, c.tls, authority, request.target); !wrong.empty()) return bad(wrong);
    // Every server accepts the absolute form (RFC 9112 §3.2.2), but a tunnel leads to only one host.
    if (c.tunneled && (authority.host.name != c.host.name || authority.port != c.port))
      return Refused{.code = "host_mismatch", .reason = "the target's host is not the host of the connection"};
    c.host = authority.host;
    c.port = authority.port;
  }
  if (!names_destination(c, head))
    return Refused{.code = "host_mismatch", .reason = "the Host header is not the host of the connection"};
  auto decision = judge_request(*c.config, c.host, c.port, c.tls, request.method, request.target);
  if (!decision.allowed)
    return Refused{.code = decision.code, .reason = std::move(decision.reason), .lacks = decision.lacks};
  // Sends the path in the form that was judged, not in the client's.
  if (!decision.target.empty()) request.target = std::move(decision.target);
  request.restricted = decision.restricted;
  return decision.restricted ? judge_other_paths(c, head, request) : std::nullopt;
}

// Decides which protocol the request may switch to, and whether then only scanned frames pass.
void choose_protocol(const http::Head& head, const HostSecrets& secrets, Request& request) {
  auto& [protocol, framed] = request.upgrade;
  // Bytes of an unknown protocol could carry a secret, or requests that the rules forbid.
  framed = !secrets.all->empty() || request.restricted;
  if (const http::Header* upgrade = head.find("upgrade"); upgrade && head.minor == 1)
    protocol = protocol_to_request(upgrade->value, framed);
  framed |= http::iequals(protocol, "websocket");
}

// Holds the parts of a request that go upstream, with secrets inserted.
struct Outgoing {
  std::string target;
  struct Line {
    std::string name, value;
    bool holds_secret = false;             // the guard inserted a secret
    bool removed = false;                  // the line does not pass
    std::vector<std::string> beside = {};  // then, the texts of the client around it
  };
  std::vector<Line> headers;
  std::string removed;

  void remove(const Config& config, std::string_view name) {
    constexpr size_t kMost = 200;  // of the text for the record
    if (removed.size() >= kMost) return;
    removed.append(removed.empty() ? "removed " : ", ").append(config.recordable(name), 0, 40);
  }
};

bool puts_in_body(const http::Head& head, const HostSecrets& secrets) {
  return http::Body::of_request(head).kind() != http::Body::Kind::none &&
         std::ranges::any_of(secrets.bound, [](const Secret* s) { return s->in_body && s->is_inserted_here(); });
}

// Returns whether the server must close the connection after it has answered. A server that does not read the body of
// a request would otherwise read the body as the next request, which no rule has judged, and its answers would no
// longer belong to the guard's requests. Many servers ignore a body that the method does not define, such as that of
// GET. Some also ignore that of POST, for example if they answer with an error, which matters most where the rules
// restrict requests. Each message to the model is a POST, so those keep the connection.
bool must_close(const Request& request, const HostSecrets& secrets) {
  using Kind = http::Body::Kind;
  const http::Body& body = request.body;
  if (body.kind() == Kind::none || (body.kind() == Kind::length && body.left() == 0)) return false;
  bool defines_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  return !defines_body || request.content.grows || (request.restricted && !secrets.model);
}

// Returns the codings of a body. gRPC and Connect have another header for the coding of each message. The scanner
// finds messages in gzip, zlib and zstd by their magic numbers. Any other coding of messages counts as a coding of
// the body that the guard cannot read.
std::string codings_of(const http::Head& head) {
  std::string codings = head.list("content-encoding");
  for (const char* header : {"grpc-encoding", "connect-content-encoding"}) {
    std::string coding = lower(head.list(header));
    bool has_mark =
        coding.empty() || coding == "identity" || coding == "gzip" || coding == "deflate" || coding == "zstd";
    if (!has_mark) codings += (codings.empty() ? "" : ", ") + coding;
  }
  return codings;
}

// Returns whether the guard removes the codings of a body. It does so for the agent's model, where it replaces
// secrets instead of refusing them, which is impossible in coded bytes.
bool decodes(const HostSecrets& secrets, const Request::Content& content) {
  if (!secrets.model || content.codings.empty()) return false;
  auto decoder = scan::ContentDecoder::make(content.codings);
  return decoder && !decoder->plain();
}

// Returns whether the header asks for a part of an answer, at most services, at Azure's, or at Apache's server.
bool asks_for_part(const http::Head& head, std::string_view header) {
  std::string name = policy::folded_header(header);
  if (name != "range" && name != "if_range" && name != "x_ms_range" && name != "request_range") return false;
  // In these requests, the header says which part to write. A server may treat any other method as a read.
  bool writes = head.method == "PUT" || head.method == "PATCH" || head.method == "DELETE";
  return !writes ||
         std::ranges::any_of(head.headers, [](const auto& each) { return policy::overrides_request(each.name); });
}

// Returns whether a client's header passes. Headers that the guard writes itself do not. `connection` is the head's
// Connection header, or null.
bool is_forwarded(const http::Head& head, const Request& request, const http::Header* connection,
                  const http::Header& header, const HostSecrets& secrets) {
  if (hop_by_hop(header.name) || (connection && http::has_token(connection->value, header.name))) return false;
  // write_head() asks for an answer without a coding.
  if (!secrets.bound.empty() && http::iequals(header.name, "accept-encoding")) return false;
  if (request.content.decodes && http::iequals(header.name, "content-encoding")) return false;
  if (http::iequals(header.name, "sec-websocket-extensions")) return false;               // asks for compression
  if (http::iequals(header.name, "expect") && puts_in_body(head, secrets)) return false;  // the guard collects the body
  return !replaces_header(secrets, header.name);
}

// Returns the value of a header without the agent's own credentials, which must not accompany one of the operator's, or
// null if it has none of them. An empty value means that the header must not pass.
std::optional<std::string> without_other_credentials(const HostSecrets& secrets, const Outgoing::Line& line) {
  bool is_credential = policy::presents_credentials(line.name);
  if (line.holds_secret || (!is_credential && policy::folded_header(line.name) != "sec_websocket_protocol")) return {};
  auto names_it = [&](const Secret* s) {
    return std::ranges::any_of(s->beside, [&](const std::string& listed) { return http::iequals(listed, line.name); });
  };
  if (std::ranges::any_of(secrets.bound, names_it)) return {};
  if (is_credential) return "";
  return policy::protocols_without_credentials(line.value);
}

// Removes the agent's own credentials if the request also carries one of the operator's. Otherwise, the host could
// treat the request as one of the other account and store the content there (CVE-2026-105452). The model gets only the
// operator's credentials. It is not known yet whether the body will carry one of the operator's, so a credential of the
// agent's bars the guard from inserting one there.
void part_credentials(const Config& config, const HostSecrets& secrets, bool put_in, Request& request, Outgoing& out) {
  bool relayed = std::ranges::any_of(secrets.bound, [](const Secret* s) { return !s->is_inserted_here(); });
  if (secrets.bound.empty() || relayed) return;  // the near side puts in the secret and removes the other credentials
  put_in |= std::ranges::any_of(secrets.bound, [](const Secret* s) { return writes_header(*s); });
  if (!put_in && !secrets.model && !request.content.grows) return;
  for (auto& line : out.headers) {
    auto rest = without_other_credentials(secrets, line);
    if (!rest) continue;
    if (!put_in && !secrets.model) {
      request.content.barred_by = config.recordable(line.name).substr(0, 40);
      continue;
    }
    out.remove(config, line.name);
    line.removed = rest->empty();
    line.value = std::move(*rest);
  }
  std::erase_if(out.headers, [](const Outgoing::Line& line) { return line.removed; });
}

// Returns whether a text before or after a value that the guard inserted has the public name of that key: the user name
// of Basic, or the parameters of OAuth 1.0 (RFC 5849 §3.5.1). Many services give their keys names of a form of their
// own, such as "SK" and 32 digits, so a rule may mistake them for credentials.
bool names_key(const Outgoing::Line& line, const std::string& beside) {
  if (!http::iequals(line.name, "authorization")) return false;
  std::string_view value = line.value;
  bool is_user = &beside == line.beside.data() && beside.find(':') == beside.size() - 1;
  return (is_user && http::iequals(value.substr(0, 6), "basic ")) || http::iequals(value.substr(0, 6), "oauth ");
}

// Returns false if the head contains a secret that must not go to this host. The refusal of the scans says which.
bool pass_secrets(const Config& config, const http::Head& head, Request& request, const HostSecrets& secrets,
                  ValueScan& values, FindingScan& findings, Outgoing& out) {
  out.target = request.target;
  // Most heads contain no secret, and one pass shows that.
  bool clean = !secrets.all->any_in(head.text) && !secrets.all->any_in(out.target);
  // A method is any token, so it could be a secret. A copy of it is checked, and the request keeps the original.
  std::string method = request.method;
  if (!clean && (!values.rewrite(RequestPart::method, {}, Syntax::token, method) || !values.rewrite_target(out.target)))
    return false;
  const http::Header* connection = head.find("connection");
  for (const auto& each : head.headers) {
    if (!is_forwarded(head, request, connection, each, secrets)) continue;
    // A part of an answer could contain a part of a secret, which the guard would not recognize.
    bool hides_secret = !secrets.bound.empty() && asks_for_part(head, each.name);
    if (hides_secret || (request.restricted && policy::overrides_request(each.name))) {
      out.remove(config, each.name);
      continue;
    }
    int before = values.inserted();
    auto& line = out.headers.emplace_back(std::string(each.name), std::string(each.value));
    if (!clean && (!values.rewrite(RequestPart::header_name, {}, Syntax::token, line.name) ||
                   !values.rewrite_header(each.name, line.value)))
      return false;
    line.holds_secret = values.inserted() != before;
    if (line.holds_secret) line.beside = values.beside_values(each.name, each.value);
  }
  part_credentials(config, secrets, values.inserted() > 0, request, out);
  std::vector<HeadPart> parts{{RequestPart::path, {}, &out.target}};
  if (!is_common_method(request.method)) parts.push_back({RequestPart::method, {}, &request.method});
  std::string& protocol = request.upgrade.protocol;
  if (!protocol.empty() && !http::iequals(protocol, "websocket"))
    parts.push_back({RequestPart::header, "upgrade", &protocol});
  // In a header into which the guard inserted a value, everything except that value must be scanned.
  for (auto& line : out.headers) {
    if (!line.holds_secret) parts.push_back({RequestPart::header, line.name, &line.value});
    for (auto& each : line.beside)
      parts.push_back({RequestPart::header, line.name, &each, true, names_key(line, each)});
  }
  // scan_parts() leaves out the names of headers that present credentials, so those that can contain any text are
  // scanned as separate parts.
  for (auto& line : out.headers)
    if (policy::presents_credentials(line.name) && !policy::is_listed_credential(line.name))
      parts.push_back({RequestPart::header_name, {}, &line.name});
  findings.add_work_for_time();
  return findings.scan_parts(parts);
}

void write_head(const Connection& c, const http::Head& head, const Request& request, const HostSecrets& secrets,
                const Outgoing& from, std::string& out) {
  const Config& config = *c.config;
  std::string authority = authority_of(c.host, c.port, c.tls ? 443 : 80);
  bool to_parent = asks_parent(c), absolute = to_parent || (!c.tls && config.relayed(c.host));
  auto line = [&](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  out.append(request.method).append(" ");
  // The near side's broker acts as a proxy.
  if (absolute) out.append("http://").append(authority);
  // In absolute form, an empty path stands for "*" (RFC 9112 §3.2.4).
  if (!absolute || from.target != "*") out.append(from.target);
  out.append(" HTTP/1.1\r\n");
  line("Host", authority);
  for (const auto& each : from.headers) line(each.name, each.value);
  for (const Secret* secret : secrets.bound)
    if (writes_header(*secret)) line(secret->header, secret->template_before + secret->value + secret->template_after);
  // Answers are scanned for the value, so they must come without a coding.
  if (!secrets.bound.empty()) line("Accept-Encoding", "identity");
  const http::Header* te = head.find("te");
  if (!request.upgrade.protocol.empty()) {
    line("Connection", "upgrade");
    line("Upgrade", request.upgrade.protocol);
  } else if (te && http::has_token(te->value, "trailers")) {
    // Servers of gRPC expect this header as a sign that the client accepts trailers.
    line("Connection", request.closes ? "close, TE" : "TE");
    line("TE", "trailers");
  } else if (request.closes) {
    line("Connection", "close");
  }
  if (to_parent && !config.parent->authorization.empty()) line("Proxy-Authorization", config.parent->authorization);
}

}  // namespace

std::optional<Refused> prepare_request(Connection& c, const http::Head& head, Request& request, std::string& out) {
  c.masked_path.clear();
  request = Request{.method = std::string(head.method), .client = {.minor = head.minor, .keep = head.keeps_open()}};
  if (auto refused = find_destination(c, head, request)) return refused;
  if (auto refused = judge_nested_hosts(c, request.target)) return refused;
  if (auto refused = judge_dns_over_https(c, head, request.target)) return refused;
  if (auto refused = judge_module_proxy(c, request.target)) return refused;
  // Secrets are bound to a host, and only TLS proves the identity of the host.
  const HostSecrets& secrets = c.tls ? c.config->secrets.of(c.host) : c.config->secrets.of_unproven();
  request.body = http::Body::of_request(head);
  if (request.body.kind() != http::Body::Kind::none) request.content.codings = codings_of(head);
  request.content.decodes = decodes(secrets, request.content);
  request.content.grows = puts_in_body(head, secrets);
  choose_protocol(head, secrets, request);
  request.closes = must_close(request, secrets);
  if (request.closes) request.upgrade.protocol.clear();  // a connection that closes cannot switch
  ScanRefusal why;
  ValueScan values(c, secrets, request, why);
  FindingScan findings(c, secrets, request, why);
  Outgoing outgoing;
  if (!pass_secrets(*c.config, head, request, secrets, values, findings, outgoing))
    return Refused{.code = "secret", .reason = std::move(why.reason), .found = std::move(why.found)};
  // Without TLS, an agent may name any host in each request, and the request sends that name out.
  if (!c.tls && names_secret(*c.config, c.host)) return Refused{.code = "secret", .reason = std::string(kNamesSecret)};
  request.removed = std::move(outgoing.removed);
  request.client.expects_continue = head.expect_continue;
  request.content.syntax = syntax_of(head.find("content-type") ? head.find("content-type")->value : "");
  write_head(c, head, request, secrets, outgoing, out);
  // A body that cannot fit is refused before any of it is sent.
  bool knows_length = request.body.kind() == http::Body::Kind::length;
  auto admission = c.context.budget.admit(c.host, out.size(), knows_length ? request.body.left() : 0);
  if (!admission.account) return Refused{.code = kLimitReached, .reason = std::move(admission.reason)};
  request.account = admission.account;
  return std::nullopt;
}

}  // namespace bottle::guard
