// Lists the fields of a decision. The texts come from requests of an agent, so they are read as words: control
// characters are replaced, and each field has a limit.
#include "wire/guard/decision.h"

namespace bottle::wire {

void fields(Object& o, Decision& decision) {
  // Empty fields are left out, because a record may have very many lines.
  auto if_any = [&](const char* key, std::string& value, size_t most) {
    if (o.optional(key, !value.empty())) o.words(key, value, most);
  };
  o.words("time", decision.time, 40);
  if_any("id", decision.id, 64);
  o.words("action", decision.action, 64);
  o.words("kind", decision.kind, 64);
  o.words("host", decision.host, 600);
  if (o.optional("port", decision.port != 0)) o.number("port", decision.port);
  if_any("method", decision.method, 600);
  if_any("path", decision.path, 2000);
  if_any("code", decision.code, 200);
  if_any("reason", decision.reason, 2000);
  if_any("secret", decision.secret, 600);
  if_any("rule", decision.rule, 64);
  if_any("fingerprint", decision.fingerprint, 64);
  if (o.optional("bytes_out", decision.bytes.has_value())) {
    auto& bytes = decision.bytes ? *decision.bytes : decision.bytes.emplace();
    o.number("bytes_out", bytes.out);
    o.number("bytes_in", bytes.in);
  }
  if (o.optional("count", decision.count > 1)) o.number("count", decision.count);
  if_any("first", decision.first, 40);
  if_any("side", decision.side, 64);
  if (o.optional("trail", !decision.trail.empty())) o.text("trail", decision.trail, 100);
}

void fields(Object& o, WantedDecisions& wanted) {
  if (o.optional("from", wanted.from.has_value())) o.number("from", wanted.from ? *wanted.from : wanted.from.emplace());
}

void fields(Object& o, LatestDecisions& latest) {
  o.number("from", latest.from);
  o.number("next", latest.next);
  o.objects("decisions", latest.decisions, kFew);
}

}  // namespace bottle::wire
