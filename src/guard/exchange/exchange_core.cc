// Ends exchanges. Once `outcome` is set, neither direction takes a further step.
#include "guard/exchange/exchange_core.h"

namespace bottle::guard {

Step ExchangeCore::fail_with(const ClientError& error) {
  c.audit(request.line(error));
  return break_off(error.status, error.code);
}

Step ExchangeCore::refuse(std::string_view code) {
  Refused refused{.code = code, .reason = refusal.reason, .found = refusal.found};
  c.audit(request.line(refused));
  return break_off(refused.status, refused.code);
}

// Ends the exchange, with an answer from the guard if that is still possible.
Step ExchangeCore::break_off(int status, std::string_view code) {
  c.upstream.reset();
  Stream& client = c.client;
  // If no byte of the final answer has left, its queued head can still be replaced. Interim answers before it stay,
  // because a part of them may have left.
  bool still_here = answering == Answering::head || (answering != Answering::switching && client.take_back(answer_at));
  if (!still_here) return end(Outcome::abort);  // a truncated answer must not look complete
  c.answer(status, code, After::close);
  return end(Outcome::close);
}

Step ExchangeCore::count_up(uint64_t bytes) {
  if (c.context.budget.add_bytes(*request.account, bytes)) return Step::idle;
  return fail_with({403, kLimitReached, c.context.budget.end_by_bytes(*request.account)});
}

Step ExchangeCore::check_current_rules() {
  // The rules apply to the request as it was sent, with the path as it was judged then.
  if (judged_ == c.context.config) return Step::idle;
  judged_ = c.context.config;
  auto decision = judged_->rules.request(c.host, c.port, request.method, request.target);
  const HostSecrets& bound = c.tls ? judged_->secrets.of(c.host) : judged_->secrets.of_unproven();
  // A protocol that the guard does not read may pass only if it would have been passed under the new rules too (see
  // choose_protocol()).
  bool opaque = !request.upgrade.protocol.empty() && !request.upgrade.framed;
  if (decision.allowed && !(opaque && (decision.restricted || !bound.all->empty()))) return Step::idle;
  return fail_with({403, "not_allowed", "the rules have changed", policy::Lacks::nothing});
}

}  // namespace bottle::guard
