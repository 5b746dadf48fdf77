// Things are found by name and removed by id. Before it is removed, a thing must carry the labels of this owner's
// session, and the id guarantees that the removed thing is the checked one, even if another session takes the name in
// between. Volumes have no ids, but the engine refuses to remove a volume that a container uses.
//
// A volume without labels is removed only for a session whose launch was cut short (Belongings::cut_short). Such a
// volume holds no work, and only a launch makes a volume of that name.
//
// The teardown is confirmed with a query for what is left, by label. That also finds things that a name would not
// show, such as a second network of the same name. If an engine did not answer in the first stage, the second one is
// skipped, because each call would wait for the whole time limit again.
#include "session/ledger/teardown.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "docker/answers.h"
#include "session/credentials/session_agent.h"
#include "session/ledger/names.h"

namespace bottle::session {
namespace {

using docker::member, docker::text_of;

// Returns the name of an item in the engine's list of a kind.
std::string name_of(const nlohmann::json& item, ThingKind kind) {
  if (kind != ThingKind::container && kind != ThingKind::image) return text_of(item, "Name");
  // The engine puts a slash before the names of containers.
  const auto& names = member(item, kind == ThingKind::image ? "RepoTags" : "Names");
  std::string name = names.is_array() && !names.empty() && names[0].is_string() ? names[0].get<std::string>() : "";
  return name.starts_with("/") ? name.substr(1) : name;
}

// Returns the labels in an engine's answer whose values are text.
Labels as_labels(const nlohmann::json& answer) {
  Labels labels;
  for (const auto& [key, value] : answer.items())
    if (value.is_string()) labels[key] = value.get<std::string>();
  return labels;
}

bool carries(const Labels& labels, const Belongings& whose) {
  return value_of(labels, "bottle.session") == whose.session &&
         value_of(labels, "bottle.owner") == whose.owner.to_label();
}

// Returns whether the engine lists nothing more of the session. An image may have been made from the agent's container
// and have its labels; what is made from such an image does not belong to the session.
bool confirmed_gone(docker::Engine& engine, const Belongings& what) {
  Names names(what.session);
  for (ThingKind kind : {ThingKind::container, ThingKind::network, ThingKind::volume, ThingKind::image}) {
    // Only builds make an image, so a session's teardown does not list those of the engine.
    if (kind == ThingKind::image && !std::ranges::count(what.things, kind, &Thing::kind)) continue;
    auto left = list_labeled(engine, kind, "bottle.session=" + what.session);
    if (!left) return false;
    for (const auto& each : *left)
      if (carries(each.labels, what) && names.has(each.thing)) return false;
  }
  return true;
}

// Returns whether the engine did not answer, as opposed to answering with an error.
bool is_silence(const Error& error) {
  return error.code == Code::timed_out || error.code == Code::unavailable || error.code == Code::closed;
}

}  // namespace

Belongings belongings_of(const std::string& session, const LedgerView& view) {
  return {.session = session, .owner = view.owner, .things = view.things, .cut_short = view.cut_short()};
}

Result<std::vector<Labeled>> list_labeled(docker::Engine& engine, ThingKind kind, const std::string& label) {
  std::vector<Labeled> all;
  // The engine's words for lists are plurals.
  for (const auto& item : TRY(engine.list_by_label(word_of(kind) + "s", label)))
    all.push_back({{kind, name_of(item, kind)}, as_labels(member(item, "Labels"))});
  return all;
}

Result<nlohmann::json> inspect(docker::Engine& engine, const Thing& thing) {
  switch (thing.kind) {
    case ThingKind::container:
      return engine.inspect_container(thing.name);
    case ThingKind::network:
      return engine.inspect_network(thing.name);
    case ThingKind::volume:
      return engine.inspect_volume(thing.name);
    case ThingKind::image:
      return engine.inspect_image(thing.name);
    case ThingKind::ssh_agent:
      break;
  }
  return fail(Code::invalid, "the engine has no kind of thing called " + word_of(thing.kind));
}

Result<std::optional<std::string>> find_own(docker::Engine& engine, const Belongings& whose, const Thing& thing) {
  auto found = inspect(engine, thing);
  if (!found && found.error().code == Code::not_found) return std::nullopt;
  if (!found) return std::unexpected(std::move(found.error()));
  bool configured = thing.kind == ThingKind::container || thing.kind == ThingKind::image;
  const auto& answer = member(configured ? member(*found, "Config") : *found, "Labels");
  Labels labels = as_labels(answer);
  if (carries(labels, whose)) return text_of(*found, "Id", thing.name);                         // volumes have no id
  if (whose.cut_short && thing.kind == ThingKind::volume && answer.empty()) return thing.name;  // null or {}
  if (Owner::from_label(value_of(labels, "bottle.owner"))) return std::nullopt;  // it belongs to another session
  return fail(Code::conflict, "it does not carry the labels of session " + whose.session + " and was left alone",
              "if it is yours, remove it with the engine's own command");
}

Result<> remove_own(docker::Engine& engine, const Belongings& whose, const Thing& thing) {
  if (thing.kind == ThingKind::ssh_agent) return end_agent(thing.name);
  auto id = TRY(find_own(engine, whose, thing));
  if (!id) return {};
  switch (thing.kind) {
    case ThingKind::container:
      return engine.remove_container(*id);
    case ThingKind::network:
      return engine.remove_network(*id);
    case ThingKind::volume:
      return engine.remove_volume(*id);
    case ThingKind::image:
      return engine.remove_image(*id);
    case ThingKind::ssh_agent:
      break;
  }
  return {};
}

wire::Receipt tear_down(docker::Engine& engine, const Belongings& what) {
  wire::Receipt receipt;
  receipt.session = what.session;
  bool silent = false;
  // Containers are removed first, because they use the networks, volumes and images. A meter comes before the agent's
  // container: the engine keeps a volume that the agent's image declares if a meter still mounts it, and no ledger
  // names such a volume.
  const std::string meter = Names(what.session).meter;
  auto stage_of = [&](const Thing& thing) {
    return thing.kind != ThingKind::container ? 2 : thing.name == meter ? 0 : 1;
  };
  for (int stage : {0, 1, 2}) {
    std::vector<std::pair<std::string, std::future<Result<>>>> removals;
    // Things are removed in reverse order of their creation, and those of one stage in parallel.
    for (auto it = what.things.rbegin(); it != what.things.rend(); ++it) {
      if (stage_of(*it) != stage) continue;
      if (silent) {
        receipt.left.push_back(word_of(it->kind) + " " + it->name + ": the engine does not answer");
        continue;
      }
      removals.emplace_back(word_of(it->kind) + " " + it->name, std::async(std::launch::async, [&, thing = *it] {
                              return remove_own(engine, what, thing);
                            }));
    }
    for (auto& [name, removal] : removals) {
      auto done = removal.get();
      if (done) receipt.removed.push_back(name);
      else receipt.left.push_back(name + ": " + done.error().what);
      silent = silent || (!done && is_silence(done.error()));
    }
  }
  receipt.confirmed = receipt.left.empty() && confirmed_gone(engine, what);
  return receipt;
}

TornDown tear_down_for_good(docker::Engine& engine, const Belongings& what,
                            const std::vector<uint64_t>& create_connections) {
  using Clock = std::chrono::steady_clock;
  auto begin = Clock::now();
  // 0 stands for a connection that the kernel could not identify. Then there is no way to tell when the engine is
  // done.
  bool unknown = std::ranges::find(create_connections, 0u) != create_connections.end();
  std::vector<std::string> removed;
  for (;;) {
    // This check comes before the removal, so that the removal finds everything that finished requests have made.
    bool under_way = std::ranges::any_of(create_connections, [&](uint64_t end) { return engine.is_abandoned(end); });
    TornDown gone{.receipt = tear_down(engine, what), .may_reappear = under_way || unknown};
    // Later rounds find nothing, but still count each thing as removed.
    if (removed.empty()) removed = gone.receipt.removed;
    gone.receipt.removed = removed;
    if (!gone.may_reappear || Clock::now() - begin > std::chrono::seconds(under_way ? 60 : 2)) return gone;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

TornDown tear_down_except_work(docker::Engine& engine, Belongings what, const std::string& about,
                               const std::vector<uint64_t>& asked) {
  std::string agent = Names(what.session).agent;
  // The volumes belong to the work as well: the container mounts them.
  std::erase_if(what.things,
                [&](const Thing& thing) { return thing.kind == ThingKind::volume || thing.name == agent; });
  TornDown gone = tear_down_for_good(engine, what, asked);
  gone.receipt.left.push_back("container " + agent + ": " + about);
  // The engine may say that nothing is left, because something else removed the container. Only a later sweep finds out
  // whether the work is lost.
  gone.receipt.confirmed = false;
  return gone;
}

}  // namespace bottle::session
