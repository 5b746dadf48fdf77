// A reader of this format refuses the whole text if the samples of a metric do not follow its head without
// interruption, or if two of them have the same labels. Samples are therefore collected until the next metric begins,
// and those with equal labels are added up. Agents and other machines choose the names of hosts, so a name in a label
// is shortened to one line and escaped.
#include "app/egress/metrics.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "app/output/output.h"
#include "app/world/sessions.h"
#include "wire/frames/frames.h"

namespace bottle::app {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Escapes the value of a label: a backslash, a quotation mark and a line feed (exposition format 0.0.4).
std::string escaped(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

// Composes the text. metric() begins a metric, and each sample() after it belongs to that one.
class Exposition {
 public:
  explicit Exposition(std::string session) : session_(std::move(session)) {}

  void metric(std::string_view name, std::string_view type, std::string_view help) {
    write_samples();
    name_ = name;
    text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  // Adds a sample to the present metric, or its value to that of a sample with the same labels.
  void sample(uint64_t value, const Labels& labels = {}) {
    std::string text = "session=\"" + escaped(session_) + "\"";
    for (const auto& [label, given] : labels)
      text.append(",").append(label).append("=\"").append(escaped(one_line(given))).append("\"");
    auto [found, is_new] = at_.try_emplace(text, samples_.size());
    if (is_new) samples_.emplace_back(std::move(text), 0);
    uint64_t& sum = samples_[found->second].second;
    // A remote machine may send any numbers.
    if (__builtin_add_overflow(sum, value, &sum)) sum = UINT64_MAX;
  }
  std::string take() {
    write_samples();
    return std::move(text_);
  }

 private:
  void write_samples() {
    for (const auto& [labels, value] : samples_)
      text_.append(name_).append("{").append(labels).append("} ").append(std::to_string(value)).append("\n");
    samples_.clear();
    at_.clear();
  }

  // The samples of the metric, each only once. A reader refuses the whole text if two samples have the same labels, and
  // a remote machine chooses the names of hosts.
  std::vector<std::pair<std::string, uint64_t>> samples_;
  std::map<std::string, size_t> at_;
  std::string session_, name_, text_;
};

// Asks the supervisor for the counters. For a session on another machine, they come from that machine.
Result<wire::Metrics> ask(const std::string& session) {
  Error late{Code::timed_out, "session " + session + " did not send its counters within 20 s",
             "`bottle list` says whether its agent runs; try again"};
  std::string answer;
  TRY(ask_supervisor(session, wire::FrameType::metrics, "", late, [&](const wire::Frame& frame) {
    if (frame.type != wire::FrameType::metrics) return false;
    answer = frame.bytes;
    return true;
  }));
  return wire::decode<wire::Metrics>(answer, wire::From::foreign);
}

}  // namespace

std::string exposition(const std::string& session, const wire::Metrics& metrics) {
  Exposition out(session);
  out.metric("bottle_guard_up", "gauge", "Whether the session's guard runs.");
  out.sample(metrics.guard_up);
  out.metric("bottle_guard_restarts_total", "counter", "How often the guard died and was started again.");
  out.sample(metrics.guard_restarts);
  out.metric("bottle_record_lines", "gauge", "Lines of the session's record of decisions.");
  out.sample(metrics.record_lines);
  out.metric("bottle_record_full", "gauge", "Whether the guard refuses everything because nothing can be recorded.");
  out.sample(metrics.record_full);
  out.metric("bottle_decisions_total", "counter", "Decisions of the guard.");
  for (const auto& each : metrics.decisions)
    out.sample(each.count, {{"action", each.action}, {"kind", each.kind}, {"code", each.code}});
  out.metric("bottle_host_decisions_total", "counter", "Decisions about a host.");
  for (const auto& each : metrics.hosts) {
    out.sample(each.allowed, {{"host", each.host}, {"action", "allow"}});
    out.sample(each.denied, {{"host", each.host}, {"action", "deny"}});
  }
  out.metric("bottle_host_bytes_total", "counter", "Bytes of connections with a host that have ended.");
  for (const auto& each : metrics.hosts) {
    out.sample(each.bytes_out, {{"host", each.host}, {"direction", "out"}});
    out.sample(each.bytes_in, {{"host", each.host}, {"direction", "in"}});
  }
  out.metric("bottle_host_requests_total", "counter", "Requests to a host, and tunnels that are not inspected.");
  for (const auto& each : metrics.used) out.sample(each.requests, {{"host", each.host}});
  out.metric("bottle_host_bytes_up_total", "counter", "Bytes sent to a host, those of open connections included.");
  for (const auto& each : metrics.used) out.sample(each.bytes_up, {{"host", each.host}});
  out.metric("bottle_model_tokens_total", "counter", "Tokens of models, as their answers say.");
  for (const auto& each : metrics.used) {
    // Most hosts are not those of models.
    if (each.tokens_in == 0 && each.tokens_out == 0) continue;
    out.sample(each.tokens_in, {{"host", each.host}, {"direction", "in"}});
    out.sample(each.tokens_out, {{"host", each.host}, {"direction", "out"}});
  }
  out.metric("bottle_model_cost_millionths_total", "counter",
             "Estimated cost of these tokens, in millionths of the currency of the prices.");
  for (const auto& each : metrics.used)
    // Counters are whole numbers here, so that equal samples can be added exactly.
    if (each.cost > 0) out.sample(static_cast<uint64_t>(std::min(each.cost, 1e12) * 1e6 + 0.5), {{"host", each.host}});
  return out.take();
}

Result<> print_metrics(const std::string& wanted) {
  std::string session = TRY(running_session(wanted));
  print_page(exposition(session, TRY(ask(session))));
  return {};
}

}  // namespace bottle::app
