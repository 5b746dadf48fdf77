// Compiles the secrets into one dictionary of texts, and judges each text that is found in it by the host and the
// place. All hosts share this dictionary, because a secret must also be found on its way to a host that it does not
// belong to.
//
// A text may belong to several secrets, for example if an operator binds one token to two hosts under two names. Then
// it is one entry of the dictionary with several owners, and judge() returns the most lenient of their fates.
#include "guard/core/secrets.h"

#include <string.h>

#include <algorithm>
#include <array>

#include "http/head.h"
#include "scan/known/filter.h"

namespace bottle::guard {
namespace {

// Values shorter than kShortest would be found everywhere by chance. Values longer than kLongest do not fit into a
// header and would need a large dictionary.
constexpr size_t kShortest = 4, kLongest = 16 * 1024;

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

// Returns `text`, cut or padded to `size` bytes.
std::string fitted(std::string text, size_t size, char end, char fill) {
  if (text.size() > size) {
    text.resize(size);
    if (size > 0) text.back() = end;
  }
  text.append(size - text.size(), fill);
  return text;
}

}  // namespace

std::string_view name_of(RequestPart place) {
  constexpr std::array<std::string_view, 7> kNames = {
      "method", "path", "query", "name of a header", "header", "body", "WebSocket messages"};
  return kNames[static_cast<size_t>(place)];
}

bool Secret::goes_in_header(std::string_view given) const {
  return in_header && (http::iequals(given, "authorization") || (!header.empty() && http::iequals(given, header)));
}

Result<Secret> compile_secret(const wire::GuardSecret& wanted) {
  Secret secret{.name = wanted.name, .value = wanted.value, .placeholder = wanted.placeholder};
  auto bad = [&](const std::string& what) { return fail(Code::invalid, "secret \"" + secret.name + "\": " + what); };
  if (wanted.exposed) secret.visibility = Visibility::exposed;
  if (wanted.relayed) secret.inserter = Inserter::broker;
  // Only the broker should have a value that it inserts, unless the agent has the value, too.
  if (wanted.relayed && !wanted.exposed && !secret.value.empty()) return bad("it is relayed, but it has a value");
  if (!wanted.relayed && secret.value.empty()) return bad("it has no value");
  // A line end in a value would begin another header.
  if (!printable(secret.value) || !printable(secret.placeholder))
    return bad("its value or placeholder contains a control byte");
  if (std::max(secret.value.size(), secret.placeholder.size()) > kLongest)
    return bad("its value or placeholder is longer than 16 KB");
  for (const auto& host : wanted.hosts) {
    // Otherwise, the agent could send the placeholder to its own host and read the value there.
    if (host == "*") return bad("it is bound to every host");
    secret.hosts.push_back(TRY(policy::HostPattern::compile(host)));
  }
  secret.beside = wanted.beside;
  const std::string& header = wanted.header;
  const auto& in = wanted.in;
  auto has = [&](const char* place) { return std::ranges::find(in, place) != in.end(); };
  secret.in_header = has("header");
  secret.in_query = has("query");
  secret.in_body = has("body");
  for (const auto& place : in)
    if (place != "header" && place != "query" && place != "body")
      return bad("`in` contains something other than header, query and body");
  if (!header.empty() && !secret.in_header) return bad("it has a header, but `in` does not contain `header`");
  if (!header.empty()) {
    size_t colon = header.find(':'), hole = header.find("{}");
    if (colon == header.npos || colon == 0 || hole == header.npos || hole < colon || !printable(header))
      return bad("its header is not written as \"Name: … {} …\"");
    secret.header = header.substr(0, colon);
    if (header.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != colon)
      return bad("the name of its header is not valid");
    size_t begin = header.find_first_not_of(' ', colon + 1);
    secret.template_before = header.substr(begin, hole - begin);
    secret.template_after = header.substr(hole + 2);
  } else if (secret.placeholder.empty()) {
    return bad("it has neither a placeholder nor a header");
  }
  return secret;
}

void Secrets::compile(std::vector<Secret> secrets, std::vector<policy::HostPattern> models) {
  list_ = std::move(secrets);
  models_ = std::move(models);
  for (const auto& secret : list_) {
    add(secret, true);
    add(secret, false);
  }
  dictionary_.build();
  needles_.clear();
}

// Adds one text of a secret to the dictionary. If the dictionary has the text already, the text gets another owner.
void Secrets::add(const Secret& secret, bool is_value) {
  const std::string& text = is_value ? secret.value : secret.placeholder;
  // This also leaves out empty placeholders, and the empty values of relayed secrets.
  if (text.size() < kShortest) return;
  auto [found, fresh] = needles_.try_emplace(text, static_cast<uint32_t>(owners_.size()));
  if (fresh) {
    owners_.emplace_back();
    dictionary_.add(found->second, text);
  }
  owners_[found->second].push_back({&secret, is_value});
}

const HostSecrets& Secrets::of(const policy::Host& host) const {
  // The agent chooses the hosts under a wildcard rule, so results are kept for each set of secrets and not for each
  // host.
  std::vector<bool> key;
  auto names_it = [&](const policy::HostPattern& pattern) { return pattern.matches(host); };
  for (const auto& secret : list_) key.push_back(std::ranges::any_of(secret.hosts, names_it));
  key.push_back(std::ranges::any_of(models_, names_it));
  auto& slot = hosts_[key];
  if (slot) return *slot;
  slot = std::make_unique<HostSecrets>();
  slot->all = this;
  slot->model = key.back();
  for (size_t i = 0; i < list_.size(); ++i)
    if (key[i]) slot->bound.push_back(&list_[i]);
  return *slot;
}

// No pattern can match "-", which is not a valid name.
const HostSecrets& Secrets::of_unproven() const { return of({.name = "-"}); }

bool Secrets::any_in(std::string_view text) const {
  scan::Finder finder(&dictionary_);
  std::vector<scan::Find> finds;
  finder.feed(text, finds);
  return !finds.empty();
}

const Secret* Secrets::hidden_owner(const scan::Pattern& pattern) const {
  const Secret* hidden = nullptr;
  for (const auto& owner : owners_[pattern.needle]) {
    if (owner.is_value && owner.secret->visibility == Visibility::exposed) return nullptr;
    if (owner.is_value && !hidden) hidden = owner.secret;
  }
  return hidden;
}

std::string Secrets::masked(std::string_view text) const {
  scan::Filter filter(&dictionary_, [](const scan::Sight& sight) {
    return scan::Verdict{scan::Verdict::Do::replace, std::string(sight.bytes.size(), '*')};
  });
  std::string out;
  filter.feed(text, out);
  filter.release(out);
  return out;
}

const Secret* Secrets::named(std::string_view name) const {
  auto found = std::ranges::find(list_, name, &Secret::name);
  return found == list_.end() ? nullptr : &*found;
}

bool HostSecrets::scanned() const { return !bound.empty() || (model && !all->empty()); }

bool HostSecrets::is_bound(const Secret* secret) const { return std::ranges::find(bound, secret) != bound.end(); }

namespace {

// Returns whether the guard puts the secret's value in this place.
bool is_put(const Secret& secret, RequestPart place, std::string_view header) {
  return (place == RequestPart::header && secret.goes_in_header(header)) ||
         (place == RequestPart::query && secret.in_query) || (place == RequestPart::body && secret.in_body);
}

}  // namespace

// Even a value that is bound to the model passes only in the place where it signs in, because values that the agent
// has read must not reach the model.
bool HostSecrets::may_hold(const Secret& secret, RequestPart place, std::string_view header) const {
  return is_bound(&secret) && (!model || is_put(secret, place, header));
}

SecretSighting HostSecrets::judge(const scan::Pattern& pattern, RequestPart place, std::string_view header) const {
  auto fate = [&](const Secret& secret, bool is_value, bool is_bound) {
    bool put_there = is_bound && is_put(secret, place, header);
    // An encoded placeholder is refused and not replaced, because the guard cannot know what the server does with the
    // decoded text.
    if (!is_value && put_there && pattern.encoding == scan::Encoding::literal) return Fate::swap;
    if (!is_value) return model ? Fate::note : Fate::refuse;
    if (may_hold(secret, place, header)) return Fate::pass;
    return model ? Fate::mark : Fate::refuse;
  };
  SecretSighting best;
  for (const auto& owner : all->owners_[pattern.needle]) {
    bool is_bound_here = is_bound(owner.secret);
    SecretSighting finding{fate(*owner.secret, owner.is_value, is_bound_here), owner.secret, owner.is_value,
                           is_bound_here};
    // The fates are declared from the most lenient to the strictest.
    if (!best.secret || finding.fate < best.fate) best = finding;
  }
  return best;
}

std::string marker(const Secret& secret, const scan::Pattern& pattern, size_t size, bool token) {
  // In JSON, such a value may be a number, so the marker must consist of digits.
  if (std::ranges::all_of(secret.value, [](char c) { return c >= '0' && c <= '9'; }) &&
      pattern.encoding == scan::Encoding::literal)
    return std::string(size, '9');
  std::string text = "[redacted: " + secret.name + "]";
  if (pattern.encoding == scan::Encoding::base64 || pattern.encoding == scan::Encoding::base64url) {
    // Base64 must stay valid, so the marker is encoded.
    auto core = scan::base64_core(fitted(text, secret.value.size(), ']', '*'), pattern.shift,
                                  pattern.encoding == scan::Encoding::base64url);
    return fitted(core, size, 'A', 'A');
  }
  return token ? fitted("redacted-" + secret.name, size, '-', '-') : fitted(text, size, ']', '*');
}

}  // namespace bottle::guard
