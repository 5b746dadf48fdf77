// Runs a session from its start to its end, one step after the other. Start reading here.
//
// A session can be interrupted safely at any moment because of the order of its steps. open() puts the owner on the
// disk before anything is made. launch() writes down every name before the first thing exists. From then on,
// tear_down() runs whatever happens. After it, the record is removed only if the engine has confirmed that nothing is
// left. If this process dies in between, a sweep continues from the ledger.
#include "session/run.h"

#include <unistd.h>

#include <chrono>
#include <future>
#include <mutex>
#include <optional>

#include "base/defer.h"
#include "base/files/file.h"
#include "session/collect/collect.h"
#include "session/collect/transcript.h"
#include "session/console/stop_signal.h"
#include "session/launch.h"
#include "session/launch_control.h"
#include "session/ledger/files.h"
#include "session/ledger/info.h"
#include "session/ledger/names.h"
#include "session/ledger/results_owner.h"
#include "session/ledger/teardown.h"
#include "session/sweep/sweep.h"
#include "session/watch.h"
#include "wire/ledger.h"

namespace bottle::session {
namespace {

using transfer::DeliveryPoint, wire::FrameType, wire::Job, wire::Side;

// Fails if the engine already has a thing with one of the session's names. Another user's session, whose ledger is
// elsewhere, may have the same name. An engine refuses to make a second container with a name, but it mounts an
// existing volume, no matter who made it.
Result<> check_names(docker::Engine& engine, const std::string& session) {
  std::vector<std::future<Result<>>> answers;
  for (const auto& thing : Names(session).things())
    answers.push_back(std::async(std::launch::async, [&, thing]() -> Result<> {
      auto found = inspect(engine, thing);
      if (found)
        return fail(
            Code::conflict,
            "this engine already has a session " + session + ", with the " + word_of(thing.kind) + " " + thing.name,
            "choose another --name");
      // Only a clear "no" counts, because an engine that does not answer could have anything.
      if (found.error().code != Code::not_found) return std::unexpected(std::move(found.error()));
      return {};
    }));
  Result<> all;
  for (auto& answer : answers)
    if (auto one = answer.get(); !one && all) all = std::move(one);
  return all;
}

// Runs one session on this machine. The steps are called in the order in which they are declared.
class Session {
 public:
  Session(const Job& job, Clients& clients, const docker::Connect& connect, std::chrono::milliseconds input_patience)
      : job_(job),
        clients_(clients),
        connect_(connect),
        input_patience_(input_patience),
        name_(job.plan.session),
        directory_(job.directories.session(name_)),
        results_(job.directories.results_of(name_)),
        control_(clients, job.values, job.side() == Side::far) {}

  void run();

 private:
  Result<> open();
  void abandon(Error error);
  Result<> prepare();
  Result<Running> launch();
  Result<> watch(Running& running);
  void collect(const Running& running, const Result<>& ended);
  TornDown tear_down();
  void report_failure(Error error, const wire::Receipt& receipt);

  // Runs a step that can take minutes, and answers the clients meanwhile: a near side whose pings get no answer takes
  // the connection for broken. The step must not use `clients_`.
  void serve_while(const std::function<void()>& step) {
    (void)control_.serve([&]() -> Result<> { return step(), Result<>(); });
  }
  // Returns the ledger's file, for remove_session_directory(). Nothing is noted after that.
  std::optional<LedgerFile> take_ledger() {
    if (engine_) engine_->note_creates({});
    if (auto ledger = std::exchange(ledger_, std::nullopt)) return std::move(*ledger).release();
    return std::nullopt;
  }
  bool is_held() const { return result_.back && result_.back->held; }

  const Job& job_;
  Clients& clients_;
  const docker::Connect& connect_;
  std::chrono::milliseconds input_patience_;
  std::string name_, directory_, results_;
  Owner owner_ = Owner::self();
  std::unique_ptr<docker::Engine> engine_;
  std::optional<Ledger> ledger_;
  std::mutex asked_lock_;
  std::vector<uint64_t> asked_;  // as in LedgerView
  std::optional<DeliveryPoint> delivery_;
  LaunchControl control_;
  wire::SessionResult result_{.session = name_, .bottle = job_.plan.bottle, .receipt = {.session = name_}};
};

void Session::run() {
  catch_stop_signal();
  clients_.hold_attaches();
  if (auto opened = control_.serve([this] { return open(); }); !opened) return abandon(std::move(opened.error()));
  auto prepared = prepare();
  auto running = then(prepared, [this] { return launch(); });
  // The teardown needs the engine even if the launch was stopped.
  engine_->stop_on({});
  if (running) {
    auto ended = watch(*running);
    clients_.event(wire::Collecting{});
    serve_while([&] { collect(*running, ended); });
  }
  TornDown gone;
  serve_while([&] { gone = tear_down(); });
  result_.receipt = gone.receipt;
  // The result is written before the socket is removed, so that a client that attaches too late finds it.
  if (running) (void)write_result(results_, result_);
  // Without the confirmation, the ledger stays, and the next sweep tries again.
  if (!running) remove_unused_results(results_);  // while the name is not free yet
  if (auto ledger = take_ledger(); gone.receipt.confirmed)
    forget(job_.directories, directory_, gone, std::move(ledger));
  if (!running) return report_failure(std::move(running.error()), gone.receipt);
  clients_.send(FrameType::result, wire::encode(result_));
}

// After a success, the session's directory exists and every name is on the disk, so that if this process dies, later
// commands find out what to remove. The ledger is flushed to the disk while the engine is asked about the names.
Result<> Session::open() {
  auto asked = std::async(std::launch::async, [this]() -> Result<std::unique_ptr<docker::Engine>> {
    auto engine = TRY(connect_({job_.engine, "the job", control_.stop()}));
    TRY(check_names(*engine, name_));
    return engine;
  });
  // If this fails, the destructor of `asked` waits for the engine's answer, so the thread does not outlive this call.
  ledger_ = TRY(Ledger::create(directory_, owner_, job_.id));
  // A session of this name may have ended on this machine, and its near side may be away and have fetched nothing yet.
  // The name is ours now, so no other session can put anything there.
  if (job_.side() == Side::far) TRY(check_unused(results_));
  TRY(ledger_->will_use(job_.engine, job_.storage.id));  // a sweep needs the socket of the engine to remove anything
  TRY(ledger_->will_make(things_of(job_)));
  engine_ = TRY(asked.get());
  // The launch creates things on several threads. The connections are kept in memory as well as in the ledger, because
  // this session's own teardown needs them too.
  engine_->note_creates([this](uint64_t end) {
    std::scoped_lock hold(asked_lock_);
    asked_.push_back(end);
    return ledger_->will_ask(end);
  });
  return {};
}

// Ends a session that has made only its record.
void Session::abandon(Error error) {
  if (auto ledger = take_ledger()) remove_session_directory(directory_, std::move(ledger));
  clients_.fail(error);
}

Result<> Session::prepare() {
  TRY(make_directories(results_));
  if (job_.side() == Side::far) TRY(claim_results(results_, job_.id));
  // From now on, other processes can reach this session, for example to stop its launch.
  TRY(clients_.listen(directory_ + "/" + kSocket));
  if (job_.side() == Side::far) delivery_ = TRY(DeliveryPoint::listen(directory_ + "/" + kDelivery));
  return {};
}

Result<Running> Session::launch() {
  std::optional<Running> running;
  TRY(control_.serve([&]() -> Result<> {
    running = TRY(session::launch(*engine_, job_, owner_, *ledger_, delivery_ ? &*delivery_ : nullptr, control_));
    return {};
  }));
  return std::move(*running);
}

// The self-test has passed, the gate is open, and the agent works. Clients may attach and detach.
Result<> Session::watch(Running& running) {
  write_info(job_, wire::SessionState::running);
  (void)ledger_->note({.running = true});
  for (const auto& warning : running.sent.warnings) clients_.event(wire::Warning{warning});
  clients_.event(wire::AgentRuns{name_, running.report.probes});
  clients_.answer_attaches();
  auto ended = session::watch(*engine_, job_, running, clients_, control_.take_early(), input_patience_, result_);
  // The near side may be reconnecting and arrive after this process has ended.
  if (job_.side() == Side::far) (void)clients_.log().save(results_ + "/output");
  (void)ledger_->note({.ended = result_.exit});
  write_recorded(job_, result_);
  return ended;
}

// If the agent may still run, its work is held, because whatever it writes after it was collected would be lost.
void Session::collect(const Running& running, const Result<>& ended) {
  auto work = work_of(job_, running.sent);
  // If there is a workspace to collect, collect() saves the transcript.
  if (!work) save_transcript(*engine_, Names(name_).agent, results_);
  if (!work) result_.back = wire::WorkResult();
  else if (!ended) result_.back = held_result(name_, "the agent may still be running: " + ended.error().what);
  else
    result_.back =
        session::collect(*engine_, name_, *work, directory_, [this](const std::string& step) { control_.show(step); });
  // Only this process knows what came home and what to look at. Once the ledger has the note, no sweep asks for that,
  // so the result must be on the disk before the note. The teardown's receipt is added at the end.
  if (auto saved = is_held() ? Result<>() : write_result(results_, result_); work && !saved)
    mark_held(*result_.back, name_, saved.error());
  if (!is_held()) (void)ledger_->note({.home = true});
}

// Removes everything except work that is held in its container; other work is on the operator's disk by now. After an
// error, waits for create requests that the engine may still carry out.
TornDown Session::tear_down() {
  Belongings what{name_, owner_, things_of(job_)};
  // The receipt need not say why the work is held, because the result says it.
  if (is_held()) return tear_down_except_work(*engine_, std::move(what), "it holds the work", asked_);
  return tear_down_for_good(*engine_, what, asked_);
}

void Session::report_failure(Error error, const wire::Receipt& receipt) {
  if (!receipt.confirmed)
    error.todo += std::string(error.todo.empty() ? "" : "; ") +
                  "not everything was removed; run `bottle cleanup` once the engine answers";
  clients_.fail(error);
}

}  // namespace

void run(const Job& job, Clients& clients, const docker::Connect& connect, std::chrono::milliseconds input_patience) {
  Session(job, clients, connect, input_patience).run();
}

}  // namespace bottle::session
