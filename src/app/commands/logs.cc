#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "app/commands.h"
#include "app/log_lines.h"
#include "app/output.h"
#include "app/sessions.h"
#include "app/world.h"
#include "base/file.h"
#include "base/unique_fd.h"

namespace bottle::app {
namespace {

using nlohmann::json;

struct LogsOptions {
  std::string session;
  bool egress = false, denied = false, follow = false, as_json = false;
};

bool runs(const std::string& name) { return std::ranges::count(names_in(directories().sessions), name) > 0; }

void print(const std::string& line, const LogsOptions& options, bool people) {
  if (line.empty() || (!people && !options.denied)) {
    if (!line.empty()) std::cout << line << "\n";
    return;
  }
  json entry = json::parse(line, nullptr, false);
  if (options.denied && (!entry.is_object() || !entry.contains("action") || entry["action"] != "deny")) return;
  if (!people) std::cout << line << "\n";
  else if (std::string text = egress_line(entry); !text.empty()) std::cout << text << "\n";
}

Result<> egress(const std::string& name, const LogsOptions& options) {
  bool people = ::isatty(1) && !options.as_json;
  std::string path = directories().results + "/" + name + "/egress.jsonl", rest;
  UniqueFd fd;
  for (bool last = false;;) {
    if (!fd) fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[65536];
    ssize_t n = fd ? ::read(fd.get(), buffer, sizeof buffer) : 0;
    if (n < 0 && errno != EINTR) return fail_errno("reading " + path);
    if (n > 0) {
      rest.append(buffer, static_cast<size_t>(n));
      for (size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) print(rest.substr(0, end), options, people);
      continue;
    }
    std::cout << std::flush;
    if (!std::cout) return {};
    // What was written between the last read and the end is read once more.
    if (last || !options.follow) break;
    last = !runs(name);
    if (!last) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  if (!fd) return fail(Code::not_found, "session " + name + " has no decisions", "its guard never spoke");
  return {};
}

Result<> logs(const LogsOptions& options) {
  if ((options.denied || options.follow) && !options.egress) return fail(Code::invalid, "--denied and --follow go with --egress");
  std::string name = TRY(finished_session(options.session));
  if (options.egress) return egress(name, options);
  auto text = read_file(directories().results + "/" + name + "/result.json");
  if (!text && runs(name)) return fail(Code::not_found, "session " + name + " has not ended yet", "its decisions so far: bottle logs --egress " + name);
  if (!text) return std::unexpected(text.error());
  if (::isatty(1) && !options.as_json) std::cout << result_text(json::parse(*text, nullptr, false));
  else std::cout << *text;
  return {};
}

}  // namespace

void add_logs(CLI::App& app, int& exit) {
  auto o = std::make_shared<LogsOptions>();
  auto* command = app.add_subcommand("logs");
  command->add_option("session", o->session);
  command->add_flag("--egress", o->egress);
  command->add_flag("--denied", o->denied);
  command->add_flag("-f,--follow", o->follow);
  command->add_flag("--json", o->as_json);
  command->callback([o, &exit] {
    auto shown = logs(*o);
    exit = shown ? 0 : report(shown.error(), o->as_json);
  });
}

}  // namespace bottle::app
