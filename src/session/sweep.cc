#include "session/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/unique_fd.h"
#include "session/collect.h"
#include "session/ledger/names.h"

namespace bottle::session {
namespace {

using nlohmann::json;

constexpr int kGraveSeconds = 60;             // longer than an engine that answers takes over a request
constexpr int kForgottenSeconds = 7 * 86400;  // an engine that has not answered for so long is gone itself

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(directory.c_str())) {
    while (dirent* entry = ::readdir(dir))
      if (std::string name = entry->d_name; name != "." && name != "..") names.push_back(name);
    ::closedir(dir);
  }
  return names;
}

void empty_but_ledger(const std::string& directory) {
  for (const auto& name : names_in(directory))
    if (std::error_code ignored; name != "ledger") std::filesystem::remove_all(directory + "/" + name, ignored);
}

std::string graves(const Directories& directories) {
  return directories.sessions.substr(0, directories.sessions.rfind('/')) + "/graves";
}

time_t age_of(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? std::max<time_t>(::time(nullptr) - st.st_mtime, 0) : 0;
}

bool is_ours(const std::string& directory) {
  struct stat st{};
  return ::lstat(directory.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == ::getuid();
}

std::string key_of(const json& item, const std::string& kind) {
  if (kind != "containers") return item.value("Name", "");
  auto names = item.value("Names", json::array());
  std::string name = names.empty() ? item.value("Id", "") : names[0].get<std::string>();
  return name.starts_with("/") ? name.substr(1) : name;
}

// One sweeper an orphan. False: somebody else has swept it meanwhile, or is at it for over a minute.
class Turn {
 public:
  explicit Turn(const std::string& directory) {
    std::string path = directory + "/ledger";
    fd_.reset(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
    for (int i = 0; fd_ && i < 600; ++i) {
      if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) {
        struct stat locked{}, named{};
        mine_ = ::fstat(fd_.get(), &locked) == 0 && ::stat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  bool mine() const { return mine_; }
  void note(const json& record) { (void)write_all(fd_.get(), record.dump() + "\n"), (void)::fsync(fd_.get()); }

 private:
  UniqueFd fd_;
  bool mine_ = false;
};

// As teardown would have done, had the supervisor lived. Null: there is nothing to bring.
json bring_home(docker::Engine& engine, const Orphan& orphan) {
  std::string agent = Names(orphan.session).agent;
  auto there = engine.inspect_container(agent);
  if (!there && there.error().code == Code::not_found) return nullptr;
  if (!there) return {{"error", there.error().what}, {"held", true}};
  (void)engine.stop_container(agent, 3);
  return collect(engine, orphan.session, *orphan.work, orphan.directory, [](const std::string&) {});
}

void write_result(const Orphan& orphan, const json& back, const Receipt& receipt) {
  if (back.is_null()) return;
  std::string path = orphan.work->results + "/result.json";
  auto before = read_file(path);  // a supervisor that could not bring the work home has said the rest
  json result = before ? json::parse(*before, nullptr, false) : json::object();
  if (!result.is_object()) result = json::object();
  result["session"] = orphan.session;
  if (!before) result["what"] = kSupervisorDied;
  if (!result.contains("exit")) result["exit"] = orphan.exit.value_or(125);
  result["back"] = back;
  result["receipt"] = to_json(receipt);
  (void)write_file_atomically(path, result.dump(2) + "\n");
}

void sweep_one(const Directories& directories, const Orphan& orphan, docker::Engine& engine, Turn& turn, Swept& swept) {
  std::vector<Thing> things = orphan.things;
  if (orphan.work) {
    swept.back = bring_home(engine, orphan);
    if (swept.back.is_object() && swept.back.value("held", false)) {
      // The agent's container and its volumes stay; they are all that is left of the work.
      std::erase_if(things, [&](const Thing& thing) {
        return thing.kind == "volume" || thing.name == Names(orphan.session).agent;
      });
      swept.receipt = tear_down(engine, orphan.session, things);
      swept.receipt.left.push_back("container " + Names(orphan.session).agent +
                                   ": it holds work that could not be brought home: " + swept.back.value("error", ""));
      swept.receipt.confirmed = false;
      return;
    }
    turn.note({{"home", true}});
  }
  swept.receipt = tear_down_for_good(engine, orphan.session, things, orphan.asked);
  if (orphan.work) write_result(orphan, swept.back, swept.receipt);
  if (orphan.directory.empty()) return;
  if (swept.receipt.confirmed) forget(directories, orphan.directory, swept.receipt);
  ::rmdir((directories.results + "/" + orphan.session).c_str());  // of a start that never ran: empty
}

// Somebody swept it before and could not know whether that was all. True: there was something.
bool visit_grave(const Orphan& orphan, docker::Engine& engine, Receipt& receipt) {
  bool due = age_of(orphan.grave + "/ledger") > kGraveSeconds;
  bool anything = false;
  for (const char* kind : {"containers", "networks", "volumes"}) {
    auto left = engine.list_by_label(kind, "bottle.session=" + orphan.session);
    if (!left) return false;
    anything = anything || !left->empty();
  }
  if (anything) receipt = tear_down(engine, orphan.session, orphan.things);
  if (due && (!anything || receipt.confirmed)) remove_session_directory(orphan.grave);
  return anything;
}

}  // namespace

void remove_session_directory(const std::string& directory) {
  empty_but_ledger(directory);
  ::unlink((directory + "/ledger").c_str());
  ::rmdir(directory.c_str());
}

Result<std::vector<Orphan>> find_orphans(const Directories& directories, docker::Engine* engine) {
  std::vector<Orphan> orphans;
  std::set<std::string> known;
  for (const auto& name : names_in(directories.sessions)) {
    std::string directory = directories.sessions + "/" + name;
    auto view = read_ledger(directory);
    if (name.starts_with(kUnborn)) {
      bool has_owner = view && view->owner.pid != 0;
      if (has_owner ? !view->owner.alive() : age_of(directory) > kGraveSeconds) remove_session_directory(directory);
      continue;
    }
    if (name.starts_with(".")) continue;
    known.insert(name);
    if (view && view->owner.alive()) continue;
    if (view && view->remote.is_object()) continue;  // its agent may go on there: attach and cleanup see to it
    // Without a ledger nothing was made, or all is gone and the ledger with it.
    if (!view) remove_session_directory(directory);
    else orphans.push_back({name, view->things, view->engine, directory, view->asked, view->work, view->exit, ""});
  }
  for (const auto& name : names_in(graves(directories))) {
    std::string grave = graves(directories) + "/" + name;
    auto view = read_ledger(grave);
    if (!view || age_of(grave + "/ledger") > kForgottenSeconds) remove_session_directory(grave);
    else if (known.insert(name).second) orphans.push_back({name, view->things, view->engine, "", {}, {}, {}, grave});
  }
  if (!engine) return orphans;
  std::map<std::string, Orphan> by_label;
  for (const std::string kind : {"containers", "networks", "volumes"}) {
    for (const auto& item : TRY(engine->list_by_label(kind, "bottle.session"))) {
      auto labels = item.value("Labels", json::object());
      std::string session = labels.value("bottle.session", "");
      if (known.contains(session)) continue;
      auto owner = Owner::from_label(labels.value("bottle.owner", ""));
      if (!owner || owner->uid != ::getuid() || owner->alive()) continue;
      auto& orphan = by_label[session];
      orphan.session = session;
      orphan.engine = engine->socket();
      if (!orphan.directory.empty()) continue;
      orphan.things.push_back({kind.substr(0, kind.size() - 1), key_of(item, kind)});
      // A ledger under another state directory of ours: it knows what there is to bring home.
      std::string directory = labels.value("bottle.ledger", "");
      if (!directory.starts_with('/') || !directory.ends_with("/" + session) || !is_ours(directory)) continue;
      if (auto view = read_ledger(directory); view && view->owner.to_label() == owner->to_label()) {
        orphan.directory = directory;
        orphan.things = view->things;
        orphan.asked = view->asked;
        orphan.work = view->work;
        orphan.exit = view->exit;
      }
    }
  }
  for (auto& [session, orphan] : by_label) orphans.push_back(std::move(orphan));
  return orphans;
}

std::vector<Swept> sweep(const Directories& directories, const std::vector<Orphan>& orphans) {
  std::vector<Swept> all;
  for (const auto& orphan : orphans) {
    std::string where = orphan.grave.empty() ? orphan.directory : orphan.grave;
    Turn turn(where);
    if (!where.empty() && !turn.mine()) continue;
    if (orphan.things.empty()) {
      remove_session_directory(where);
      ::rmdir((directories.results + "/" + orphan.session).c_str());
      continue;
    }
    auto engine = docker::Engine::connect({orphan.engine, "the session's ledger"});
    Swept swept;
    swept.receipt.session = orphan.session;
    if (!orphan.grave.empty()) {
      if (engine && visit_grave(orphan, *engine, swept.receipt)) all.push_back(std::move(swept));
      continue;
    }
    if (!engine) swept.receipt.left.push_back("session " + orphan.session + ": " + engine.error().what);
    else sweep_one(directories, orphan, *engine, turn, swept);
    all.push_back(std::move(swept));
  }
  return all;
}

void forget(const Directories& directories, const std::string& directory, const Receipt& receipt) {
  if (!receipt.final) {
    empty_but_ledger(directory);
    std::string grave = graves(directories) + "/" + receipt.session;
    if (make_directories(graves(directories)) && std::rename(directory.c_str(), grave.c_str()) == 0) {
      ::utimensat(AT_FDCWD, (grave + "/ledger").c_str(), nullptr, 0);
      return;
    }
  }
  remove_session_directory(directory);
}

}  // namespace bottle::session
