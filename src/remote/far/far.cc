// Implements the verbs of the far side. Each runs in a process that ssh started, does one thing for the near side,
// and exits. All state is with the supervisor, with the engine and in the session's files. `serve` is a pipe between
// the connection and the supervisor's socket, so a broken connection ends this process and nothing else.
//
// The near side is trusted: it is the operator's own program, signed in as this user. The order of the output
// matters: the hello must be the first line, although the job may arrive before the hello is written.
#include "remote/far/far.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <optional>
#include <thread>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/poller.h"
#include "base/text/line.h"
#include "base/unique_fd.h"
#include "docker/answers.h"
#include "docker/client/http_engine.h"
#include "session/box/network.h"
#include "session/box/runtime_trial.h"
#include "session/collect/reach_work.h"
#include "session/console/client.h"
#include "session/console/output_log.h"
#include "session/credentials/token.h"
#include "session/disk/disk_watch.h"
#include "session/images/guard_image.h"
#include "session/ledger/files.h"
#include "session/ledger/ledger.h"
#include "session/ledger/names.h"
#include "session/ledger/results_owner.h"
#include "session/supervisor.h"
#include "session/sweep/sweep.h"
#include "transfer/delivery.h"
#include "transfer/delta.h"
#include "wire/failure.h"
#include "wire/frames/frames.h"
#include "wire/request.h"
#include "wire/result.h"
#include "wire/start/hello.h"
#include "wire/start/job.h"

namespace bottle::remote {

using session::are_results_of, session::ClientOptions, transfer::DeliveryWriter, wire::FrameReader, wire::FrameType,
    wire::Job, session::Names, session::OutputLog, wire::Token, transfer::apply_delta, session::connect_to,
    session::ensure_egress_network, session::ensure_guard_image, session::ensure_runtime, session::fetch_token,
    session::find_orphans, transfer::kHeld, session::kSupervisorDied, session::read_ledger, wire::receive_frame,
    session::remove_results, session::remove_session_directory, wire::send_bytes, wire::send_frame,
    session::start_supervisor, session::take_token_file, session::take_token_variable, session::tear_down;

namespace {

using nlohmann::json;

constexpr size_t kMostImages = 200;  // the most images whose layers a new one may share

// Passes bytes in both directions until either side closes.
void pass(int in, int out, int socket) {
  for (char buffer[65536];;) {
    Poller poller;
    for (int from : {in, socket}) poller.watch(from);
    poller.wait(-1);
    for (int from : {in, socket}) {
      if (!poller.readable(from)) continue;
      ssize_t n = ::read(from, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      if (!write_all(from == in ? socket : out, {buffer, static_cast<size_t>(n)})) return;
    }
  }
}

// Tells the near side why there will be no session. If it is gone, nothing reads the message.
void refuse(const Error& error) { (void)send_frame(1, FrameType::failure, wire::encode(error)); }

// Names a session. Another near side may have a session of the same name on this machine, with another id.
struct SessionId {
  std::string name, id;
};

// Returns whether this machine has the record of this session, which may have ended.
Result<bool> is_there(const FarWorld& world, const SessionId& which) {
  auto view = read_ledger(world.directories, which.name);
  if (!view && view.error().code != Code::not_found) return std::unexpected(std::move(view.error()));
  return view && view->id == which.id;
}

// Connects to the session's supervisor.
Result<UniqueFd> connect_to_session(const FarWorld& world, const SessionId& which) {
  if (!TRY(is_there(world, which))) return fail(Code::not_found, "there is no session " + which.name + " with this id");
  return connect_to(world.directories.session(which.name) + "/" + session::kSocket);
}

// Sends the agent's last output and the result of an ended session to a near side that connects late. If the supervisor
// died, the sweep has ended the session, and only what the sweep saved is sent.
Result<> tell_result(const FarWorld& world, const wire::Attach& attach) {
  std::string session = attach.session, results = world.directories.results_of(session);
  if (!are_results_of(results, attach.id))
    return fail(Code::not_found, "there is no session " + session + " on the remote machine");
  if (auto said = OutputLog::load(results + "/output")) TRY(send_bytes(1, said->answer(attach)));
  if (auto text = read_file(results + "/" + session::kResult)) return send_frame(1, FrameType::result, *text);
  auto there = is_there(world, {session, attach.id});
  wire::SessionResult result{.session = session, .what = kSupervisorDied};
  result.receipt.session = session;
  result.receipt.confirmed = there && !*there;
  return send_frame(1, FrameType::result, wire::encode(result));
}

// Keeps the public roots beside this program. A start that finds them there does not send them.
Result<> find_roots(const FarWorld& world, Job& job) {
  if (job.kept_roots.empty()) return write_file_atomically(roots_path(world), job.ca_bundle);
  job.ca_bundle = TRY(read_file(roots_path(world), 8 << 20));
  // Another start may have replaced them since the near side heard of them.
  if (content_hash(job.ca_bundle) != job.kept_roots)
    return fail(Code::conflict, "the root certificates kept on the remote machine have changed", "start again");
  return {};
}

// Returns the path of the file that records which runtimes have been tried on this machine. It is beside the roots.
std::string runtimes_path(const FarWorld& world) { return roots_path(world) + ".runtimes"; }

// Starts a supervisor for a job. `sent` is the token that came by SendEnv. `info` is the engine's description of
// itself.
Result<UniqueFd> begin(const FarWorld& world, const std::string& text, const std::string& sent, const json& info) {
  Job job = TRY(wire::decode<Job>(text, wire::From::ours));
  TRY(find_roots(world, job));
  if (!is_session_name(job.plan.session)) return fail(Code::invalid, "the session's name is not valid");
  // The job has the near side's paths, which this machine's paths replace.
  job.directories = world.directories;
  job.engine = world.engine_socket;
  job.storage = session::storage_of(info);
  job.path_to_self = world.path_to_self;
  job.far = true;
  if (job.engine.empty()) return fail(Code::unavailable, world.engine_error);
  // Without the engine's description, the launch itself finds out that the engine does not answer.
  if (info.is_object()) {
    auto engine = TRY(docker::connect({job.engine, "the remote machine"}));
    TRY(ensure_runtime(*engine, world.directories, info, runtimes_path(world), job.plan.runtime));
  }
  if (job.token.via == Token::Via::sendenv) {
    // An sshd drops a variable without an error, and no token is as short as that.
    if (sent.size() < 8) return fail(Code::unavailable, "the token did not arrive with ssh's SendEnv");
    job.values.secrets[job.token.name] = sent;
  } else if (job.token.via == Token::Via::provider) {
    job.values.secrets[job.token.name] =
        TRY(job.token.fetch.empty() ? take_token_file(job.token.file) : fetch_token(job.token.fetch));
  }
  return start_supervisor(job);
}

// Sweeps what dead owners left, so that its subnets and names are free again.
void sweep_meanwhile(const FarWorld& world) {
  auto engine = engine_of(world);
  if (!engine) return;
  sweep(world.directories, find_orphans(world.directories), docker::connect);
}

// Writes the hello in a separate thread. A near side that has used this machine before sends its job with the first
// packet, and the engine can then work for both at the same time. The hello must be first on stdout, so every other
// writer waits for it.
std::shared_future<bool> say_hello(const FarWorld& world, const EngineInfo& info, bool token) {
  return std::async(std::launch::async,
                    [&world, info, token] {
                      auto hello = far_hello(world, info);
                      // The near side shows this in place of a hello.
                      if (!hello) return write_all(1, hello.error().what + "\n") && false;
                      hello->token = token;
                      return write_all(1, wire::encode(*hello) + "\n").has_value();
                    })
      .share();
}

// Runs `bottle far serve`: writes the hello, takes one job or attach, and then passes frames until either side
// closes.
int serve(const FarWorld& world) {
  std::string token = take_token_variable();
  // The engine is asked immediately, because the job may still be on its way.
  auto info = ask_info(world);
  auto hello = say_hello(world, info, !token.empty());
  if (world.engine_at == 0) sweep_meanwhile(world);  // a VM that was just made has nothing to sweep
  auto frame = receive_frame(0);
  if (!frame) return 0;  // the near side wanted only the hello
  UniqueFd socket;
  if (frame->type == FrameType::job) {
    // Begins before the hello is complete. Only the output to stdout must wait for it.
    auto begun = begin(world, frame->bytes, token, info.get().value_or(nullptr));
    if (!hello.get()) return 1;
    if (!begun) return refuse(begun.error()), 1;
    socket = std::move(*begun);
  } else if (frame->type == FrameType::attach) {
    auto attach = wire::decode<wire::Attach>(frame->bytes, wire::From::ours);
    if (!hello.get()) return 1;
    if (!attach || !is_session_name(attach->session))
      return refuse({Code::invalid, "the session's name is not valid"}), 1;
    auto connected = connect_to_session(world, {attach->session, attach->id});
    // The session's supervisor is gone, so it has ended, or its machine was restarted.
    if (!connected) {
      if (auto told = tell_result(world, *attach); !told) return refuse(told.error()), 1;
      return 0;
    }
    socket = std::move(*connected);
    // The supervisor answers the attach itself, with the output from the position that the near side has.
    if (!send_frame(socket.get(), FrameType::attach, frame->bytes)) return 1;
  } else {
    hello.wait();
    return refuse({Code::protocol, "the request is neither a job nor an attach"}), 1;
  }
  // From now on, only the supervisor and the near side talk to each other.
  pass(0, 1, socket.get());
  return 0;
}

// Waits for the session's directory. It may not exist yet, because the job travels on another connection.
Result<UniqueFd> await_session(const FarWorld& world, const SessionId& which) {
  std::string path = world.directories.session(which.name) + "/" + session::kDelivery;
  // The waits take about 50 seconds: 200 short ones for a session that is about to begin, then longer ones.
  for (int tries = 0; tries < 1200; ++tries) {
    // Without this check, the process would wait a minute for a session that the near side has given up.
    if (is_hung_up(1)) return fail(Code::canceled, "the near side closed the connection");
    if (auto there = is_there(world, which); there && *there)
      if (auto connected = connect_to(path)) return std::move(*connected);
    std::this_thread::sleep_for(std::chrono::milliseconds(tries < 200 ? 10 : 50));
  }
  return fail(Code::timed_out, "the session did not start");
}

// Receives a delta from the near side, restores the delivery, and passes it on to the session. The session's socket
// is opened only when the first restored byte is ready, because the kept data may turn out to be useless.
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

// Returns the engine that has the session's work, and makes sure that a container shows it and that the agent does not
// run. Returns nothing if there is no work. Fails if this cannot be known or done, in which case there may be some.
Result<std::unique_ptr<docker::Engine>> in_container(const FarWorld& world, const SessionId& which) {
  const std::string& session = which.name;
  auto view = read_ledger(world.directories, session);
  if (view && view->id != which.id) return nullptr;
  if (!view && view.error().code == Code::not_found) return nullptr;
  if (!view) return std::unexpected(std::move(view.error()));
  auto engine = engine_of(world);
  auto found = [&]() -> Result<std::optional<std::string>> {
    if (!engine) return std::unexpected(engine.error());
    session::Belongings whose = session::belongings_of(session, *view);
    if (!view->work) return session::find_own(**engine, whose, {session::ThingKind::container, Names(session).agent});
    return session::reach_work(**engine, whose, world.directories.session(session), view->work->workdir);
  };
  auto container = found();
  if (container && *container) {
    // If the supervisor died, its agent may still run. What the agent writes after the fetch would be lost.
    TRY(session::stop_container_with_work(**engine, **container));
    return std::move(*engine);
  }
  // The engine says that there is no container, or the ledger says that there was never any work.
  if (container || !view->work) return nullptr;
  return std::unexpected(std::move(container.error()));
}

// Sends the files of a session that has ended, in the format of a delivery.
Result<> fetch(const FarWorld& world, const SessionId& which) {
  const std::string& session = which.name;
  std::string directory = world.directories.results_of(session);
  bool is_own = are_results_of(directory, which.id);
  // Without results, the near side would conclude that the session has no work, and would forget it.
  if (!is_own && ::access(directory.c_str(), F_OK) == 0)
    return fail(Code::conflict, "the results of " + session + " belong to another session of that name");
  DeliveryWriter writer([](std::string_view bytes) { return write_all(1, bytes); });
  bool saved = false;
  std::vector<std::string> names = {session::kResult, session::kAudit, session::kArchive};
  // A transcript that cannot be read must not keep the work from coming home.
  for (const auto& name : names_in(directory + "/transcript").value_or(std::vector<std::string>()))
    names.push_back("transcript/" + name);
  for (const auto& name : names) {
    UniqueFd fd(::open((directory + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    // Any other error may hide work. The near side would not fetch that work, but would let this machine forget it.
    if (!fd && errno != ENOENT && !name.starts_with("transcript/")) return fail_errno("opening " + name);
    if (!fd) continue;
    saved |= name == session::kArchive;
    TRY(writer.begin(name));
    for (char buffer[256 << 10];;) {
      ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("reading " + name);
      if (n == 0) break;
      TRY(writer.data({buffer, static_cast<size_t>(n)}));
    }
    TRY(writer.end_archive());
  }
  // This machine's disk was full, or its engine did not answer. The work is then still in its container.
  if (!saved) {
    auto there = in_container(world, which);
    if (!there) {  // the work may still exist, and the near side would discard it if told that there is none
      TRY(writer.begin(kHeld));
      TRY(writer.data(there.error().what));
      TRY(writer.end_archive());
    } else if (*there) {
      TRY(writer.begin(session::kArchive));
      TRY((*there)->get_archive(Names(session).agent, "/workspace",
                                [&](std::string_view bytes) { return writer.data(bytes); }));
      TRY(writer.end_archive());
    }
  }
  return writer.finish();
}

// Sends the present workspace, unless the caller already has this version.
Result<> checkpoint(const FarWorld& world, const SessionId& which, const std::string& known) {
  if (!TRY(is_there(world, which))) return fail(Code::not_found, "there is no session " + which.name + " with this id");
  auto engine = TRY(engine_of(world));
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

// Removes everything that this machine still has of a session: its results, and what its supervisor may have left.
Result<> forget(const FarWorld& world, const SessionId& which) {
  const std::string& session = which.name;
  std::string directory = world.directories.session(session);
  wire::Forgotten answer{.session = session};
  // The near side has ended the session, or given it up before its agent ran. Its supervisor may still be tearing it
  // down.
  auto supervised = [&] { return connect_to_session(world, which).has_value(); };
  for (int tries = 0; supervised(); ++tries) {
    if (tries == 600) return fail(Code::timed_out, "session " + session + " does not end");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  // Without a ledger, everything is gone, and the engine need not be asked.
  auto view = read_ledger(world.directories, session);
  if (!view && view.error().code != Code::not_found) return std::unexpected(std::move(view.error()));
  if (view && view->id == which.id) {
    auto engine = TRY(engine_of(world));
    // This removes everything under the names that a session can have, not only what the ledger names: a supervisor may
    // have died at any point.
    wire::Receipt gone = tear_down(*engine, {session, view->owner, Names(session).things()});
    // Otherwise the ledger stays, so that a later sweep on this machine finds what is left.
    if (gone.confirmed) remove_session_directory(directory);
    answer.receipt = gone;
  }
  // The results are removed last, because a near side can still fetch them if this command fails before that.
  std::string results = world.directories.results_of(session);
  if (are_results_of(results, which.id)) TRY(remove_results(results));
  return write_all(1, wire::encode(answer) + "\n");
}

// Asks the session to stop, and waits for its end.
Result<> stop(const FarWorld& world, const SessionId& which) {
  UniqueFd fd = TRY(connect_to_session(world, which));
  TRY(send_frame(fd.get(), FrameType::stop, ""));
  FrameReader frames;
  for (char buffer[65536];;) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    // The supervisor closes the socket when everything is over.
    if (n <= 0) return {};
    frames.feed({buffer, static_cast<size_t>(n)});
    while (auto frame = frames.next())
      if (frame->type == FrameType::result || frame->type == FrameType::failure) return {};
  }
}

// Connects the operator's terminal, which comes through mosh and not over a channel, like any other client.
Result<> attach(const FarWorld& world, const SessionId& which) {
  UniqueFd fd = TRY(connect_to_session(world, which));
  TRY(send_frame(fd.get(), FrameType::attach, wire::encode(wire::Attach{})));
  ClientOptions options;
  options.input = ClientOptions::Input::terminal;
  (void)TRY(session::follow(fd.get(), options));
  return {};
}

// Lists the layers of this engine's images, so that the near side can leave them out of an image that it sends.
Result<> layers(const FarWorld& world) {
  auto engine = TRY(engine_of(world));
  wire::ImageLayers all;
  for (const auto& image : TRY(engine->images()))
    // An image that is removed meanwhile has no layers to report.
    if (auto layers = engine->layers(docker::text_of(image, "Id")); layers && all.images.size() < kMostImages)
      all.images.push_back({*layers});
  return write_all(1, wire::encode(all) + "\n");
}

// Makes in advance everything that the first session on this machine would have to make: the public roots (from
// stdin), the guard's image, and the egress network if the machine has a network.
Result<> warm(const FarWorld& world, bool offline) {
  std::string roots = TRY(read_file("/dev/stdin", 8 << 20));
  TRY(write_file_atomically(roots_path(world), roots));
  auto engine = TRY(engine_of(world));
  TRY(ensure_guard_image(*engine));
  if (!offline) TRY(ensure_egress_network(*engine));
  TRY(ensure_runtime(*engine, world.directories, TRY(engine->info()), runtimes_path(world), "auto"));
  return write_all(1, "ok\n");
}

// Loads an image from stdin, which the near side has compressed. The engine itself unpacks gzip.
Result<> load(const FarWorld& world) {
  auto engine = TRY(engine_of(world));
  TRY(engine->load_image([](char* buffer, size_t size) -> Result<size_t> {
    ssize_t n;
    do n = ::read(0, buffer, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) return fail_errno("reading the image");
    return static_cast<size_t>(n);
  }));
  return write_all(1, "ok\n");
}

}  // namespace

int far_main(const FarWorld& world, const std::vector<std::string>& words) {
  std::string verb = words.empty() ? "" : words[0], session = words.size() > 1 ? words[1] : "";
  if (verb == "serve") return serve(world);
  if (verb == "hello") {
    auto hello = far_hello(world, ask_info(world));
    return write_all(1, (hello ? wire::encode(*hello) : hello.error().what) + "\n") && hello ? 0 : 1;
  }
  auto done = [&]() -> Result<> {
    if (verb == "layers") return layers(world);
    if (verb == "load") return load(world);
    if (verb == "warm") return warm(world, session == "offline");
    // The name becomes a part of paths. All verbs below have one.
    if (!is_session_name(session)) return fail(Code::invalid, "the session's name is not valid");
    SessionId which{session, words.size() > 2 ? words[2] : ""};
    if (verb == "attach") return attach(world, which);
    if (verb == "deliver") return deliver(world, which);
    if (verb == "fetch") return fetch(world, which);
    if (verb == "checkpoint") return checkpoint(world, which, words.size() > 3 ? words[3] : "");
    if (verb == "forget") return forget(world, which);
    if (verb == "stop") return stop(world, which);
    return fail(Code::invalid, "unknown verb " + verb);
  }();
  if (done) return 0;
  std::fprintf(stderr, "%s\n", one_line(done.error().what).c_str());
  return 1;
}

}  // namespace bottle::remote
