#include "session/ledger/teardown.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "docker/abandoned.h"
#include "session/credentials/session_agent.h"

namespace bottle::session {
namespace {

bool confirmed_gone(docker::Engine& engine, const std::string& session) {
  for (const char* kind : {"containers", "networks", "volumes"}) {
    auto left = engine.list_by_label(kind, "bottle.session=" + session);
    if (!left || !left->empty()) return false;
  }
  return true;
}

Result<> remove(docker::Engine& engine, const Thing& thing) {
  if (thing.kind == "container") return engine.remove_container(thing.name);
  if (thing.kind == "network") return engine.remove_network(thing.name);
  if (thing.kind == "volume") return engine.remove_volume(thing.name);
  if (thing.kind == "ssh-agent") return end_agent(thing.name);
  return fail(Code::invalid, "the ledger names a " + thing.kind + ", which this version of bottle does not know");
}

bool is_silence(const Error& error) {
  return error.code == Code::timed_out || error.code == Code::unavailable || error.code == Code::closed;
}

}  // namespace

nlohmann::json to_json(const Receipt& receipt) {
  return {{"session", receipt.session},
          {"removed", receipt.removed},
          {"left", receipt.left},
          {"confirmed", receipt.confirmed}};
}

Receipt tear_down(docker::Engine& engine, const std::string& session, const std::vector<Thing>& things) {
  Receipt receipt;
  receipt.session = session;
  bool silent = false;
  // Containers hold networks and volumes: they go first.
  for (bool containers : {true, false}) {
    std::vector<std::pair<std::string, std::future<Result<>>>> removals;
    for (auto it = things.rbegin(); it != things.rend(); ++it) {
      if ((it->kind == "container") != containers) continue;
      if (silent) {
        receipt.left.push_back(it->kind + " " + it->name + ": the engine does not answer");
        continue;
      }
      removals.emplace_back(it->kind + " " + it->name,
                            std::async(std::launch::async, [&engine, thing = *it] { return remove(engine, thing); }));
    }
    for (auto& [what, removal] : removals) {
      auto done = removal.get();
      if (done) receipt.removed.push_back(what);
      else receipt.left.push_back(what + ": " + done.error().what);
      silent = silent || (!done && is_silence(done.error()));
    }
  }
  receipt.confirmed = receipt.left.empty() && confirmed_gone(engine, session);
  return receipt;
}

Receipt tear_down_for_good(docker::Engine& engine, const std::string& session, const std::vector<Thing>& things,
                           const std::vector<uint64_t>& asked) {
  using Clock = std::chrono::steady_clock;
  auto begin = Clock::now();
  bool unknown = std::ranges::find(asked, 0u) != asked.end();
  std::vector<std::string> removed;
  for (;;) {
    // Asked before the removal: what has come to its end by now is there to be removed.
    bool under_way =
        std::ranges::any_of(asked, [&](uint64_t end) { return docker::is_abandoned(end, engine.socket()); });
    Receipt receipt = tear_down(engine, session, things);
    if (removed.empty()) removed = receipt.removed;
    receipt.removed = removed;
    receipt.final = !under_way && !unknown;
    if (receipt.final || Clock::now() - begin > std::chrono::seconds(under_way ? 60 : 2)) return receipt;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace bottle::session
