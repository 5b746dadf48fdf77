#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "app/commands/commands.h"
#include "app/output/log_lines.h"
#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle::app {
namespace {

struct LogsOptions {
  std::string session;
  bool egress = false, denied = false, follow = false;
  Output output;
};

bool runs(const std::string& name) { return std::ranges::count(names_in(directories().sessions), name) > 0; }

void show(const std::string& line, const LogsOptions& options, bool people) {
  if (line.empty() || (!people && !options.denied)) {
    if (!line.empty()) print_json_text(line + "\n");
    return;
  }
  // Shows a line that is not a decision unchanged.
  auto decision = wire::decode<wire::Decision>(line, wire::From::ours);
  if (options.denied && (!decision || decision->action != "deny")) return;
  if (people && decision) print(egress_line(*decision));
  else print_json_text(line + "\n");
}

// The decisions of one side. The file may not exist yet, and it grows.
struct Decisions {
  std::string path, rest;
  UniqueFd fd;

  Result<std::vector<std::string>> more() {
    std::vector<std::string> lines;
    if (!fd) fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[65536];
    for (ssize_t n; fd && (n = ::read(fd.get(), buffer, sizeof buffer)) != 0;) {
      if (n < 0 && errno != EINTR) return fail_errno("reading " + path);
      if (n > 0) rest.append(buffer, static_cast<size_t>(n));
    }
    size_t at = 0;
    for (size_t end; (end = rest.find('\n', at)) != std::string::npos; at = end + 1)
      lines.push_back(rest.substr(at, end - at));
    rest.erase(0, at);
    return lines;
  }
};

std::string time_of(const std::string& line) {
  size_t at = line.find("\"time\":\"");
  return at == std::string::npos ? "" : line.substr(at + 8, 24);
}

// Shows the decisions of the guard and, for a session on a remote machine, those that were made on this machine.
Result<> egress(const std::string& name, const LogsOptions& options) {
  bool people = ::isatty(1) && !options.output.json;
  std::string results = directories().results + "/" + name;
  Decisions guard{results + "/egress.jsonl", "", {}}, near{results + "/egress-near.jsonl", "", {}};
  for (bool last = false;;) {
    std::vector<std::string> lines;
    std::ranges::merge(TRY(guard.more()), TRY(near.more()), std::back_inserter(lines), {}, time_of, time_of);
    for (const auto& line : lines) show(line, options, people);
    if (!flush_output()) return {};
    // Reads once more after the end, for what was written since the last read.
    if (last || !options.follow) break;
    last = !runs(name);
    if (!last) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  if (!guard.fd && !near.fd)
    return fail(Code::not_found, "session " + name + " has no record of decisions", "its guard never ran");
  return {};
}

Result<> logs(const LogsOptions& options) {
  if ((options.denied || options.follow) && !options.egress)
    return fail(Code::invalid, "--denied and --follow need --egress", "add --egress");
  std::string name = TRY(finished_session(options.session));
  if (options.egress) return egress(name, options);
  auto text = read_file(directories().results + "/" + name + "/result.json");
  if (!text && runs(name))
    return fail(Code::not_found, "session " + name + " has not ended yet",
                "run `bottle logs --egress " + name + "` for its decisions so far");
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found, "session " + name + " left no result",
                "`bottle logs --egress " + name + "` shows what its guard decided");
  if (!text) return std::unexpected(text.error());
  auto result = wire::decode<wire::SessionResult>(*text, wire::From::ours);
  if (result && ::isatty(1) && !options.output.json) print(result_lines(*result));
  else print_json_text(*text);
  return {};
}

}  // namespace

void add_logs(Command app, int& exit) {
  auto o = std::make_shared<LogsOptions>();
  Command command = app.command("logs");
  command.option("session", o->session);
  command.flag("--egress", o->egress);
  command.flag("--denied", o->denied);
  command.flag("-f,--follow", o->follow);
  command.flag("--json", o->output.json);
  command.runs([o, &exit] { exit = exit_status(logs(*o), o->output.json); });
}

}  // namespace bottle::app
