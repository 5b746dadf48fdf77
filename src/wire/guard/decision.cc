// Lists the fields of a decision. The texts come from requests of an agent, so they are read as words: control
// characters are replaced, and each field has a limit.
#include "wire/guard/decision.h"

#include <algorithm>

namespace bottle::wire {
namespace {

// Returns the limit for reading a text of which a guard writes at most `guards` bytes (DecisionLimits). Others may
// write longer ones.
constexpr size_t at_most(size_t guards, size_t others = 0) { return std::max(2 * guards, others); }

}  // namespace

void fields(Object& o, Decision& decision) {
  using Limits = DecisionLimits;
  constexpr size_t kTime = 40;
  // Empty fields are left out, because a record may have very many lines.
  o.words("time", decision.time, kTime);
  o.words_if_any("id", decision.id, 64);
  o.choice("action", decision.action, kDecisionActions);
  o.choice("kind", decision.kind, kDecisionKinds);
  o.words("host", decision.host, at_most(Limits::kHost, 600));
  o.number_if_set("port", decision.port);
  o.words_if_any("method", decision.method, at_most(Limits::kMethod, 600));
  o.words_if_any("path", decision.path, at_most(Limits::kPath, 2000));
  o.words_if_any("code", decision.code, at_most(Limits::kCode, 200));
  o.words_if_any("reason", decision.reason, at_most(Limits::kReason, 2000));
  o.choice("lacks", decision.lacks, policy::kLacks);
  o.words_if_any("secret", decision.secret, at_most(Limits::kSecret, 600));
  o.words_if_any("rule", decision.rule, at_most(Limits::kRule));
  o.words_if_any("fingerprint", decision.fingerprint, at_most(Limits::kFingerprint));
  if (o.optional("bytes_out", decision.bytes.has_value())) {
    auto& bytes = decision.bytes ? *decision.bytes : decision.bytes.emplace();
    o.number("bytes_out", bytes.out);
    o.number("bytes_in", bytes.in);
  }
  if (o.optional("count", decision.count > 1)) o.number("count", decision.count);
  o.words_if_any("first", decision.first, kTime);
  if (o.optional("side", decision.near)) {
    o.constant("side", "near");
    if (o.is_read()) decision.near = true;
  }
  o.text_if_any("trail", decision.trail, 100);
}

void fields(Object& o, WantedDecisions& wanted) { o.number("from", wanted.from); }

void fields(Object& o, LatestDecisions& latest) {
  o.number("from", latest.from);
  o.number("next", latest.next);
  o.objects("decisions", latest.decisions, kFew);
}

}  // namespace bottle::wire
