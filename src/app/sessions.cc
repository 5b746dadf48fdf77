// list, stop, logs, cleanup: what there is, and what should not be any more.
#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "app/commands.h"
#include "app/world.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "session/client.h"
#include "session/frames.h"
#include "session/network.h"
#include "session/teardown.h"

namespace bottle::app {
namespace {

using nlohmann::json;

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(directory.c_str())) {
    while (dirent* entry = ::readdir(dir))
      if (entry->d_name[0] != '.') names.push_back(entry->d_name);
    ::closedir(dir);
  }
  return names;
}

// The one that is meant: by name, or the only (for logs: the newest) one.
Result<std::string> pick(const std::string& wanted, const std::string& directory) {
  if (wanted.find('/') != std::string::npos) return fail(Code::invalid, "'" + wanted + "' is no session name");
  auto names = names_in(directory);
  for (const auto& name : names)
    if (name == wanted) return name;
  if (wanted.empty() && names.size() == 1) return names[0];
  if (wanted.empty()) return fail(Code::invalid, names.empty() ? "there is no session" : "which session?", "see `bottle list`");
  return fail(Code::not_found, "no session " + wanted, "see `bottle list`");
}

}  // namespace

int list(const Output& output) {
  auto d = directories();
  json sessions = json::array();
  for (const auto& name : names_in(d.sessions)) {
    auto text = read_file(d.sessions + "/" + name + "/info.json");
    auto info = text ? json::parse(*text, nullptr, false) : json::object();
    if (!info.is_object()) info = json::object();
    auto view = session::read_ledger(d.sessions + "/" + name);
    info["session"] = name;
    if (!info.contains("state")) info["state"] = "starting";
    if (!view || !view->owner.alive()) info["state"] = "dead";
    sessions.push_back(std::move(info));
  }
  if (output.json) {
    std::cout << sessions.dump(2) << "\n";
    return 0;
  }
  std::printf("%-10s %-9s %-14s %s\n", "SESSION", "STATE", "AGENT", "WORKSPACE");
  for (const auto& info : sessions)
    std::printf("%-10s %-9s %-14s %s\n", info.value("session", "").c_str(), info.value("state", "").c_str(), info.value("agent", "").c_str(),
                info.value("workspace", "").c_str());
  return 0;
}

int stop(const std::string& wanted) {
  auto stopped = [&]() -> Result<> {
    auto d = directories();
    std::string name = TRY(pick(wanted, d.sessions));
    UniqueFd fd(TRY(session::connect_to(d.sessions + "/" + name + "/socket")));
    TRY(session::send_frame(fd.get(), session::FrameType::stop, ""));
    session::FrameReader frames;
    char buffer[65536];
    for (;;) {
      pollfd p{fd.get(), POLLIN, 0};
      if (::poll(&p, 1, 120000) == 0) return fail(Code::timed_out, "the session did not end within two minutes", "run `bottle cleanup`");
      ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return fail(Code::closed, "the session's supervisor went away", "run `bottle cleanup`");
      frames.feed({buffer, static_cast<size_t>(n)});
      while (auto frame = frames.next()) {
        if (frame->type == session::FrameType::result) return {};
        if (frame->type == session::FrameType::failure) return fail(Code::internal, frame->bytes);
      }
    }
  }();
  return stopped ? 0 : report(stopped.error());
}

int logs(const std::string& wanted, bool egress) {
  auto d = directories();
  auto name = pick(wanted, d.results);
  if (!name) return report(name.error());
  auto text = read_file(d.results + "/" + *name + (egress ? "/egress.jsonl" : "/result.json"));
  if (!text) return report(text.error());
  std::cout << *text;
  return 0;
}

int cleanup(bool dry_run, const Output& output) {
  auto cleaned = [&]() -> Result<int> {
    // Without an engine "nothing to clean up" would be a guess.
    auto engine = TRY(connect_engine());
    auto orphans = TRY(session::find_orphans(directories(), &engine));
    if (dry_run) {
      json all = json::array();
      for (const auto& orphan : orphans)
        for (const auto& thing : orphan.things) all.push_back({{"session", orphan.session}, {"kind", thing.kind}, {"name", thing.name}});
      if (output.json) std::cout << all.dump(2) << "\n";
      else
        for (const auto& thing : all) std::cout << "would remove " << thing.value("kind", "") << " " << thing.value("name", "") << "\n";
      return 0;
    }
    json all = json::array();
    bool clean = true;
    for (const auto& receipt : session::sweep(orphans)) {
      all.push_back(to_json(receipt));
      clean = clean && receipt.confirmed;
      if (output.json) continue;
      for (const auto& what : receipt.removed) std::cout << "removed " << what << "\n";
      for (const auto& what : receipt.left) std::cerr << "bottle: left behind: " << what << "\n";
    }
    if (output.json) std::cout << all.dump(2) << "\n";
    else if (all.empty()) std::cout << "nothing to clean up\n";
    return clean ? 0 : 125;
  }();
  return cleaned ? *cleaned : report(cleaned.error(), output.json);
}

int engine_prepare() {
  auto prepared = [&]() -> Result<json> {
    auto engine = TRY(connect_engine());
    return json{{"egress_gateway", TRY(session::ensure_egress_network(engine))}, {"engine", engine.socket()}};
  }();
  if (!prepared) return report(prepared.error());
  std::cout << prepared->dump() << "\n";
  return 0;
}

}  // namespace bottle::app
