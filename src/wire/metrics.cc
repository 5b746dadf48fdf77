// Lists the fields of a session's counters. They may come from another machine, so every name is read as words within
// a limit.
#include "wire/metrics.h"

namespace bottle::wire {

void fields(Object& o, DecisionCount& count) {
  o.words("action", count.action, 64);
  o.words("kind", count.kind, 64);
  o.words("code", count.code, 64);
  o.number("count", count.count);
}

void fields(Object& o, HostCount& count) {
  o.words("host", count.host, 600);
  o.number("allowed", count.allowed);
  o.number("denied", count.denied);
  o.number("bytes_out", count.bytes_out);
  o.number("bytes_in", count.bytes_in);
}

void fields(Object& o, Metrics& metrics) {
  o.flag("guard_up", metrics.guard_up);
  o.flag("record_full", metrics.record_full);
  o.number("guard_restarts", metrics.guard_restarts);
  o.number("record_lines", metrics.record_lines);
  o.objects("decisions", metrics.decisions, kFew);
  o.objects("hosts", metrics.hosts, kFew);
  o.objects_if_any("used", metrics.used, kFew);
}

}  // namespace bottle::wire
