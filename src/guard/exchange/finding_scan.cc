// Decides what happens to disguised secrets and to credentials in outgoing data.
//
// A known secret may appear in disguise only where its value may appear. A credential that is known only by its form
// may be harmless, so the operator gets its fingerprint and can allow it; a credential that clients use to sign in is
// only noted. The model is different: it gets everything that the agent reads, so a refusal would repeat with every
// request. A marker replaces the finding instead. A secret that is spread over several fields cannot be replaced
// without breaking the request, so it passes with a note.
//
// All texts of a head are scanned as one block, because the scan of a block has a fixed cost and most texts are short.
#include "guard/exchange/finding_scan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text/base64.h"
#include "policy/credentials.h"
#include "scan/join.h"

namespace bottle::guard {
namespace {

using scan::OnFinding;

// Returns whether a header has random values that are not credentials, although its name may contain "key".
bool is_opaque(std::string_view header) {
  for (std::string_view each :
       {"sec-websocket-key", "idempotency-key", "x-idempotency-key", "if-match", "if-none-match", "x-request-id",
        "x-correlation-id", "traceparent", "x-amz-content-sha256", "x-amz-date", "digest", "content-md5"})
    if (http::iequals(header, each)) return true;
  return false;
}

// Returns whether programs send the same value of the header with many requests.
bool is_common_header(std::string_view header) {
  for (std::string_view each : {"user-agent",
                                "accept",
                                "accept-encoding",
                                "accept-language",
                                "cache-control",
                                "content-type",
                                "content-encoding",
                                "pragma",
                                "referer",
                                "origin",
                                "te",
                                "via",
                                "sec-fetch-dest",
                                "sec-fetch-mode",
                                "sec-fetch-site",
                                "sec-fetch-user",
                                "sec-gpc",
                                "sec-ch-ua",
                                "sec-ch-ua-mobile",
                                "sec-ch-ua-platform",
                                "sec-websocket-version"})
    if (http::iequals(header, each)) return true;
  return false;
}

// Returns whether the finding is something that a server issues and that clients send back to sign in. That alone is
// not a leak.
bool is_login(const scan::Finding& finding, RequestPart place, std::string_view header) {
  return place == RequestPart::header && finding.rule && finding.encoding.empty() &&
         (finding.rule->check == scan::Check::jwt || finding.rule->check == scan::Check::basic) &&
         policy::presents_credentials(header);
}

std::string describe(const scan::Finding& finding) {
  std::string text = finding.what;
  if (!finding.encoding.empty()) text += ", as " + finding.encoding + ",";
  return text;
}

std::string advice(const scan::Finding& finding) {
  if (!finding.rule) return {};
  return " (rule " + finding.name + "; if it may leave, run: bottle allow --secret " + finding.fingerprint + ")";
}

}  // namespace

scan::Stream FindingScan::stream(RequestPart place, Syntax syntax, std::string_view codings) {
  add_work_for_time();
  bool blocks = blocks_unreadable();
  auto decoder = scan::ContentDecoder::make(codings);
  bool readable = decoder.has_value(), plain = !decoder || decoder->plain();
  if (!readable && !blocks)
    note_unreadable("the guard passed the body on without scanning it, because it cannot read the content coding");
  auto style = syntax == Syntax::json                              ? scan::MarkerStyle::json
               : syntax == Syntax::form || syntax == Syntax::token ? scan::MarkerStyle::token
                                                                   : scan::MarkerStyle::text;
  return {&c_.config->scanner->catalog(), blocks ? OnFinding::block : OnFinding::report,
          readable || blocks ? codings : std::string_view(),
          [this, place, plain](const scan::Finding& finding) { return judge(finding, place, {}, plain); }, style};
}

void FindingScan::add_work_for_time() { c_.config->scanner->add_work_until(c_.now()); }

void FindingScan::stopped(const scan::Stream& stream) {
  if (!stream.problem().empty()) refusal_ = {stream.problem()};
}

void FindingScan::passed(const scan::Stream& stream) {
  if (stream.unscanned().empty()) return;
  note_unreadable("the guard passed the body on without scanning all of it, because " +
                  std::string(stream.unscanned()));
}

bool FindingScan::blocks_unreadable() const {
  return c_.config->on_secret.of_unreadable(c_.host) == OnSecret::block && !secrets_.model;
}

bool FindingScan::may_leave_unscanned(std::string why) {
  if (blocks_unreadable()) {
    refusal_ = {std::move(why)};
    return false;
  }
  note_unreadable("the guard passed the request on without scanning all of it, because " + why);
  return true;
}

void FindingScan::note_unreadable(const std::string& reason) {
  uint64_t number = c_.context.number_of_news("unreadable_body", c_.host.name);
  if (number == 0) return;
  std::string more = number > 1 ? " (number " + std::to_string(number) + " to this host)" : "";
  c_.audit(request_.line(Action::allow, "unreadable_body", reason + more));
}

// Keeps a finding out of the record, which must still show what path was asked for.
void FindingScan::mask_in_path(std::string_view target, size_t begin, size_t end) {
  std::string& path = c_.masked_path;
  if (path.empty()) path = target.substr(0, target.find('?'));
  begin = std::min(begin, path.size());
  path.replace(begin, std::min(end, path.size()) - begin, std::min(end, path.size()) - begin, '*');
}

namespace {

// Returns whether the header has a value of the protocol, which cannot be a part of a secret. Joined with the parts of
// earlier requests, such a word could complete what looks like a credential.
bool is_of_protocol(std::string_view header, std::string_view value) {
  if (http::iequals(header, "upgrade")) return http::iequals(value, "websocket");
  if (http::iequals(header, "sec-websocket-version")) return value == "13";
  if (!http::iequals(header, "connection")) return false;
  return std::ranges::any_of(std::array{"upgrade", "keep-alive", "keep-alive, upgrade", "close"},
                             [&](const char* each) { return http::iequals(value, each); });
}

// Returns whether a header needs no check for pieces: it has a value of the protocol, or it repeats a value, as most
// requests do. So do the words around a placeholder, such as "Bearer".
bool says_nothing_new(Scanner& scanner, const HeadPart& part) {
  return is_of_protocol(part.name, *part.text) ||
         ((is_common_header(part.name) || part.is_copy) && scanner.repeats(part.name, *part.text));
}

// Returns whether the part is the key of a request that begins a WebSocket (RFC 6455 §4.1). A key is random, so joined
// with other values it could look like a credential. Any other value of this header may be a piece of a secret.
bool is_websocket_key(const Request& request, const std::vector<HeadPart>& parts, const HeadPart& part) {
  constexpr size_t kBytes = 16;
  auto names_key = [](const HeadPart& each) { return http::iequals(each.name, "sec-websocket-key"); };
  if (!names_key(part) || request.method != "GET" || !http::iequals(request.upgrade.protocol, "websocket") ||
      std::ranges::count_if(parts, names_key) != 1)
    return false;
  auto key = from_base64(*part.text);
  return key && key->size() == kBytes && base64(*key) == *part.text;
}

}  // namespace

bool FindingScan::scan_parts(const std::vector<HeadPart>& parts) {
  std::string block;
  // Says where each part begins in the block: its line, and its text within the line.
  struct At {
    size_t line, text;
  };
  std::vector<At> at;
  for (const HeadPart& part : parts) {
    at.push_back({block.size(), block.size()});
    // A name such as "X-Api-Key" is left out, because each random value after it would count as a credential.
    if (!part.name.empty() && !is_opaque(part.name) && !policy::presents_credentials(part.name)) {
      block.append(part.name).append(": ");
      at.back().text = block.size();
    }
    block.append(*part.text).append("\r\n");
  }
  scan::BlockResult result = scan::Detector(&c_.config->scanner->catalog(), scan::Effort::thorough).scan(block);
  for (const scan::Finding& found : result.findings) {
    // A finding belongs to the part in which it begins, even if it reaches into the next.
    auto next = std::ranges::upper_bound(at, found.begin, {}, &At::line);
    auto index = static_cast<size_t>(next - at.begin()) - 1;
    const HeadPart& part = parts[index];
    size_t begin = at[index].text, end = begin + part.text->size();
    RequestPart place = part.place;
    if (place == RequestPart::path && found.begin > begin + std::min(part.text->find('?'), part.text->size()))
      place = RequestPart::query;
    if (place == RequestPart::path) mask_in_path(*part.text, found.begin - begin, found.end - begin);
    // A marker changes a path into another one, which is acceptable only for the API of the model. In a method, it
    // would mean nothing.
    bool may_change = place != RequestPart::method && (place != RequestPart::path || secrets_.model);
    bool fits = found.begin >= begin && found.end <= end && may_change && !part.is_copy;
    OnFinding what = judge(found, place, part.name, fits, part.names_key);
    if (what == OnFinding::block) return false;
    if (what == OnFinding::redact)
      part.text->replace(found.begin - begin, found.end - found.begin,
                         scan::redaction(found.name, found.end - found.begin, scan::MarkerStyle::token));
  }
  if (result.incomplete &&
      !may_leave_unscanned("the head takes the guard too long to decode, or has too many findings"))
    return false;
  // Requests to the model are not checked for pieces, because a piece cannot be replaced, and refusing it would stop
  // the agent.
  if (secrets_.model) return true;
  return std::ranges::all_of(parts, [&](const HeadPart& part) {
    if (http::iequals(part.name, "cookie") && !check_unnamed_cookies(*part.text)) return false;
    if (!part.name.empty())
      return says_nothing_new(*c_.config->scanner, part) || is_websocket_key(request_, parts, part) ||
             check_piece(part.place, part.name, *part.text);
    if (part.place == RequestPart::method) return check_piece(part.place, name_of(part.place), *part.text);
    std::string_view rest = *part.text;
    rest.remove_prefix(std::min(rest.find('?'), rest.size()));
    while (!rest.empty()) {
      rest.remove_prefix(1);
      std::string_view pair = rest.substr(0, rest.find('&'));
      rest.remove_prefix(pair.size());
      size_t equals = std::min(pair.find('='), pair.size());
      std::string_view name = pair.substr(0, equals), value = pair.substr(std::min(equals + 1, pair.size()));
      if (!check_piece(RequestPart::query, name, value)) return false;
    }
    return true;
  });
}

bool FindingScan::check_unnamed_cookies(std::string_view cookies) {
  while (!cookies.empty()) {
    size_t end = std::min(cookies.find("; "), cookies.size());
    std::string_view cookie = cookies.substr(0, end);
    cookies.remove_prefix(std::min(end + 2, cookies.size()));
    // A part with '=' has a name and was checked with the header as a whole.
    if (cookie.find('=') == cookie.npos && !check_piece(RequestPart::header, "cookie", cookie)) return false;
  }
  return true;
}

bool FindingScan::check_piece(RequestPart place, std::string_view name, std::string_view text) {
  if (secrets_.model) return true;
  std::chrono::steady_clock::time_point now{std::chrono::milliseconds(c_.now())};
  scan::BlockResult result = c_.config->scanner->session().value(name, text, now);
  for (const scan::Finding& found : result.findings)
    if (judge(found, place, place == RequestPart::header ? name : "", false) != OnFinding::report) return false;
  return !result.incomplete ||
         may_leave_unscanned("a value, joined with those that left before it, takes the guard too long to decode");
}

namespace {

constexpr size_t kShortestRun = 8;  // of token characters that may be a piece of a secret

}  // namespace

bool FindingScan::check_pieces(RequestPart place, const ShortText& part, size_t& checked) {
  auto [name, text, let_out, is_settled, run] = part;
  if (let_out <= checked) return true;
  size_t from = checked;
  bool fine = true, run_is_field = false;
  // A field that is cut off is checked when its end leaves.
  bool any = scan::each_value(text, [&](std::string_view field, std::string_view value) {
    auto end = static_cast<size_t>(value.data() - text.data()) + value.size();
    if (end <= from || end > let_out) return;
    fine = fine && check_piece(place, field, value);
    // In "name=value", the run would put the name between this piece and the next.
    run_is_field |= end == text.size() && value.size() < run.size();
  });
  // A text that goes on may still get fields, or it is one value, so it is checked again as a whole.
  if (any || is_settled) checked = let_out;
  if (!fine || any || !is_settled) return fine && (run_is_field || check_last_run(place, run));
  // A text without fields is one value for each part that leaves separately.
  text = text.substr(from, let_out - from);
  if (text.size() > scan::kLongestPiece) return check_last_run(place, run);
  if (run.size() < kShortestRun || run.size() >= text.size()) return check_piece(place, name, text);
  // The whole text is checked under its own name. Otherwise, it would separate the piece at its end from those of other
  // texts.
  return check_piece(place, "paused text", text) && check_last_run(place, run);
}

bool FindingScan::check_pieces(RequestPart place, const scan::Stream& stream, Moment moment, size_t& checked) {
  if (secrets_.model) return true;
  std::string_view run = moment == Moment::pause ? stream.last_run() : std::string_view();
  auto text = stream.short_text();
  if (!text) return check_last_run(place, run);
  return check_pieces(place, {name_of(place), *text, stream.let_out(), moment != Moment::flow, run}, checked);
}

bool FindingScan::check_coded_pieces(std::string_view body, Moment moment, size_t& checked) {
  if (secrets_.model || body.size() > kMostPieces) return true;
  return check_pieces(RequestPart::body, {"coded body", body, body.size(), moment != Moment::flow, {}}, checked);
}

bool FindingScan::check_last_run(RequestPart place, std::string_view run) {
  if (run.size() < kShortestRun) return true;
  return check_piece(place, name_of(place), run.substr(run.size() - std::min(run.size(), scan::kLongestPiece)));
}

OnFinding FindingScan::judge(const scan::Finding& found, RequestPart place, std::string_view header, bool replaceable,
                             bool names_key) {
  const Secret* secret = found.rule ? nullptr : secrets_.all->named(found.name);
  // The value may be here in any encoding, such as Base64 in a body of the host that it is bound to.
  if (secret && secrets_.may_hold(*secret, place, header)) return OnFinding::report;
  const SecretPolicy& policy = c_.config->on_secret;
  std::string where = describe(found) + " in the " + std::string(name_of(place));
  // If the operator has a setting for this rule, that counts instead.
  bool is_name = names_key && found.rule && found.encoding.empty();
  bool lenient = (found.warns() || is_name || is_login(found, place, header)) && !policy.names(found.name);
  if (lenient) return note(found, "possible_secret", where + advice(found), OnFinding::report);
  OnSecret what = policy.of(c_.host, secrets_.model, found.name);
  // A secret that is spread over the fields of a request cannot be replaced without breaking the request.
  if (secrets_.model && what == OnSecret::redact && found.encoding.ends_with("pieces")) what = OnSecret::warn;
  std::string_view to_model = found.rule ? "credential_to_model" : "secret_to_model";
  if (what == OnSecret::warn)
    return note(found, "secret", where + ", which the guard passed on" + advice(found), OnFinding::report);
  if (what == OnSecret::redact && replaceable)
    return note(found, secrets_.model ? to_model : "secret",
                where + ", which the guard replaced with a marker" + advice(found), OnFinding::redact);
  if (what == OnSecret::redact) where += ", where no marker can take its place";
  else if (!found.rule) where += " of a request to a host it is not bound to";
  refusal_ = {where + advice(found), {found.rule ? "" : found.name, found.rule ? found.name : "", found.fingerprint}};
  return OnFinding::block;
}

OnFinding FindingScan::note(const scan::Finding& found, std::string_view code, const std::string& reason,
                            OnFinding what) {
  constexpr int kMostPossible = 3;  // in one request: random bytes have many
  bool possible = code == "possible_secret";
  if (possible && noted_ >= kMostPossible) return what;
  // Text for the model repeats with each request, so each finding is recorded once for all hosts of the model.
  std::string key = found.rule ? found.name + " " + found.fingerprint : found.name;
  if (!c_.context.is_news(code, secrets_.model ? key : key + " " + c_.host.name)) return what;
  noted_ += possible;
  AuditLine line = request_.line(Action::allow, code, reason);
  (found.rule ? line.rule : line.secret) = found.name;
  line.fingerprint = found.fingerprint;
  c_.audit(line);
  return what;
}

}  // namespace bottle::guard
