// A dead session is found by its ledger alone: its owner is no longer alive. Several commands may find it at the same
// time, and its owner may even have written to the ledger after we read it. The sweep therefore locks the ledger,
// checks that the locked file is still the one with that name, and reads it again before it does anything.
//
// For one session, the sweep stops the agent and brings its work home, notes that it is home, removes the things, and
// removes the ledger last. If this process dies in between, the next sweep repeats from the step that was not noted.
// The ledger stays until the engine has confirmed that nothing is left. If something may still appear later, it then
// moves to `graves`, where later sweeps look again.
#include "session/sweep/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <set>

#include "base/defer.h"
#include "base/files/durable.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/files/own_file.h"
#include "base/os/deadline.h"
#include "base/text/path_parts.h"
#include "base/unique_fd.h"
#include "session/audit/audit_file.h"
#include "session/collect/collect.h"
#include "session/collect/reach_work.h"
#include "session/collect/transcript.h"
#include "session/ledger/files.h"
#include "session/ledger/graves.h"
#include "session/ledger/info.h"
#include "session/ledger/names.h"
#include "session/ledger/results_owner.h"

namespace bottle::session {
namespace {

constexpr int kGraveSeconds = 60;             // in seconds; longer than a working engine needs for a request
constexpr int kForgottenSeconds = 7 * 86400;  // an engine that was silent at every visit for so long no longer exists
constexpr const char* kSilent = "/silent";    // in a grave: has the time at which its engine first did not answer

// Returns an error as one text, with the advice.
std::string explained(const Error& error) { return error.what + (error.todo.empty() ? "" : " (" + error.todo + ")"); }

// Returns the names in a directory of ledgers. If it cannot be read, reports that as a session that is refused.
std::vector<std::string> ledgers_in(const std::string& directory, std::vector<Orphan>& orphans) {
  auto names = names_in(directory);
  if (names) return std::move(*names);
  orphans.push_back(
      {.session = {}, .view = std::unexpected(std::move(names.error()).during("what is left of sessions is unknown"))});
  return {};
}

// Returns the age in seconds. A file that does not exist, or that is from the future, has age 0, so nothing is removed
// because of it.
time_t age_of(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? std::max<time_t>(::time(nullptr) - st.st_mtime, 0) : 0;
}

// Returns what to say about work that no container and no volume has any more. Returns nullopt if the agent has not
// worked, or if its work came home earlier.
std::optional<wire::WorkResult> account_of_lost_work(const Orphan& orphan, const std::string& results) {
  auto earlier = read_result(results);
  if (!orphan.view->worked() || (earlier && earlier->back && !earlier->back->held)) return std::nullopt;
  Names names(orphan.session);
  std::string said = "The work is lost, because something else removed the container " + names.agent +
                     " and the volume " + names.work + ", which had it.";
  return wire::WorkResult{.text = said, .error = said};
}

// Brings the work home as the supervisor would have done. Returns nothing if there is no work. Adds to
// `create_connections` the connection over which a container is requested, if one is needed.
std::optional<wire::WorkResult> bring_home(docker::Engine& engine, const Orphan& orphan, LedgerFile& ledger,
                                           Retry retry, std::vector<uint64_t>& create_connections) {
  const Work& work = *orphan.view->work;
  // An attempt may write gigabytes before it fails.
  if (retry == Retry::if_room)
    if (auto why = lack_of_room(orphan.directory, work.results)) return held_result(orphan.session, *why);
  auto note = [&](uint64_t end) -> Result<> {
    create_connections.push_back(end);
    // Without the record, a later sweep would not wait for what the request makes, so the request is not sent.
    return ledger.append({.asked = end}, LedgerFile::Flush::yes);
  };
  auto there = reach_work(engine, belongings_of(orphan.session, *orphan.view), orphan.directory, work.workdir, note);
  // The engine did not answer or could not show the work, so there may still be some.
  if (!there) return wire::WorkResult{.error = there.error().what, .held = true};
  if (!*there) {
    auto lost = account_of_lost_work(orphan, work.results);
    auto gone = check_gone(engine, *orphan.view, orphan.directory, AdviceFor::this_machine);
    return !lost || gone ? lost : wire::WorkResult{.error = explained(gone.error()), .held = true};
  }
  // What an agent that runs writes after its work was collected would be lost.
  if (auto stopped = stop_container_with_work(engine, **there); !stopped)
    return held_result(orphan.session, "the agent may still be running: " + stopped.error().what);
  return collect(engine, orphan.session, work, orphan.directory, [](const std::string&) {});
}

// Returns what a receipt says about the container of work that is held. If the work was not found, `text` is empty, and
// the container may not exist.
std::string about_held(const wire::WorkResult& back) {
  return (back.text.empty() ? "its work is not home: " : "it holds the work: ") + back.error;
}

// Writes the result that the dead supervisor could not write, or completes the one that it has written.
Result<> complete_result(const std::string& results, const Orphan& orphan, const std::optional<wire::WorkResult>& back,
                         const wire::Receipt& receipt) {
  std::string record = results + "/" + kAudit;
  // A supervisor writes what came home before it removes anything. If it could not bring the work home, it wrote a
  // result without that.
  auto earlier = read_result(results);
  bool before = earlier || earlier.error().code != Code::not_found;
  bool is_unfinished = earlier && !earlier->receipt.confirmed;
  if (!back && !is_unfinished) {
    // Even without a result, the record must not look as if its end was cut off.
    if (!before) (void)seals_after_death(record, {});
    return {};
  }
  auto result = earlier.value_or(wire::SessionResult{
      .session = orphan.session, .exit = orphan.view->exit.value_or(125), .what = before ? "" : kSupervisorDied});
  if (back) result.back = back;
  result.receipt = receipt;
  result.audit = seals_after_death(record, std::move(result.audit));
  return write_result(results, result);
}

// Saves the transcript of an agent whose work does not have to come home, as its supervisor would have done. Returns
// the account of it, or nothing if the agent did not work or the engine cannot show its container. No failure stops the
// teardown, because only work is essential.
std::optional<wire::WorkResult> keep_transcript_alone(docker::Engine& engine, const Orphan& orphan,
                                                      const std::string& results) {
  if (!orphan.view->worked() || orphan.view->home) return std::nullopt;
  Belongings whose = belongings_of(orphan.session, *orphan.view);
  auto container = find_own(engine, whose, {ThingKind::container, Names(orphan.session).agent});
  if (!container) return std::nullopt;
  if (*container) {
    (void)stop_container_with_work(engine, **container);  // so that the transcript is whole
    save_transcript(engine, **container, results);
  }
  return wire::WorkResult();
}

// Ends one dead session in the order of a regular end: the work comes home before anything that holds it is removed.
void sweep_one(const Directories& directories, const Orphan& orphan, docker::Engine& engine, LedgerFile ledger,
               Retry retry, Swept& swept) {
  Belongings what = belongings_of(orphan.session, *orphan.view);
  std::vector<uint64_t> create_connections = orphan.view->create_connections;
  std::string results = directories.results_of(orphan.session);
  if (orphan.view->work) {
    swept.back = bring_home(engine, orphan, ledger, retry, create_connections);
    // The result must be saved first: once the work counts as home, no later sweep can tell what came home.
    if (swept.back && !swept.back->held)
      if (auto saved = complete_result(results, orphan, swept.back, {.session = orphan.session}); !saved)
        mark_held(*swept.back, orphan.session, saved.error());
    // Everything except the work is removed now. The ledger stays, so the next sweep tries again.
    if (swept.back && swept.back->held) {
      swept.receipt = tear_down_except_work(engine, std::move(what), about_held(*swept.back)).receipt;
      return;
    }
    // If this process dies during the teardown, the next sweep does not collect again from what is left. Without this
    // record, it finds in the result that the work is home.
    (void)ledger.append({.home = true}, LedgerFile::Flush::yes);
  } else if (auto back = keep_transcript_alone(engine, orphan, results)) {
    if (complete_result(results, orphan, back, {.session = orphan.session}))
      (void)ledger.append({.home = true}, LedgerFile::Flush::yes);
  }
  TornDown gone = tear_down_for_good(engine, what, create_connections);
  swept.receipt = gone.receipt;
  (void)complete_result(results, orphan, swept.back, gone.receipt);
  // The agent may never have run. A new session may have the name as soon as the ledger is gone.
  remove_unused_results(results);
  if (gone.receipt.confirmed) forget(directories, orphan.directory, gone, std::move(ledger));
}

// Connects to the engine of a dead session. Fails also if the engine is there without the data that it had.
Result<std::unique_ptr<docker::Engine>> engine_of(const Orphan& orphan, const docker::Connect& connect) {
  auto engine = TRY(reach_engine(*orphan.view, orphan.directory, connect, AdviceFor::this_machine));
  TRY(check_has_data(*engine, orphan.session, *orphan.view, orphan.directory, AdviceFor::this_machine));
  return engine;
}

// Looks again for things of a session that was swept without certainty that everything was found. Returns true if
// there was more.
bool visit_grave(const Orphan& orphan, docker::Engine& engine, LedgerFile ledger, wire::Receipt& receipt) {
  ::unlink((orphan.directory + kSilent).c_str());
  // The age is read before the engine is asked: a grave may go only if it was old enough when nothing was found.
  bool due = age_of(orphan.directory + "/" + kLedger) > kGraveSeconds;
  Belongings what = belongings_of(orphan.session, *orphan.view);
  bool anything = false;
  for (const auto& thing : what.things) {
    if (thing.kind == ThingKind::ssh_agent) continue;  // its socket was removed before the grave existed
    auto id = find_own(engine, what, thing);
    // The engine does not answer. A conflict is different: it means that the name now belongs to something that is
    // not ours.
    if (!id && id.error().code != Code::conflict) return false;
    anything = anything || (id && *id);
  }
  if (anything) receipt = tear_down(engine, what);
  if (due && (!anything || receipt.confirmed)) remove_session_directory(orphan.directory, std::move(ledger));
  return anything;
}

// Removes a grave whose engine has not answered for a week. Its age alone says nothing, because no command may have
// looked since.
void leave_grave(const std::string& grave, LedgerFile ledger) {
  std::string silent = grave + kSilent;
  UniqueFd since(::open(silent.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!since && age_of(silent) > kForgottenSeconds) remove_session_directory(grave, std::move(ledger));
}

// Removes a directory with a temporary name if the start that made it is dead.
void remove_if_dead(const std::string& directory) {
  auto opened = open_own_directory(directory);
  auto text = opened ? read_own_file(*opened, directory, kLedger, 1 << 16) : fail(Code::not_found, "");
  // A ledger that cannot be read now may belong to a start that is still alive.
  if (!text && text.error().code != Code::not_found) return;
  auto first = then(text, [](const auto& lines) {
    return wire::decode<LedgerRecord>(lines.substr(0, lines.find('\n')), wire::From::ours);
  });
  auto owner = Owner::from_label(first ? first->owner.value_or("") : "");
  if (opened && (owner ? owner->is_gone() : age_of(directory) > kGraveSeconds))
    remove_session_directory(directory, std::nullopt);
}

// Reads the ledger again, now that it is locked. Its owner may have written to it after it was read and before it
// was found dead, another sweep may have brought the work home and kept the ledger, and a new session may have the
// name by now.
std::optional<Orphan> as_it_is_now(const Directories& directories, const Orphan& found) {
  auto view = found.from == Orphan::From::session ? read_ledger(directories, found.session)
                                                  : read_grave(directories, std::string(name_in(found.directory)));
  if (!view || !view->owner.is_gone() || view->machine)
    return std::nullopt;  // the next sweep reports a ledger with a fault
  return Orphan{.session = found.session, .from = found.from, .directory = found.directory, .view = std::move(view)};
}

// Removes everything in an open directory. Does not follow links.
void empty(UniqueFd directory) {
  DIR* open = ::fdopendir(directory.get());
  if (!open) return;
  Defer close([&] { ::closedir(open); });
  int fd = directory.release();  // closedir() closes it
  for (auto entry = next_entry(open, ""); entry && *entry; entry = next_entry(open, "")) {
    const char* name = (*entry)->d_name;
    if (::unlinkat(fd, name, 0) == 0) continue;
    if (UniqueFd below(::openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)); below)
      empty(std::move(below));
    ::unlinkat(fd, name, AT_REMOVEDIR);
  }
}

// Removes the directory of a session that has no ledger. By now, another process may have removed it, and a new session
// may have its name. That one has a ledger from the start. So only what is below the open directory is removed.
void remove_without_ledger(UniqueFd open_directory, const std::string& directory) {
  if (::faccessat(open_directory.get(), kLedger, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT) return;
  empty(std::move(open_directory));
  ::rmdir(directory.c_str());  // fails for a session
}

// Handles a session whose ledger could not be read. If there is no ledger, nothing was made or everything was removed,
// and the directory is removed. A ledger that is not accepted, or cannot be read now, stays.
std::optional<Orphan> without_view(const std::string& session, const std::string& directory, const Error& error) {
  // open_own_directory() checks that no other user can have put this directory there.
  if (auto opened = open_own_directory(directory); error.code == Code::not_found && opened)
    remove_without_ledger(std::move(*opened), directory);
  if (error.code == Code::not_found) return std::nullopt;
  return Orphan{.session = session, .view = std::unexpected(error)};
}

// Finds sessions whose owner is dead. A ledger that cannot be trusted becomes an orphan that is only reported.
void find_dead(const Directories& directories, std::set<std::string>& known, std::vector<Orphan>& orphans) {
  for (const auto& name : ledgers_in(directories.sessions, orphans)) {
    std::string directory = directories.session(name);
    if (name.starts_with(kUnfinished)) remove_if_dead(directory);
    if (name.starts_with(".")) continue;
    known.insert(name);
    auto view = read_ledger(directories, name);
    if (!view) {
      if (auto orphan = without_view(name, directory, view.error())) orphans.push_back(std::move(*orphan));
      continue;
    }
    if (!view->owner.is_gone()) continue;
    if (view->machine) continue;  // its agent may still run on the remote machine; attach and cleanup handle it
    orphans.push_back({.session = name, .directory = directory, .view = std::move(view)});
  }
}

// Finds graves, which are the ledgers of sessions that have ended but whose last create requests could not be
// confirmed.
void find_graves(const Directories& directories, const std::set<std::string>& known, std::vector<Orphan>& orphans) {
  for (const auto& name : ledgers_in(graves_in(directories), orphans)) {
    std::string grave = graves_in(directories) + "/" + name;
    if (name.starts_with(kUnfinished)) remove_if_dead(grave);
    if (name.starts_with(".")) continue;
    auto view = read_grave(directories, name);
    if (!view) {
      if (auto orphan = without_view(name, grave, view.error())) orphans.push_back(std::move(*orphan));
      continue;
    }
    if (!view->owner.is_gone()) continue;  // a runtime is being tried
    std::string session = session_of_grave(name);
    // The things of a session that has the name now look like those in the grave.
    if (!known.contains(session))
      orphans.push_back({.session = session, .from = Orphan::From::grave, .directory = grave, .view = std::move(view)});
  }
}

}  // namespace

std::vector<Orphan> find_orphans(const Directories& directories) {
  std::vector<Orphan> orphans;
  std::set<std::string> known;
  find_dead(directories, known, orphans);
  find_graves(directories, known, orphans);
  return orphans;
}

std::vector<Swept> sweep(const Directories& directories, const std::vector<Orphan>& orphans,
                         const docker::Connect& connect, std::chrono::milliseconds patience, Retry retry) {
  std::vector<Swept> all;
  auto left = [&](const Orphan& orphan, const std::string& why) {
    all.push_back({.receipt = {.session = orphan.session, .left = {why}}});
  };
  for (const auto& found : orphans) {
    if (!found.view) {
      left(found, found.view.error().what);
      continue;
    }
    auto ledger = LedgerFile::take(found.directory, Deadline::in(patience));
    if (!ledger && ledger.error().code == Code::not_found) continue;  // another sweep has removed it
    bool is_busy = !ledger && ledger.error().code == Code::timed_out;
    if (is_busy && found.from == Orphan::From::grave) continue;  // another sweep looks at it
    if (!ledger) {
      left(found, "session " + found.session + ": " +
                      (is_busy ? "another command is bringing its work home; run `bottle cleanup` again later"
                               : explained(ledger.error())));
      continue;
    }
    auto orphan = as_it_is_now(directories, found);
    if (!orphan) continue;
    // The owner died before the ledger named anything, so nothing was made.
    if (orphan->view->things.empty()) {
      remove_unused_results(directories.results_of(orphan->session));  // while the name is not free yet
      remove_session_directory(found.directory, *std::move(ledger));
      continue;
    }
    // Each session may have used another engine.
    auto engine = engine_of(*orphan, connect);
    Swept swept;
    swept.receipt.session = orphan->session;
    if (orphan->from == Orphan::From::grave) {
      if (!engine) leave_grave(found.directory, *std::move(ledger));
      else if (visit_grave(*orphan, **engine, *std::move(ledger), swept.receipt)) all.push_back(std::move(swept));
      continue;
    }
    if (!engine) swept.receipt.left.push_back("session " + orphan->session + ": " + explained(engine.error()));
    else sweep_one(directories, *orphan, **engine, *std::move(ledger), retry, swept);
    all.push_back(std::move(swept));
  }
  return all;
}

void forget(const Directories& directories, const std::string& directory, const TornDown& gone,
            std::optional<LedgerFile> ledger) {
  // Something may still appear, so the record of what to look for is kept, without the rest of the directory.
  if (gone.may_reappear) {
    (void)remove_all_but_ledger(directory);
    // If this fails, the next sweep finds the ledger where it is, and tries again.
    (void)bury(directories, gone.receipt.session, directory);
    return;
  }
  remove_session_directory(directory, std::move(ledger));
}

}  // namespace bottle::session
