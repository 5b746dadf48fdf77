#include "session/teardown.h"

#include <dirent.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <set>
#include <thread>

#include "session/session_agent.h"
#include "session/state.h"

namespace bottle::session {
namespace {

bool confirmed_gone(docker::Engine& engine, const std::string& session) {
  for (const char* kind : {"containers", "networks", "volumes"}) {
    auto left = engine.list_by_label(kind, "bottle.session=" + session);
    if (!left || !left->empty()) return false;
  }
  return true;
}

std::string key_of(const nlohmann::json& item, const char* kind) {
  if (std::string(kind) == "containers") {
    std::string name = item["Names"].empty() ? item.value("Id", "") : item["Names"][0].get<std::string>();
    return name.starts_with("/") ? name.substr(1) : name;
  }
  return item.value("Name", "");
}

}  // namespace

void remove_session_directory(const std::string& directory) {
  // The ledger last: as long as it is there, the next sweep tries again.
  for (const char* name : {"socket", "delivery", "ssh-agent", "known_hosts", "log", "info.json", "ledger"}) ::unlink((directory + "/" + name).c_str());
  ::rmdir(directory.c_str());
}

nlohmann::json to_json(const Receipt& receipt) {
  return {{"removed", receipt.removed}, {"left", receipt.left}, {"confirmed", receipt.confirmed}};
}

Receipt tear_down(docker::Engine& engine, const std::string& session, const std::vector<Thing>& things) {
  Receipt receipt;
  std::vector<std::pair<std::string, std::future<Result<>>>> containers;
  for (const auto& thing : things)
    if (thing.kind == "container")
      containers.emplace_back(thing.name, std::async(std::launch::async, [&engine, name = thing.name] { return engine.remove_container(name); }));
  auto record = [&](const std::string& what, const Result<>& result) {
    if (result) receipt.removed.push_back(what);
    else receipt.left.push_back(what + ": " + result.error().what);
  };
  for (auto& [name, done] : containers) record("container " + name, done.get());
  for (auto it = things.rbegin(); it != things.rend(); ++it)
    if (it->kind == "network") record("network " + it->name, engine.remove_network(it->name));
  for (const auto& thing : things)
    if (thing.kind == "ssh-agent") record("ssh-agent", end_agent(thing.name));
  receipt.confirmed = receipt.left.empty() && confirmed_gone(engine, session);
  return receipt;
}

Result<std::vector<Orphan>> find_orphans(const Directories& directories, docker::Engine* engine) {
  std::vector<Orphan> orphans;
  std::set<std::string> known;
  if (DIR* dir = ::opendir(directories.sessions.c_str())) {
    while (dirent* entry = ::readdir(dir)) {
      std::string name = entry->d_name;
      if (name.starts_with(".")) continue;
      std::string directory = directories.sessions + "/" + name;
      auto view = read_ledger(directory);
      known.insert(name);
      if (view && view->owner.alive()) continue;
      if (view && view->remote.is_object()) continue;  // its agent may go on there: attach and cleanup see to it
      if (!view) {
        // No ledger, so nothing was made: a start that died between mkdir and its first record.
        remove_session_directory(directory);
        continue;
      }
      orphans.push_back({name, view->things, view->engine, directory});
    }
    ::closedir(dir);
  }
  if (!engine) return orphans;
  std::map<std::string, Orphan> by_label;
  for (const char* kind : {"containers", "networks"}) {
    for (const auto& item : TRY(engine->list_by_label(kind, "bottle.session"))) {
      auto labels = item.value("Labels", nlohmann::json::object());
      std::string session = labels.value("bottle.session", "");
      if (known.contains(session)) continue;
      auto owner = Owner::from_label(labels.value("bottle.owner", ""));
      if (!owner || owner->uid != ::getuid() || owner->alive()) continue;
      auto& orphan = by_label[session];
      orphan.session = session;
      orphan.engine = engine->socket();
      orphan.things.push_back({std::string(kind) == "containers" ? "container" : "network", key_of(item, kind)});
    }
  }
  for (auto& [session, orphan] : by_label) orphans.push_back(std::move(orphan));
  return orphans;
}

std::vector<Receipt> sweep(const std::vector<Orphan>& orphans) {
  std::vector<Receipt> receipts;
  for (const auto& orphan : orphans) {
    if (orphan.things.empty()) {
      if (!orphan.directory.empty()) remove_session_directory(orphan.directory);
      continue;
    }
    auto engine = docker::Engine::connect({orphan.engine, "the session's ledger"});
    Receipt receipt;
    if (!engine) receipt.left.push_back("session " + orphan.session + ": " + engine.error().what);
    else receipt = tear_down(*engine, orphan.session, orphan.things);
    if (engine && !orphan.directory.empty()) {
      // A create that was under way when its owner died may finish after a "not found": look once more before the
      // ledger goes.
      std::this_thread::sleep_for(std::chrono::seconds(2));
      Receipt again = tear_down(*engine, orphan.session, orphan.things);
      receipt.left = again.left;
      receipt.confirmed = again.confirmed;
    }
    if (receipt.confirmed && !orphan.directory.empty()) remove_session_directory(orphan.directory);
    receipts.push_back(std::move(receipt));
  }
  return receipts;
}

}  // namespace bottle::session
