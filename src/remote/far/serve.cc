// Implements `bottle far serve`: a pipe between the connection and the supervisor's socket, so a broken connection ends
// this process and nothing else. The order of the output matters: the hello must be the first line, although the job
// may arrive before the hello is written.
#include <unistd.h>

#include <future>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/poller.h"
#include "base/unique_fd.h"
#include "remote/far/verbs.h"
#include "session/box/runtime_trial.h"
#include "session/console/output_log.h"
#include "session/credentials/token.h"
#include "session/disk/disk_watch.h"
#include "session/ledger/files.h"
#include "session/ledger/results_owner.h"
#include "session/supervisor.h"
#include "session/sweep/sweep.h"
#include "wire/codec/failure.h"
#include "wire/frames/frames.h"
#include "wire/request.h"
#include "wire/result.h"
#include "wire/start/job.h"

namespace bottle::remote {

using session::are_results_of, wire::FrameType, wire::Job, session::OutputLog, wire::Token, session::ensure_runtime,
    session::fetch_token, session::find_orphans, session::kSupervisorDied, wire::receive_frame, wire::send_bytes,
    wire::send_frame, session::start_supervisor, session::take_token_file, session::take_token_variable;

namespace {

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

// Keeps the public roots beside this program. A start that finds them there does not send them.
Result<> find_roots(const FarWorld& world, Job& job) {
  if (job.kept_roots.empty()) return write_file_atomically(roots_path(world), job.ca_bundle);
  job.ca_bundle = TRY(read_file(roots_path(world), 8 << 20));
  // Another start may have replaced them since the near side heard of them.
  if (content_hash(job.ca_bundle) != job.kept_roots)
    return fail(Code::conflict, "the root certificates kept on the remote machine have changed", "start again");
  return {};
}

// Sweeps what the dead owner of a session left. Without a name, sweeps what all dead owners left. Blocks, because the
// work of a session may have gigabytes.
void sweep_left(const FarWorld& world, const std::string& session = {}) {
  auto orphans = find_orphans(world.directories);
  if (!session.empty()) std::erase_if(orphans, [&](const auto& each) { return each.session != session; });
  sweep(world.directories, orphans, world.connect);
}

// Runs a step that may take long. Sends frames meanwhile, because the near side assumes that a silent connection is
// dead.
template <class Step>
auto with_pongs(const FarWorld& world, const Step& step) {
  auto done = std::async(std::launch::async, step);
  while (done.wait_for(world.pong_every) != std::future_status::ready) (void)send_frame(1, FrameType::pong, "");
  return done.get();
}

// The near side treats this answer as proof that nothing is left to fetch, so errors must differ from it.
void refuse_unknown(const std::string& session) {
  refuse({Code::not_found, "there is no session " + session + " on the remote machine"});
}
void refuse_untold(Error why) {
  why.code = Code::unavailable;
  if (why.todo.empty()) why.todo = std::string("fix the cause on that machine and try again") + kIfLost;
  refuse(std::move(why).during("finding out how the session ended"));
}

// Sends the agent's last output and the result of an ended session to a near side that connects late. If the supervisor
// died, the sweep has ended the session, and only what the sweep saved is sent. Returns false if this machine has no
// such session, and fails if that is not known.
Result<bool> tell_result(const FarWorld& world, const wire::Attach& attach) {
  const std::string& session = attach.session;
  std::string results = world.directories.results_of(session);
  const bool has_results = TRY(are_results_of(results, attach.id));
  const bool is_recorded = TRY(is_there(world, {session, attach.id}));
  if (!has_results && !is_recorded) return false;
  auto text = has_results ? read_file(results + "/" + session::kResult) : fail(Code::not_found, "");
  if (!text && text.error().code != Code::not_found) return std::unexpected(std::move(text.error()));
  if (has_results)
    if (auto said = OutputLog::load(results + "/output")) TRY(send_bytes(1, said->answer(attach)));
  wire::SessionResult result{.session = session, .what = kSupervisorDied};
  result.receipt.session = session;
  result.receipt.confirmed = !is_recorded;
  TRY(send_frame(1, FrameType::result, text ? *text : wire::encode(result)));
  return true;
}

// Answers the attach to a session that has no supervisor. Returns the exit status.
int tell_end(const FarWorld& world, const wire::Attach& attach) {
  with_pongs(world, [&] { sweep_left(world, attach.session); });
  auto told = tell_result(world, attach);
  if (told && *told) return 0;
  auto ask = [&] { return check_engine_has_none(world, {attach.session, attach.id}, attach.engine_id); };
  auto none = then(told, [&](bool) { return with_pongs(world, ask); });
  if (!none) return refuse_untold(std::move(none.error())), 1;
  return refuse_unknown(attach.session), 1;
}

// Starts a supervisor for a job. `sent` is the token that came by SendEnv. `info` is null if the engine gave no
// description of itself.
Result<UniqueFd> begin(const FarWorld& world, const std::string& text, const std::string& sent,
                       const docker::EngineInfo* info) {
  Job job = TRY(wire::decode<Job>(text, wire::From::ours));
  TRY(find_roots(world, job));
  if (!is_session_name(job.plan.session)) return fail(Code::invalid, "the session's name is not valid");
  sweep_left(world, job.plan.session);  // so that the name is free
  // The job has the near side's paths, which this machine's paths replace.
  job.directories = world.directories;
  job.storage = info ? session::storage_of(*info) : wire::EngineStorage();
  job.path_to_self = world.path_to_self;
  job.from_near_side = true;
  job.engine = TRY(world.engine_socket);
  // Without the engine's description, the launch itself finds out that the engine does not answer.
  if (info) {
    auto engine = TRY(world.connect({job.engine, "the remote machine"}));
    TRY(ensure_runtime(*engine, world.directories, *info, runtimes_path(world), job.plan.runtime));
  }
  if (job.token.via == Token::Via::sendenv) {
    // An sshd drops a variable without an error, and no token is that short.
    if (sent.size() < 8) return fail(Code::unavailable, "the token did not arrive with ssh's SendEnv");
    job.values.secrets[job.token.name] = sent;
  } else if (job.token.via == Token::Via::provider) {
    job.values.secrets[job.token.name] =
        TRY(job.token.fetch.empty() ? take_token_file(job.token.file) : fetch_token(job.token.fetch));
  }
  return start_supervisor(job);
}

// Writes the hello in a separate thread. A near side that has used this machine before sends its job with the first
// packet, and the engine can then work for both at the same time. The hello must be first on stdout, so every other
// writer waits for it.
std::shared_future<bool> say_hello(const FarWorld& world, const PendingInfo& info, bool token) {
  return std::async(std::launch::async,
                    [&world, info, token] {
                      auto hello = far_hello(world, info);
                      if (!hello) return write_all(1, refusal(hello.error()) + "\n") && false;
                      hello->token = token;
                      return write_all(1, wire::encode(*hello) + "\n").has_value();
                    })
      .share();
}

}  // namespace

int serve(const FarWorld& world) {
  std::string token = take_token_variable();
  // The engine is asked immediately, because the job may still be on its way.
  auto info = ask_info(world);
  auto hello = say_hello(world, info, !token.empty());
  std::future<void> sweeping;
  auto frame = receive_frame(0);
  if (!frame) return 0;  // the near side wanted only the hello
  UniqueFd socket;
  if (frame->type == FrameType::job) {
    // Begins before the hello is complete. Only the output to stdout must wait for it.
    const auto& described = info.get();
    auto begun = begin(world, frame->bytes, token, described ? &*described : nullptr);
    if (!hello.get()) return 1;
    if (!begun) return refuse(begun.error()), 1;
    socket = std::move(*begun);
    // The session does not wait for what other sessions left. A VM that was just made has nothing to sweep.
    if (!world.engine_at) sweeping = std::async(std::launch::async, [&world] { sweep_left(world); });
  } else if (frame->type == FrameType::attach) {
    auto attach = wire::decode<wire::Attach>(frame->bytes, wire::From::ours);
    if (!hello.get()) return 1;
    if (!attach || !is_session_name(attach->session))
      return refuse({Code::invalid, "the session's name is not valid"}), 1;
    auto supervisor = find_supervisor(world, {attach->session, attach->id});
    if (!supervisor) return refuse_untold(std::move(supervisor.error())), 1;
    // The session has ended, or its machine was restarted.
    if (!*supervisor) return tell_end(world, *attach);
    socket = std::move(**supervisor);
    // The supervisor answers the attach itself, with the output from the position that the near side has. A supervisor
    // of an earlier version refuses the key `engine_id`.
    attach->engine_id.reset();
    if (!send_frame(socket.get(), FrameType::attach, wire::encode(*attach))) return 1;
  } else {
    hello.wait();
    return refuse({Code::protocol, "the request is neither a job nor an attach"}), 1;
  }
  // From now on, only the supervisor and the near side talk to each other.
  pass(0, 1, socket.get());
  return 0;
}

}  // namespace bottle::remote
