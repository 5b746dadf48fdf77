// Moves the workspace of a session and what its agent made of it between the near side and this machine, and removes
// what this machine has of the session once the work has come home.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/deadline.h"
#include "base/os/poller.h"
#include "base/unique_fd.h"
#include "docker/engine.h"
#include "remote/far/verbs.h"
#include "session/collect/reach_work.h"
#include "session/console/client.h"
#include "session/ledger/files.h"
#include "session/ledger/ledger.h"
#include "session/ledger/ledger_file.h"
#include "session/ledger/names.h"
#include "session/ledger/results_owner.h"
#include "session/ledger/teardown.h"
#include "session/sweep/sweep.h"
#include "transfer/delivery.h"
#include "transfer/delta.h"
#include "wire/result.h"

namespace bottle::remote {

using session::are_results_of, transfer::DeliveryWriter, session::Names, transfer::apply_delta, session::connect_to,
    transfer::kHeld, session::LedgerFile, session::read_ledger, session::remove_results,
    session::remove_session_directory, session::tear_down;

namespace {

// Waits for the session's directory. It may not exist yet, because the job travels on another connection. A slow
// machine may take minutes for it. The near side closes this connection as soon as it learns that the session has
// failed.
Result<UniqueFd> await_session(const FarWorld& world, const SessionId& which) {
  std::string path = world.directories.session(which.name) + "/" + session::kDelivery;
  auto deadline = Deadline::in(std::chrono::minutes(10)), usual = Deadline::in(std::chrono::seconds(2));
  while (!deadline.is_over()) {
    if (is_hung_up(1)) return fail(Code::canceled, "the near side closed the connection");
    if (auto there = is_there(world, which); there && *there)
      if (auto connected = connect_to(path)) return std::move(*connected);
    std::this_thread::sleep_for(std::chrono::milliseconds(usual.is_over() ? 50 : 10));
  }
  return fail(Code::timed_out, "the session did not start");
}

// Says where the work is that is not among the results.
struct Whereabouts {
  std::unique_ptr<docker::Engine> engine;  // has it in a container; null if there is none
  bool is_gone = false;                    // there was work, and its engine does not have it any more
};

// Returns the engine that has the session's work, and makes sure that a container shows it and that the agent does not
// run. Fails if this cannot be known or done, in which case there may be some.
Result<Whereabouts> in_container(const FarWorld& world, const SessionId& which, const std::string& engine_id) {
  const std::string& session = which.name;
  auto view = read_ledger(world.directories, session);
  if (!view && view.error().code != Code::not_found) return std::unexpected(std::move(view.error()));
  if (!view || view->id != which.id) {
    // Results are complete, because the record is removed after them. Without them, nothing on this machine says that
    // there was no work.
    if (!TRY(are_results_of(world.directories.results_of(session), which.id)))
      TRY(check_engine_has_none(world, which, engine_id));
    return Whereabouts();
  }
  auto engine = engine_of(world, session, *view);
  auto found = [&]() -> Result<std::optional<std::string>> {
    if (!engine) return std::unexpected(engine.error());
    session::Belongings whose = session::belongings_of(session, *view);
    if (!view->work) return session::find_own(**engine, whose, {session::ThingKind::container, Names(session).agent});
    std::string directory = world.directories.session(session);
    return session::reach_work(**engine, whose, directory, view->work->workdir,
                               [&](uint64_t end) { return session::note_asked(directory, end); });
  };
  auto container = found();
  if (container && *container) {
    // If the supervisor died, its agent may still run. What the agent writes after the fetch would be lost.
    TRY(session::stop_container_with_work(**engine, **container));
    return Whereabouts{std::move(*engine)};
  }
  if (container && view->work)
    TRY(session::check_gone(**engine, *view, world.directories.session(session), session::AdviceFor::near_side));
  // The engine says that there is no container, or the ledger says that there was never any work.
  if (container || !view->work) return Whereabouts{nullptr, container && view->work};
  return std::unexpected(std::move(container.error()));
}

UniqueFd open_result(const std::string& results, const std::string& name) {
  return UniqueFd(::open((results + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
}

Result<> send(DeliveryWriter& writer, const std::string& name, int fd) {
  TRY(writer.begin(name));
  char buffer[256 << 10];
  while (size_t n = TRY(read_some(fd, buffer, "reading " + name))) TRY(writer.data({buffer, n}));
  return writer.end_archive();
}

// Sends one of the results. Returns whether it exists. Any error may hide work, which the near side would not fetch,
// but would let this machine forget.
Result<bool> send_result(DeliveryWriter& writer, const std::string& results, const std::string& name) {
  UniqueFd fd = open_result(results, name);
  if (!fd && errno == ENOENT) return false;
  if (!fd) return fail_errno("opening " + name);
  TRY(send(writer, name, fd.get()));
  return true;
}

// Sends the work of a session whose results have none: this machine's disk was full, or its engine did not answer, so
// that it is still in its container.
Result<> send_unsaved(DeliveryWriter& writer, const FarWorld& world, const SessionId& which,
                      const std::string& engine_id) {
  auto there = in_container(world, which, engine_id);
  if (!there) {  // the work may still exist, and the near side would discard it if told that there is none
    TRY(writer.begin(kHeld));
    TRY(writer.data(with_advice(there.error())));
    return writer.end_archive();
  }
  if (there->engine) {
    TRY(writer.begin(session::kArchive));
    TRY(there->engine->get_archive(Names(which.name).agent, "/workspace",
                                   [&](std::string_view bytes) { return writer.data(bytes); }));
    return writer.end_archive();
  }
  // Another process may have saved it since. Whoever does that removes the container and the record only when the
  // archive is among the results.
  std::string results = world.directories.results_of(which.name);
  bool saved = TRY(are_results_of(results, which.id)) && TRY(send_result(writer, results, session::kArchive));
  if (saved || !there->is_gone) return {};
  TRY(writer.begin(transfer::kGone));
  return writer.end_archive();
}

// Refuses to forget a session whose work only this machine has, and tells the near side so.
std::unexpected<Error> keep_unfetched(const std::string& session, const std::string& where) {
  (void)write_all(1, wire::encode(wire::Forgotten{.session = session, .forgotten = false}) + "\n");
  return fail(Code::conflict, "the work of session " + session + " was not fetched and is still " + where);
}

// Removes what a session has on its engine, and then its record. Returns nothing if another process has done that
// meanwhile.
Result<std::optional<wire::Receipt>> tear_down_recorded(const FarWorld& world, const SessionId& which, bool is_home) {
  const std::string& session = which.name;
  std::string directory = world.directories.session(session);
  // Without the lock, a sweep could remove the record meanwhile, and the name could belong to a new session by then.
  auto lock = LedgerFile::take(directory, Deadline::in(std::chrono::seconds(10)));
  if (!lock && lock.error().code == Code::not_found) return std::nullopt;
  if (!lock) return std::unexpected(std::move(lock.error()));
  auto view = TRY(read_ledger(world.directories, session));
  if (view.id != which.id) return std::nullopt;
  if (view.work && view.may_have_run() && !is_home) return keep_unfetched(session, "in its container");
  auto engine = TRY(engine_of(world, session, view));
  TRY(session::check_has_data(*engine, session, view, directory, session::AdviceFor::near_side));
  // This removes everything under the names that a session can have, not only what the ledger names: a supervisor may
  // have died at any point.
  wire::Receipt gone = tear_down(*engine, {session, view.owner, Names(session).things()});
  // Otherwise the ledger stays, so that a later sweep on this machine finds what is left.
  if (gone.confirmed) remove_session_directory(directory, *std::move(lock));
  return gone;
}

}  // namespace

Result<> deliver(const FarWorld& world, const SessionId& which) {
  UniqueFd socket;
  auto applied = apply_delta(0, world.directories.cache + "/sent", [&]() -> Result<DeliveryWriter> {
    socket = TRY(await_session(world, which));
    return DeliveryWriter([&](std::string_view bytes) { return write_all(socket.get(), bytes); });
  });
  // Nothing has reached the session yet, so the near side can send the delivery again as a whole.
  if (!applied && applied.error().code == Code::conflict && !socket) return write_all(1, "again\n");
  TRY(applied);
  // This ends the delivery. The session answers once it has unpacked everything.
  ::shutdown(socket.get(), SHUT_WR);
  char ok[3];
  if (::recv(socket.get(), ok, 3, MSG_WAITALL) != 3)
    return fail(Code::closed, "the session did not accept the delivery");
  return write_all(1, "ok\n");
}

Result<> fetch(const FarWorld& world, const SessionId& which, const std::string& engine_id) {
  const std::string& session = which.name;
  std::string directory = world.directories.results_of(session);
  bool is_own = TRY(are_results_of(directory, which.id));
  // Without results, the near side would conclude that the session has no work, and would forget it.
  if (!is_own && ::access(directory.c_str(), F_OK) == 0)
    return fail(Code::conflict, "the results of " + session + " belong to another session of that name");
  DeliveryWriter writer([](std::string_view bytes) { return write_all(1, bytes); });
  for (const char* name : {session::kResult, session::kAudit}) (void)TRY(send_result(writer, directory, name));
  if (!TRY(send_result(writer, directory, session::kArchive))) TRY(send_unsaved(writer, world, which, engine_id));
  // A transcript that cannot be read must not keep the work from coming home.
  for (const auto& name : names_in(directory + "/transcript").value_or(std::vector<std::string>()))
    if (UniqueFd fd = open_result(directory, "transcript/" + name)) TRY(send(writer, "transcript/" + name, fd.get()));
  return writer.finish();
}

Result<> checkpoint(const FarWorld& world, const SessionId& which, const std::string& known) {
  auto view = TRY(read_ledger(world.directories, which.name));
  if (view.id != which.id) return fail(Code::not_found, "there is no session " + which.name + " with this id");
  auto engine = TRY(engine_of(world, which.name, view));
  std::string container = Names(which.name).agent;
  auto each = [&](const docker::Engine::Writer& to) { return engine->get_archive(container, "/workspace", to); };
  // Reads the workspace twice: an engine's archive cannot be kept in memory, and most checkpoints find nothing new. If
  // the agent changes a file in between, the fingerprint is that of the older state, and the next checkpoint sends the
  // workspace again.
  Fingerprint before;
  TRY(each([&](std::string_view bytes) -> Result<> {
    before.feed(bytes);
    return {};
  }));
  DeliveryWriter writer([](std::string_view bytes) { return write_all(1, bytes); });
  TRY(writer.begin("fingerprint"));
  TRY(writer.data(before.text()));
  TRY(writer.end_archive());
  if (before.text() != known) {
    TRY(writer.begin(session::kArchive));
    TRY(each([&](std::string_view bytes) { return writer.data(bytes); }));
    TRY(writer.end_archive());
  }
  return writer.finish();
}

Result<> forget(const FarWorld& world, const SessionId& which, bool is_home) {
  const std::string& session = which.name;
  wire::Forgotten answer{.session = session};
  // The near side has ended the session, or given it up before its agent ran. Its supervisor may still be tearing it
  // down.
  for (auto deadline = Deadline::in(std::chrono::seconds(30)); TRY(find_supervisor(world, which));) {
    if (deadline.is_over()) return fail(Code::timed_out, "session " + session + " does not end");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  // Without a ledger, everything is gone, and the engine need not be asked.
  if (TRY(is_there(world, which))) answer.receipt = TRY(tear_down_recorded(world, which, is_home));
  // The results are removed last, because a near side can still fetch them if this command fails before that.
  std::string results = world.directories.results_of(session);
  if (TRY(are_results_of(results, which.id))) {
    // Its supervisor or a sweep has saved the work, and the container is gone.
    std::string archive = results + "/" + session::kArchive;
    const bool may_exist = ::access(archive.c_str(), F_OK) == 0 || errno != ENOENT;
    if (!is_home && may_exist) return keep_unfetched(session, "in its results");
    TRY(remove_results(results));
  }
  return write_all(1, wire::encode(answer) + "\n");
}

}  // namespace bottle::remote
