// The story of a session. Read this first.
#include "session/run.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <mutex>
#include <optional>

#include "base/defer.h"
#include "base/file.h"
#include "session/collect.h"
#include "session/launch.h"
#include "session/ledger/names.h"
#include "session/sweep.h"
#include "session/transcript.h"
#include "session/watch.h"
#include "wire/failure.h"
#include "wire/ledger.h"

namespace bottle::session {
namespace {

void tell_failure(Clients& clients, const Error& error) { clients.send(FrameType::failure, wire::encode(error)); }

// What `bottle list` shows.
Result<> write_info(const Job& job, const std::string& directory, const char* state) {
  auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  wire::SessionInfo info{job.plan.session, state, job.plan.agent, job.plan.bottle, job.plan.workspace, "", now};
  return write_file_atomically(directory + "/info.json", wire::encode(info));
}

// The rules a recorded session would have needed, ready to be put under egress.allow.
void write_recorded(const Job& job, const std::vector<std::string>& rules) {
  std::string text = "# What session " + job.plan.session + " reached without a rule in bottle " + job.plan.bottle +
                     ". Read these rules before you use them.\nallow:\n";
  for (const auto& rule : rules) text += "  - " + rule + "\n";
  (void)write_file_atomically(job.directories.results + "/" + job.plan.session + "/allow.yaml", text);
}

// A job from another machine is begun before its operator has seen this one; the values come when they have. What is
// here already (a token that came another way) stays.
Result<Values> await_values(int launcher, Values values) {
  pollfd p{launcher, POLLIN, 0};
  if (::poll(&p, 1, 120000) <= 0) return fail(Code::timed_out, "the secrets for the session did not arrive");
  auto frame = TRY(receive_frame(launcher));
  if (frame.type != FrameType::values) return fail(Code::protocol, "the secrets for the session did not arrive");
  Values came = TRY(wire::decode<Values>(frame.bytes, wire::From::ours));
  values.env.merge(came.env);
  values.secrets.merge(came.secrets);
  return values;
}

// A name that an operator chose may be that of another one's session, whose ledger is elsewhere. An engine makes no
// second container of a name, but a volume that is there it mounts, whoever made it. So this is asked before.
Result<> check_names(docker::Engine& engine, const std::string& session, const std::string& directory) {
  if (::access(directory.c_str(), F_OK) == 0) return {};  // one of ours: the ledger says it better
  std::vector<std::future<Result<>>> answers;
  for (const auto& thing : Names(session).things())
    answers.push_back(std::async(std::launch::async, [&, thing]() -> Result<> {
      auto found = thing.kind == "container" ? engine.inspect_container(thing.name)
                   : thing.kind == "network" ? engine.inspect_network(thing.name)
                                             : engine.inspect_volume(thing.name);
      if (found)
        return fail(Code::conflict,
                    "this engine already has a session " + session + ", with the " + thing.kind + " " + thing.name,
                    "choose another --name");
      if (found.error().code != Code::not_found) return std::unexpected(std::move(found.error()));
      return {};
    }));
  Result<> all;
  for (auto& answer : answers)
    if (auto one = answer.get(); !one && all) all = std::move(one);
  return all;
}

}  // namespace

void run(const Job& job, Clients& clients) {
  const auto& session = job.plan.session;
  std::string directory = job.directories.sessions + "/" + session;

  auto engine = docker::Engine::connect({job.engine, "the job"});
  if (!engine) return tell_failure(clients, engine.error());

  if (auto free = check_names(*engine, session, directory); !free) return tell_failure(clients, free.error());

  // True from here on: whoever finds this directory with a dead owner knows what to remove.
  Owner owner = Owner::self();
  auto ledger = Ledger::create(directory, owner);
  if (!ledger) return tell_failure(clients, ledger.error());
  std::vector<uint64_t> asked;
  std::mutex asked_lock;
  engine->note_creates([&](uint64_t end) {
    std::scoped_lock hold(asked_lock);
    asked.push_back(end);
    return ledger->will_ask(end);
  });
  std::optional<Error> error;
  if (auto noted = ledger->note({.engine = job.engine}); !noted) error = noted.error();
  if (!error) {
    if (auto made = make_directories(job.directories.results + "/" + session); !made) error = made.error();
  }
  if (!error) {
    if (auto heard = clients.listen(directory + "/socket"); !heard) error = heard.error();
  }

  std::optional<DeliveryPoint> delivery;
  if (!error && job.far) {
    auto point = DeliveryPoint::listen(directory + "/delivery");
    if (point) delivery = std::move(*point);
    else error = point.error();
  }

  wire::SessionResult result{.session = session, .bottle = job.plan.bottle};
  auto step = [&](const std::string& text) { clients.event(wire::Step{text}); };
  if (!error) {
    Audience audience{step, [&] { return clients.first_is_gone(); }};
    UniqueFd launcher(job.far ? ::dup(clients.first()) : -1);
    auto values = std::async(job.far ? std::launch::async : std::launch::deferred, [&]() -> Result<Values> {
                    return job.far ? await_values(launcher.get(), job.values) : job.values;
                  }).share();
    auto running = launch(*engine, job, owner, *ledger, {delivery ? &*delivery : nullptr, values}, audience);
    if (!running && launcher) ::shutdown(launcher.get(), SHUT_RD);  // nobody waits for them any more
    if (!running) {
      error = running.error();
    } else {
      // True from here on: the self-test passed, the gate is open, the agent works. A terminal may come and go.
      (void)write_info(job, directory, "running");
      (void)ledger->note({.running = true});
      for (const auto& warning : running->sent.warnings) clients.event(wire::Warning{warning});
      clients.event(wire::AgentRuns{session, running->report.probes});
      watch(*engine, job, *running, clients, result);
      // Its launcher may be on its way back to us, and come when we are gone.
      if (job.far) (void)clients.log().save(job.directories.results + "/" + session + "/output");
      (void)ledger->note({.ended = result.exit});
      if (result.egress->recorded) write_recorded(job, *result.egress->recorded);
      clients.event(wire::Collecting{});
      auto work = work_of(job, running->sent);
      if (!work) save_transcript(*engine, Names(session).agent, job.directories.results + "/" + session);
      result.back = work ? collect(*engine, session, *work, directory, step) : wire::Back();
      if (!result.back->held) (void)ledger->note({.home = true});
    }
  }

  // What the agent did is on the operator's disk, or still in its container. Everything else goes; after an error a
  // create that we gave up waiting for may yet come to its end.
  Names names(session);
  auto things = things_of(job);
  bool held = result.back && result.back->held;
  if (held)
    std::erase_if(things, [&](const Thing& thing) { return thing.kind == "volume" || thing.name == names.agent; });
  Receipt receipt = tear_down_for_good(*engine, {session, owner, things}, asked);
  if (held) receipt.left.push_back("container " + names.agent + ": it holds the work");
  result.receipt = receipt;
  // Before the socket goes: who comes too late to attach finds the result.
  if (!error)
    (void)write_file_atomically(job.directories.results + "/" + session + "/result.json",
                                wire::encode(result, wire::Layout::pretty));
  if (receipt.confirmed) forget(job.directories, directory, receipt);
  if (error) {
    ::rmdir((job.directories.results + "/" + session).c_str());
    if (!receipt.confirmed)
      error->todo += std::string(error->todo.empty() ? "" : "; ") +
                     "not everything was removed; run `bottle cleanup` once the engine answers";
    return tell_failure(clients, *error);
  }
  clients.send(FrameType::result, wire::encode(result));
}

}  // namespace bottle::session
