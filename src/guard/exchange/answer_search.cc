// Feeds an answer to its searches. The searches change no byte; a finding can only stop the answer.
#include "guard/exchange/answer_search.h"

#include <string>
#include <utility>

namespace bottle::guard {

// The answers of the agent's model are not searched for injections, because text about injections is not an injection.
Step AnswerSearch::begin(bool decoded) {
  const Config& config = *core_.c.config;
  const policy::Host& host = core_.c.host;
  if (!core_.secrets.model && AnswerWatch::watches(g_head)) {
    bool blocks = config.on_injection.blocks(host);
    watch_ = AnswerWatch::make(g_head, decoded, blocks);
    if (!watch_ && blocks)
      return core_.fail_with(
          {502, "encoded_answer", "the guard cannot decode the answer to look for instructions to the agent"});
  }
  if (g_head.status / 100 == 2 && config.limits.reads_usage(host)) usage_ = UsageWatch::make(g_head, decoded);
  return Step::idle;
}

void AnswerSearch::begin_messages() {
  if (!core_.secrets.model) watch_.emplace(core_.c.config->on_injection.blocks(core_.c.host));
}

bool AnswerSearch::feed(std::string_view bytes) {
  if (usage_) usage_->feed(bytes);
  return watch(bytes);
}

bool AnswerSearch::watch(std::string_view bytes) {
  if (!watch_ || (bytes.empty() && !watch_->behind())) return true;
  if (!watch_->feed(bytes) && watch_->blocks()) {
    stop_ =
        ClientError{502, "encoded_answer",
                    "the server's answer is not what its Content-Encoding says, or a small part of it becomes 16 MB"};
    return false;
  }
  return record_injections();
}

bool AnswerSearch::feed_message(std::string_view text, bool whole) {
  if (core_.c.config->limits.reads_usage(core_.c.host)) {
    if (!usage_) usage_.emplace();
    usage_->feed(text);
    if (whole) count_tokens();
  }
  if (!watch(text)) return false;
  if (!whole || !watch_) return true;
  watch_->settle();
  // A line end keeps the first word of the next message from continuing the last word of this one.
  return watch("\n") && record_injections();
}

bool AnswerSearch::settle() {
  if (!watch_) return true;
  watch_->settle();
  return record_injections();
}

bool AnswerSearch::end() {
  if (!watch_) return true;
  if (!watch_->end() && watch_->blocks()) {
    stop_ = ClientError{502, "encoded_answer", "the server's answer is not what its Content-Encoding says"};
    return false;
  }
  return record_injections();
}

// Records the injections, each kind once for each host. Returns false if the answer must end; otherwise, it passes
// unchanged.
bool AnswerSearch::record_injections() {
  for (const scan::Injection& each : watch_->news()) {
    std::string where = each.hidden ? ", in text that a person does not see," : "";
    std::string reason =
        "the answer " + std::string(each.what) + where + " at about byte " + std::to_string(each.begin);
    if (watch_->blocks()) {
      stop_ = ClientError{403, "injection", std::move(reason)};
      return false;
    }
    // The same page may be fetched again and again, so each injection is recorded once.
    if (!core_.c.context.is_news("injection", core_.c.host.name + " " + std::string(each.what))) continue;
    core_.c.audit(core_.request.line(Action::allow, "injection", reason));
  }
  return true;
}

void AnswerSearch::count_tokens() {
  if (!usage_) return;
  // The reader is taken out first, because the destructor of the exchange calls this again.
  UsageReader reader = std::exchange(usage_, std::nullopt)->reader();
  TokenUsage usage = reader.usage();
  if (usage.total() == 0) return;
  // The configuration may have changed meanwhile, so the current prices apply.
  core_.c.context.budget.add_tokens(*core_.request.account, usage,
                                    core_.c.context.config->limits.cost(reader.model(), usage));
  std::string reason = std::to_string(usage.read()) + " tokens in, " + std::to_string(usage.output) + " out";
  if (!reader.model().empty()) reason += ", " + reader.model();
  core_.c.audit(core_.request.line(Action::close, "usage", reason));
}

}  // namespace bottle::guard
