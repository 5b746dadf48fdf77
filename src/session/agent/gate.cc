// The report is framed as a control sequence (OSC). The same stream may be a terminal, on which the agent's output
// follows directly. The frame tells the two apart in raw bytes, and a terminal that gets the report does not show it.
// The container's image may come from any source, so the report is bounded, decoded as foreign, and must arrive
// before a deadline. If a container prints something else, that becomes part of the error.
#include "session/agent/gate.h"

#include <unistd.h>

#include <cstdio>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "base/text/line.h"

namespace bottle::session {
namespace {

// A stop does not make the stream readable, so the wait is interrupted to look for one.
constexpr int kLookForStopMs = 100;

}  // namespace

Result<> Gate::ask() { return write_all(attached_.fd(), "\n"); }

// Reads until the report is complete. Bytes after it are the agent's first output and are kept in `early_`. A
// terminal adds a line end to the report, which is dropped.
Result<wire::Report> Gate::await_report(int timeout_ms, const std::stop_token& stop) {
  auto deadline = Deadline::in_ms(timeout_ms);
  docker::Demux demux;
  std::string text, complaint;
  for (;;) {
    size_t begin = text.find(wire::kReportBegins);
    size_t end = begin == std::string::npos ? begin : text.find(wire::kReportEnds, begin);
    if (end != std::string::npos) {
      auto report_text =
          std::string_view(text).substr(begin + wire::kReportBegins.size(), end - begin - wire::kReportBegins.size());
      auto report = TRY(wire::decode<wire::Report>(report_text, wire::From::foreign));
      early_ = text.substr(end + 1);
      while (!early_.empty() && (early_[0] == '\r' || early_[0] == '\n')) early_.erase(0, 1);
      return report;
    }
    if (text.size() > wire::Report::kMost) return fail(Code::limit, "the self-test's report is too long");
    if (complaint.size() > wire::Report::kMost)
      return fail(Code::limit,
                  "the agent's container printed more than 1 MB before its self-test: " + folded(complaint, 2000));
    std::string bytes = attached_.take_early();
    if (bytes.empty()) {
      bool ready = !deadline.is_over() && wait_readable(attached_.fd(), deadline.ms_left(kLookForStopMs));
      if (stop.stop_requested()) return fail(Code::canceled, "the self-test was stopped");
      if (!ready && !deadline.is_over()) continue;
      if (!ready)
        return fail(Code::timed_out, "the self-test did not report within " + std::to_string(timeout_ms) + " ms");
      char buffer[65536];
      ssize_t n = ::read(attached_.fd(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        std::string said = folded(text + complaint, 2000);
        return fail(Code::closed,
                    "the agent's container ended before its self-test" + (said.empty() ? "" : ": " + said));
      }
      bytes.assign(buffer, static_cast<size_t>(n));
    }
    if (terminal_) text += bytes;
    else
      TRY(demux.feed(bytes,
                     [&](int stream, std::string_view chunk) { (stream == 1 ? text : complaint).append(chunk); }));
  }
}

// SECURITY.md (The walls) has the same list.
std::string remedy_for(const wire::Report& report) {
  struct Remedy {
    std::string_view probe, text;  // the probe's name, or its beginning
  };
  static constexpr Remedy kRemedies[] = {
      {"guard",
       "the guard did not answer in the bottle's network: run `bottle doctor`, and look for a firewall on the "
       "engine's machine that drops packets between containers"},
      {"forbidden_connect",
       "something else answers at the guard's address: look for a proxy or a firewall on the "
       "engine's machine that catches the packets of containers"},
      {"dns_", "the engine passes on questions for names that its network must not answer: upgrade the engine"},
      {"unreachable",
       "a machine or the engine's bridge answers inside the bottle's network: upgrade the engine, and "
       "look for rules on its machine that route or proxy for containers"},
      {"metadata", "the container has a route that bottle did not make: look for a network plugin of the engine"},
      {"raw_address", "the container has a route that bottle did not make: look for a network plugin of the engine"},
      {"interfaces",
       "the container is not in exactly one network: look for a program that connects containers to "
       "networks"},
      {"engine_socket",
       "the image or the engine brings an engine's socket into the container: remove it from the "
       "image, or use another image"},
      {"ipv6", "the engine gives the container IPv6: turn off IPv6 for new networks in the engine's configuration"},
      {"privileges", "the runtime did not apply the limits on privileges: use another --runtime, such as runc"},
      {"vsock", "the runtime did not apply the filter for system calls: use another --runtime, such as runc"},
      {"kernel_crypto", "the runtime did not apply the filter for system calls: use another --runtime, such as runc"},
      {"io_uring", "the runtime did not apply the filter for system calls: use another --runtime, such as runc"},
      {"key_rings", "the runtime did not apply the filter for system calls: use another --runtime, such as runc"},
  };
  for (const auto& probe : report.probes)
    for (const auto& remedy : kRemedies)
      if (!probe.ok && probe.name.starts_with(remedy.probe)) return std::string(remedy.text);
  return "run `bottle doctor`, and try another --runtime";
}

// Writes the go message. The length is first, because a terminal's stream has no end that could mark the end of a
// message.
Result<> Gate::open(const wire::Go& go) {
  std::string body = TRY(wire::encode_exactly(go));
  char length[9];
  (void)std::snprintf(length, sizeof length, "%08zx", body.size());
  return write_all(attached_.fd(), length + body);
}

}  // namespace bottle::session
