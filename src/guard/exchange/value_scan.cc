// Handles what the dictionary of secrets finds: values and placeholders, whose exact bytes are known. Disguises and
// credentials that are known by their form are the subject of FindingScan.
//
// A text of the head is rewritten as a whole; a body goes through a filter piece by piece. Both use judge(), so that
// a secret has the same fate everywhere. A value is written with the escapes of its place, because it must not break
// the JSON or the form around it, or be read as anything but a value.
#include "guard/exchange/value_scan.h"

#include "base/text/base64.h"

namespace bottle::guard {
namespace {

using Do = scan::Verdict::Do;

// Returns the decoded credentials of "Basic …", or an empty string.
std::string basic(std::string_view value) {
  if (value.size() < 7 || !http::iequals(value.substr(0, 6), "basic ")) return {};
  size_t begin = value.find_first_not_of(' ', 6);
  std::string text(begin == value.npos ? std::string_view() : value.substr(begin));
  text.append((4 - text.size() % 4) % 4, '=');  // some clients leave out the padding
  auto decoded = from_base64(text);
  return decoded ? *decoded : std::string();
}

// Returns `value` with the escapes that its place requires, so that it is read unchanged.
std::string written(std::string_view value, Syntax syntax) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : value) {
    bool unreserved =
        (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
    // All characters except the unreserved ones of RFC 3986 §2.3 could be read as part of the form.
    if (syntax == Syntax::form && !unreserved) {
      out.append({'%', kHex[c >> 4], kHex[c & 15]});
      continue;
    }
    // Control characters would need escapes as well, but a value has none (compile_secret).
    if (syntax == Syntax::json && (c == '"' || c == '\\')) out += '\\';
    out += static_cast<char>(c);
  }
  return out;
}

// Returns why a placeholder is refused at a host that its secret is bound to, and what the operator can do.
std::string misplaced(const Secret& secret, RequestPart place, std::string_view header) {
  std::string where(name_of(place));
  std::string reason = "the placeholder of secret \"" + secret.name + "\" is in the " + where;
  if (place == RequestPart::header)
    return reason + " " + std::string(header) + ", but the guard puts the value only in " +
           (secret.header.empty() ? "Authorization" : secret.header) + "; to change that, add header: \"" +
           std::string(header) + ": {}\" to the secret in the manifest";
  if (place == RequestPart::query || place == RequestPart::body)
    return reason + "; to have the value put there, add in: [" + where + "] to the secret in the manifest";
  return reason + ", where the guard never puts a value";
}

}  // namespace

scan::Filter ValueScan::outgoing(RequestPart place, Syntax syntax) {
  return {&secrets_.all->dictionary(),
          [this, place, syntax](const scan::Sight& sight) { return judge(sight, place, {}, syntax); }};
}

scan::Filter ValueScan::incoming() {
  return {&secrets_.all->dictionary(), [this](const scan::Sight& sight) { return judge_answer(sight); }};
}

bool ValueScan::rewrite(RequestPart place, std::string_view header, Syntax syntax, std::string& text) {
  scan::Filter filter(&secrets_.all->dictionary(),
                      [&](const scan::Sight& sight) { return judge(sight, place, header, syntax); });
  std::string out;
  if (!filter.feed(text, out) || !filter.release(out)) return false;
  text = std::move(out);
  return true;
}

bool ValueScan::rewrite_target(std::string& target) {
  size_t query = std::min(target.find('?'), target.size());
  scan::Filter filter(&secrets_.all->dictionary(), [&](const scan::Sight& sight) {
    // Path and query have different rules. A text that begins in the path belongs to the path.
    bool in_query = sight.begin > query;
    return judge(sight, in_query ? RequestPart::query : RequestPart::path, {}, in_query ? Syntax::form : Syntax::token);
  });
  std::string out;
  if (!filter.feed(target, out) || !filter.release(out)) return false;
  target = std::move(out);
  return true;
}

bool ValueScan::rewrite_header(std::string_view name, std::string& value) {
  // Clients such as git encode the placeholder as a password, so the dictionary cannot find it unencoded.
  if (std::string credentials = basic(value); !credentials.empty()) {
    std::string before = credentials;
    if (!rewrite(RequestPart::header, name, Syntax::text, credentials)) return false;
    if (credentials != before) {  // do not scan the decoded text again, because it may contain a value now
      value = "Basic " + base64(credentials);
      return true;
    }
  }
  return rewrite(RequestPart::header, name, Syntax::text, value);
}

std::vector<std::string> ValueScan::beside_values(std::string_view name, std::string_view value) const {
  auto split = [&](std::string_view text) {
    std::vector<std::string> parts;
    size_t end = 0;  // of the last placeholder
    auto add = [&](std::string_view part) {
      size_t first = std::min(part.find_first_not_of(" \t"), part.size());
      if (first < part.size()) parts.emplace_back(part.substr(first, part.find_last_not_of(" \t") + 1 - first));
    };
    scan::Filter filter(&secrets_.all->dictionary(), [&](const scan::Sight& sight) {
      SecretSighting finding = secrets_.judge(sight.pattern, RequestPart::header, name);
      if (finding.fate == Fate::swap && sight.whole) {
        add(text.substr(end, sight.begin - end));
        end = sight.begin + sight.bytes.size();
      }
      return scan::Verdict{};
    });
    std::string unchanged;
    filter.feed(text, unchanged);
    filter.release(unchanged);
    add(text.substr(end));
    return std::pair(std::move(parts), end > 0);
  };
  if (std::string credentials = basic(value); !credentials.empty())
    if (auto [parts, found] = split(credentials); found) return parts;
  return split(value).first;
}

bool ValueScan::check_answer(std::string_view text) {
  scan::Filter filter = incoming();
  std::string unchanged;
  return filter.feed(text, unchanged) && filter.release(unchanged);
}

scan::Verdict ValueScan::judge(const scan::Sight& sight, RequestPart place, std::string_view header, Syntax syntax) {
  SecretSighting finding = secrets_.judge(sight.pattern, place, header);
  // A marker is not a meaningful method.
  if (place == RequestPart::method && finding.fate == Fate::mark) finding.fate = Fate::refuse;
  switch (finding.fate) {
    case Fate::pass:
      return {};
    case Fate::swap:
      return swap_in(sight, *finding.secret, place, syntax);
    case Fate::note:
      report_once(finding);
      return {};
    case Fate::mark:
      // A match that begins or ends within an escape is chance, and replacing it would break the JSON.
      if (syntax == Syntax::json && sight.splits_escape) return {};
      if (OnSecret what = c_.config->on_secret.of(c_.host, true, finding.secret->name); what != OnSecret::redact)
        return as_configured(sight, what, *finding.secret,
                             "the value of secret \"" + finding.secret->name + "\" goes to the model");
      report_once(finding);
      return {Do::replace, marker(*finding.secret, sight.pattern, sight.bytes.size(),
                                  syntax == Syntax::token || syntax == Syntax::form)};
    case Fate::refuse:
      return refuse(sight, finding, place, header);
  }
  return {};
}

scan::Verdict ValueScan::swap_in(const scan::Sight& sight, const Secret& secret, RequestPart place, Syntax syntax) {
  constexpr int kMost = 100;  // a body full of placeholders must not fill the memory
  // A part of a placeholder is useless. The broker inserts relayed secrets.
  if (!sight.whole || !secret.is_inserted_here()) return {};
  if (const std::string& header = request_.content.barred_by; place == RequestPart::body && !header.empty()) {
    return stop(secret, "the value of secret \"" + secret.name + "\" must not go together with the agent's own " +
                            header + "; if it may, add beside: [" + header + "] to the secret in the manifest");
  }
  if (++inserted_ > kMost) {
    refusal_ = {"the request has more than 100 placeholders"};
    return {Do::stop, {}};
  }
  return {Do::replace, written(secret.value, syntax)};
}

scan::Verdict ValueScan::refuse(const scan::Sight& sight, const SecretSighting& finding, RequestPart place,
                                std::string_view header) {
  const Secret& secret = *finding.secret;
  std::string reason = finding.bound && !finding.is_value
                           ? misplaced(secret, place, header)
                           : "secret \"" + secret.name + "\" in the " + std::string(name_of(place)) + " of a request" +
                                 (finding.bound ? "" : " to a host it is not bound to");
  // A method can neither be replaced nor pass with a warning.
  if (place == RequestPart::method) return stop(secret, std::move(reason));
  const OnSecret what = c_.config->on_secret.of(c_.host, false, secret.name);
  // The rules have judged this path, and not the redacted one.
  if (place == RequestPart::path && what == OnSecret::redact) return stop(secret, std::move(reason));
  return as_configured(sight, what, secret, std::move(reason));
}

scan::Verdict ValueScan::judge_answer(const scan::Sight& sight) {
  const Secret* secret = secrets_.all->hidden_owner(sight.pattern);
  // A placeholder, or the value of an exposed secret, tells the agent nothing new.
  if (!secret) return {};
  // OnSecret is about requests. Whatever it says, the agent does not get the value.
  return stop(*secret, "secret \"" + secret->name + "\" in an answer to the agent");
}

scan::Verdict ValueScan::as_configured(const scan::Sight& sight, OnSecret what, const Secret& secret,
                                       std::string reason) {
  if (what == OnSecret::block) return stop(secret, std::move(reason));
  // One line for each request is enough, however often the secret is in it.
  if (request_.warned.insert(secret.name).second) {
    AuditLine line = request_.line(Action::allow, "secret", reason);
    line.secret = secret.name;
    c_.audit(line);
  }
  if (what == OnSecret::warn) return {};
  return {Do::replace, std::string(sight.bytes.size(), '*')};
}

scan::Verdict ValueScan::stop(const Secret& secret, std::string reason) {
  refusal_ = {std::move(reason), {.secret = secret.name}};
  return {Do::stop, {}};
}

void ValueScan::report_once(const SecretSighting& finding) {
  bool marked = finding.fate == Fate::mark;
  std::string_view code = marked ? "secret_to_model" : "placeholder_to_model";
  if (!c_.context.is_news(code, finding.secret->name)) return;
  std::string reason = marked ? "the value of secret \"" + finding.secret->name +
                                    "\" was on its way to the model; the guard sent a marker instead"
                              : "the placeholder of secret \"" + finding.secret->name +
                                    "\" was sent to the model, which is harmless because it is not the value";
  AuditLine line = request_.line(Action::allow, code, reason);
  line.path = {};  // the line stands for all requests of the session
  line.secret = finding.secret->name;
  c_.audit(line);
}

}  // namespace bottle::guard
