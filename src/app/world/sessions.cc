// There is no list of sessions, and no daemon that would keep one. Each session is a directory with a ledger, and it
// runs if the process that owns it is alive. A session may end between any two of these checks, so it is not an error
// if a directory has just disappeared.
#include "app/world/sessions.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "app/world/world.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/poller.h"
#include "base/unique_fd.h"
#include "git/refs.h"
#include "machine/vm.h"
#include "session/console/client.h"
#include "session/ledger/files.h"

namespace bottle::app {

using wire::SessionState;

Result<> check_session_name(const std::string& name) {
  if (is_session_name(name)) return {};
  return fail(Code::invalid, "'" + name + "' is not a session's name",
              "a session's name consists of at most 40 of a-z, 0-9 and -, and does not begin with -");
}

Result<std::vector<std::string>> shown_in(const std::string& directory) {
  auto names = names_in(directory);
  if (names) std::erase_if(*names, [](const std::string& name) { return name.starts_with('.'); });
  return names;
}

// A name counts even if the supervisor of that session is dead; what is asked of the session then says so. Without a
// name, such sessions must not make the choice unclear.
Result<std::string> running_session(const std::string& wanted) {
  if (!wanted.empty()) {
    TRY(check_session_name(wanted));
    auto names = TRY(shown_in(directories().sessions));
    std::erase_if(names, [](const std::string& name) { return !runs_now(name); });
    if (runs_now(wanted)) return wanted;
    if (std::string results = directories().results_of(wanted); ::access(results.c_str(), F_OK) == 0)
      return fail(Code::not_found, "session " + wanted + " has ended",
                  "`bottle logs " + wanted + "` shows how; `bottle diff " + wanted + "` shows what it changed");
    return fail(Code::not_found, "there is no session '" + wanted + "'",
                names.empty() ? "there are no sessions" : manifest::suggest(wanted, names));
  }
  std::vector<std::string> running, others;
  for (const auto& info : TRY(sessions())) (runs(info) ? running : others).push_back(info.session);
  if (running.size() == 1) return running[0];
  if (running.size() > 1)
    return fail(Code::invalid, "more than one session is running", "name " + manifest::suggest("", running));
  if (others.size() == 1) return others[0];
  if (others.empty()) return fail(Code::not_found, "no session is running", "run `bottle start AGENT` to start one");
  return fail(Code::not_found, "no session is running, but there is something left of sessions that ended",
              "`bottle list` shows their states; name " + manifest::suggest("", others));
}

Result<std::string> session_with_results(const std::string& wanted, Of of) {
  std::string directory = directories().results;
  auto names = TRY(shown_in(directory));
  if (!wanted.empty()) {
    TRY(check_session_name(wanted));
    if (std::ranges::find(names, wanted) == names.end()) return no_results(wanted);
    return wanted;
  }
  std::string newest;
  timespec when{};
  for (const auto& name : names) {
    struct stat s{};
    if (of == Of::ended && runs_now(name)) continue;
    if (::stat((directory + "/" + name).c_str(), &s) != 0) continue;
    if (newest.empty() || s.st_mtim.tv_sec > when.tv_sec ||
        (s.st_mtim.tv_sec == when.tv_sec && s.st_mtim.tv_nsec > when.tv_nsec)) {
      newest = name;
      when = s.st_mtim;
    }
  }
  if (newest.empty())
    return fail(Code::not_found, "no session has ended yet", "`bottle list` shows the running sessions");
  return newest;
}

bool runs_now(const std::string& session) {
  struct stat s{};
  // A directory without a ledger is what a session leaves that was killed while it removed itself, or whose ledger was
  // still open on NFS. If the ledger cannot be looked at, the session may run.
  std::string ledger = directories().session(session) + "/" + session::kLedger;
  return is_session_name(session) && (::lstat(ledger.c_str(), &s) == 0 || errno != ENOENT);
}

// A running session, which has no results yet, gets another message than a wrong name.
std::unexpected<Error> no_results(const std::string& session) {
  if (runs_now(session))
    return fail(Code::not_found, "session " + session + " has no results yet", "`bottle list` shows its state");
  auto listed = shown_in(directories().results);
  if (!listed) return std::unexpected(std::move(listed.error()));
  const auto& ended = *listed;
  return fail(Code::not_found, "there are no results of session " + session,
              ended.empty() ? "no session has ended yet" : manifest::suggest(session, ended));
}

Result<session::LedgerView> ledger_of(const std::string& session) {
  auto view = session::read_ledger(directories(), session);
  if (!view && view.error().code == Code::not_found)
    return fail(Code::not_found, "there is no session " + session, "`bottle list --all` shows the sessions");
  return view;
}

Result<UniqueFd> connect_to_supervisor(const std::string& session, const session::LedgerView& view) {
  if (view.owner.is_gone())
    return fail(
        Code::not_found, "the supervisor of session " + session + " is dead",
        view.machine ? "run `bottle attach " + session + "`, which starts another one" : "run `bottle cleanup`");
  auto connected = session::connect_to(directories().session(session) + "/" + session::kSocket);
  if (!connected)
    return fail(connected.error().code, "session " + session + " is starting or ending: " + connected.error().what,
                "`bottle list` shows its state; try again if it runs");
  return connected;
}

Result<> ask_supervisor(const std::string& session, wire::FrameType type, std::string_view bytes, const Error& late,
                        const std::function<bool(const wire::Frame&)>& take) {
  UniqueFd fd = TRY(connect_to_supervisor(session, TRY(ledger_of(session))));
  TRY(wire::send_frame(fd.get(), type, bytes));
  wire::FrameReader reader;
  auto deadline = Deadline::in(std::chrono::seconds(20));
  while (wait_readable(fd.get(), deadline)) {
    auto frames = reader.read(fd.get());
    if (!frames)
      return fail(Code::closed, "session " + session + " ended before it answered",
                  "`bottle logs " + session + "` shows how it ended");
    // Events for all clients come over the same connection, so frames that are not the answer are expected.
    for (const auto& frame : *frames)
      if (take(frame)) return {};
  }
  return std::unexpected(late);
}

Result<std::string> new_session(const std::string& name, const std::string& workspace) {
  constexpr size_t kLongest = 32;  // the name is part of a socket's path
  // No cloud allows a - at the end of a label or of a machine's name.
  if (name.size() > kLongest || !is_session_name(name) || name.ends_with('-'))
    return fail(Code::invalid, "'" + name + "' is not a valid name for a session",
                "use up to " + std::to_string(kLongest) + " of a-z, 0-9 and -, and do not begin or end with -");
  auto d = directories();
  struct stat s{};
  if (runs_now(name))
    return fail(Code::conflict, "session " + name + " already exists",
                "choose another --name; `bottle list` shows this session");
  if (std::string results = d.results_of(name); ::lstat(results.c_str(), &s) == 0)
    return fail(Code::conflict, "session " + name + " existed before, and its results are in " + results,
                "choose another name, or run `bottle discard " + name + "`");
  // A VM outlives its session if it is kept.
  if (std::string vm = machine::new_vm_name(name); machine::is_recorded(vm, d))
    return fail(Code::conflict, "VM " + vm + " of an earlier session of that name still exists",
                "choose another name, or run `bottle vm destroy " + vm + "`");
  // An earlier session of that name may have left refs although its results were removed.
  auto found = git::find(workspace);
  if (auto refs = found && *found ? git::read_refs(**found, "refs/bottle/" + name + "/") : Result<git::Refs>();
      refs && !refs->empty())
    return fail(Code::conflict, "session " + name + " existed before, and its work is on refs/bottle/" + name,
                "choose another name, or delete those refs");
  return name;
}

bool runs(const wire::SessionInfo& info) {
  return info.state == SessionState::starting || info.state == SessionState::running ||
         info.state == SessionState::unattended;
}

wire::SessionInfo info_of(const std::string& session) {
  auto text = read_file(directories().session(session) + "/" + session::kInfo, wire::SessionInfo::kMost);
  return text ? wire::decode<wire::SessionInfo>(*text, wire::From::ours).value_or(wire::SessionInfo())
              : wire::SessionInfo();
}

Result<std::vector<wire::SessionInfo>> sessions() {
  std::string directory = directories().sessions;
  std::vector<wire::SessionInfo> all;
  for (const auto& name : TRY(shown_in(directory))) {
    // The ledger is read before info.json, which does not say whether the session lives.
    auto view = session::read_ledger(directories(), name);
    if (!view && view.error().code == Code::not_found) continue;  // it has just ended; the ledger is removed last
    if (!view) {
      all.push_back({.session = name, .state = SessionState::refused});
      continue;
    }
    // The supervisor writes this file when the agent runs.
    auto info = info_of(name);
    info.session = name;
    // On a remote machine, the agent continues without an owner on this machine; `bottle attach` gives it a new one. Or
    // the session has ended, and its last owner recorded what is left.
    bool ended = info.state == SessionState::unfetched || info.state == SessionState::left_behind;
    bool owned = !view->owner.is_gone(), elsewhere = view->machine.has_value();
    if (!owned && !session::read_ledger(directories(), name)) continue;  // its owner has just ended it
    if (!owned && !(elsewhere && ended))
      info.state = elsewhere ? SessionState::unattended : view->work ? SessionState::held : SessionState::dead;
    all.push_back(std::move(info));
  }
  return all;
}

}  // namespace bottle::app
