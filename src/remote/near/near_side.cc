#include "remote/near/near_side.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/file.h"
#include "base/ids.h"
#include "base/os/boot_clock.h"
#include "remote/link/checked_text.h"
#include "remote/link/far_link.h"
#include "remote/near/conclusion.h"
#include "remote/near/deadlines.h"
#include "remote/near/near_services.h"
#include "remote/near/transfers.h"
#include "remote/near/vm.h"
#include "session/guard_link/audit_file.h"
#include "session/ledger/ledger.h"
#include "wire/plan.h"

namespace bottle::remote {

using session::AuditFile, session::Owner, session::SessionAgent, session::SshKey, session::Values, session::VmJob,
    session::end_agent, session::read_ledger;

namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kEngineStarts = 330s;  // what an engine takes to answer on a VM that boots, and that it says so
// While it is not known whether the agent runs, somebody sits and waits.
constexpr int kMostLosses = 3, kMostAttempts = 5;

volatile sig_atomic_t asked_to_stop = 0;

class RemoteSession {
 public:
  RemoteSession(const Job& job, Clients& clients, std::optional<Channel> channel)
      : job_(job),
        clients_(clients),
        channel_(std::move(channel)),
        session_(job.plan.session),
        place_{job.remote->far, "", job.directories.sessions + "/" + session_} {}

  void run() {
    struct sigaction action{};
    action.sa_handler = [](int) { asked_to_stop = 1; };
    ::sigaction(SIGTERM, &action, nullptr);
    if (job_.remote->stop) stop();
    auto begun = begin();
    if (!begun) return fail_session(begun.error());
    while (!over_) turn();
    if (failure_) return fail_session(*failure_);
    finish();
  }

 private:
  // The ledger first: from here on whoever finds it with a dead owner knows where to look.
  Result<> begin() {
    Owner owner = Owner::self();
    if (job_.remote->adopt) {
      ledger_ = TRY(Ledger::adopt(place_.directory, owner));
      auto view = TRY(read_ledger(job_.directories, session_));
      work_.was_sent(view.base);
      offline_ = view.offline;
      if (view.vm.is_object()) place_.vm_name = view.vm.value("name", "");
      if (!place_.vm_name.empty())
        (void)machine::take_over(place_.vm_name,
                                 vm_places(job_));  // gone: the far side cannot be reached, and it will be told
      if (auto record = machine::load(place_.vm_name, vm_places(job_))) lives_until(*record);
      running_ = true;
      ::unlink((place_.directory + "/socket").c_str());
    } else {
      ledger_ = TRY(Ledger::create(place_.directory, owner));
      TRY(ledger_->note({{"remote", json::parse(wire::encode(place_.far))},
                         {"session", session_},
                         {"plan", json::parse(wire::encode(job_.plan))},
                         {"tunnel", job_.tunnel}}));
    }
    TRY(make_directories(job_.directories.results + "/" + session_));
    TRY(clients_.listen(place_.directory + "/socket"));
    write_info(job_, place_, running_ ? "running" : "starting");
    if (job_.remote->adopt) return adopt(), Result<>();
    if (job_.remote->vm) return make_vm();
    return send_job(TRY(FarSide::reach(place_.far, false)), std::move(*channel_));
  }

  // What stayed here died with whoever held it, but for what the operator has given anew.
  void adopt() {
    if (!job_.remote->stop) {
      Job there = job_;
      there.relay_all = offline_;
      if (auto made = make_services(there); !made)
        clients_.event({{"event", "warning"},
                        {"what", "the remote machine cannot use what stays on this machine: " + made.error().what}});
    }
    link_.reconnect(place_.far);
  }

  Result<> make_vm() {
    place_.vm_name = machine::new_vm_name(session_);
    VmJob wanted = *job_.remote->vm;
    wanted.environment.clear();
    TRY(ledger_->note({{"vm",
                        {{"name", place_.vm_name},
                         {"provider", job_.remote->vm->provider},
                         {"wanted", json::parse(wire::encode(wanted))}}}}));
    making_.emplace(job_, place_.vm_name);
    return {};
  }

  void look_at_the_vm() {
    if (!making_) return;
    for (const auto& line : making_->steps()) clients_.event({{"event", "step"}, {"step", line}});
    auto ended = making_->look();
    if (!ended) return;
    making_.reset();
    auto& made = *ended;
    if (!made) return give_up(std::move(made.error()).during("creating the VM"));
    place_.far = made->far;
    offline_ = made->vm.offline;
    token_ = made->token;
    lives_until(made->vm.record);
    (void)ledger_->note({{"remote", json::parse(wire::encode(place_.far))}, {"offline", offline_}});
    const auto& t = made->vm.timings;
    clients_.event({{"event", "vm"},
                    {"name", place_.vm_name},
                    {"created", t.created},
                    {"ssh", t.ssh},
                    {"rotated", t.rotated},
                    {"target", place_.far.target.to_string()}});
    if (made->channel.hello.is_object()) tell_engine(made->channel.hello);
    if (auto sent = send_job(std::move(made->side), std::move(made->channel)); !sent) give_up(sent.error());
  }

  void give_up(Error error) {
    failure_ = std::move(error);
    over_ = true;
  }

  // Known, not guessed from a connection that cannot be made.
  void is_gone(Error error) {
    gone_ = true;
    give_up(std::move(error));
  }

  // All but the values, so that the other machine begins with what needs none; they follow once it is known to be the
  // expected one.
  Result<> send_job(FarSide side, Channel channel) {
    Job there = job_;
    there.remote.reset();
    there.far = true;
    there.relay_all = offline_;
    if (token_) {
      there.token = *token_;
      if (token_->via != Token::Via::job) there.values.secrets.erase(token_->name);
    }
    there.plan.skills.clear();  // they travel with the workspace
    TRY(make_services(there));
    // 200 KB on a connection that was idle are several round trips: what is there is not sent again.
    if (std::string roots = content_hash(job_.ca_bundle); roots == job_.remote->roots) {
      there.kept_roots = roots;
      there.ca_bundle.clear();
    }
    values_ = std::exchange(there.values, {});
    bool boots = job_.remote->vm && channel.hello.is_null();
    link_.use(side, std::move(channel), boots ? kEngineStarts : 60s);
    link_.send(FrameType::job, TRY(wire::encode_exactly(there)));
    if (!job_.remote->unseen) send_values();
    if (!boots) send_work(std::move(side));
    return {};
  }

  void send_work(FarSide side) {
    work_.send(std::move(side), [this](const std::string& base) { (void)ledger_->note({{"base", base}}); });
  }

  void tell_engine(const json& hello) { clients_.event({{"event", "engine"}, {"at", hello.value("engine_at", 0.0)}}); }

  void take_hello(const json& hello) {
    if (!job_.remote->vm) return clients_.event({{"event", "hello"}, {"hello", hello}});  // the launcher's to judge
    if (!values_) return;
    if (auto judged = judge_baked(hello, job_, place_.vm_name, offline_); !judged)
      return give_up(std::move(judged.error()));
    tell_engine(hello);
    send_values();
    send_work(*link_.side());
  }

  // With them, that we are here: the agent's first request may be one for this side.
  void send_values() {
    if (!values_) return;
    (void)ledger_->note({{"running", true}});  // it may, before we hear of it
    link_.send(FrameType::values, wire::encode(*values_));
    values_.reset();
    values_sent_ = true;
    offer_services();
  }

  // -- what stays here and is used from there

  // It is reached from there by way of us, while we are connected.
  Result<> make_services(Job& there) {
    if (std::ranges::any_of(job_.ssh_keys, [](const SshKey& key) { return key.agent.empty(); })) {
      std::string socket = SessionAgent::socket_in(place_.directory);
      TRY(ledger_->will_make({{"ssh-agent", socket}}));
      if (job_.remote->adopt) TRY(end_agent(socket));
    }
    services_ = TRY(NearServices::make(
        job_, there, place_.directory, [this](const json& line) { send_to_guard(line); },
        [this](const json& line) { record(line); }));
    return {};
  }

  void send_to_guard(const json& line) {
    link_.send(FrameType::guard, line.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  void offer_services() {
    if (services_) link_.send(FrameType::guard, json{{"type", "relay"}, {"root", services_->root_pem()}}.dump());
  }

  // Decisions made on this side; what the far guard decided comes home with the results.
  void record(json line) {
    line["side"] = "near";
    if (!near_audit_) near_audit_.emplace(job_.directories.results + "/" + session_ + "/egress-near.jsonl");
    near_audit_->add(line);
    // The far guard tells of placeholders; values are known here alone.
    if (line.value("code", "") == "secret_to_model")
      clients_.event({{"event", "secret"},
                      {"secret", line.value("secret", "")},
                      {"host", line.value("host", "?")},
                      {"code", "secret_to_model"},
                      {"what", line.value("reason", "")}});
    if (line.value("action", "") == "deny" && told_ < 50) {
      ++told_;
      clients_.event({{"event", "denied"},
                      {"host", line.value("host", "?")},
                      {"code", line.value("code", "")},
                      {"reason", line.value("reason", "") + " (decided on this machine)"}});
    }
  }

  void turn() {
    std::vector<pollfd> fds = {{link_.fd(), POLLIN, 0}};
    clients_.add_to(fds);
    if (services_) services_->add_to(fds);
    ::poll(fds.data(), fds.size(), link_.is_coming() ? 20 : 250);
    if (asked_to_stop) stop();
    for (auto& news : link_.look(fds[0].revents)) {
      take_news(news);
      if (over_) return;
    }
    clients_.handle(fds, [&](const Frame& frame) { take_from_client(frame); });
    if (services_) services_->handle(fds);
    look_at_the_record();
    look_at_the_vm();
    look_at_delivery();
    if (running_) link_.keep_alive();
    look_at_checkpoint();
    look_at_the_time();
    look_at_the_wish_to_stop();
  }

  // What cannot be recorded here is not decided here.
  void look_at_the_record() {
    if (!near_audit_) return;
    near_audit_->retry();
    std::string why = near_audit_->full();
    if (services_) services_->set_unrecorded(why);
    if (why.empty() == unrecorded_.empty()) return;
    unrecorded_ = why;
    if (why.empty()) clients_.event({{"event", "record-back"}});
    else
      clients_.event(
          {{"event", "record-full"},
           {"what",
            "the broker on this machine refuses everything, because its decisions cannot be recorded: " + why}});
  }

  void look_at_checkpoint() {
    auto checkpoint = work_.look_at_checkpoint(running_ && link_.is_up() ? link_.side() : nullptr);
    if (!checkpoint) return;
    if (*checkpoint) {
      missed_checkpoints_ = 0;
      if (**checkpoint) clients_.event({{"event", "checkpoint"}});
    } else if (++missed_checkpoints_ == 2) {  // a single one may be a connection's that broke
      clients_.event(
          {{"event", "warning"},
           {"what", "checkpoints fail, so the work comes home only at the end: " + checkpoint->error().what}});
    }
  }

  void lives_until(const machine::Record& record) {
    deadlines_.vm_ends_at(boot_seconds() + static_cast<double>(record.until - machine::now_seconds()),
                          static_cast<double>(record.vm.ttl));
  }

  void look_at_the_time() {
    if (!running_ || deadlines_.is_stopping() || !link_.is_up() || !deadlines_.vm_is_nearly_over(boot_seconds()))
      return;
    clients_.event(
        {{"event", "warning"},
         {"what", "the time of VM " + place_.vm_name + " is nearly up; ending the session to bring its work home"}});
    stop();
  }

  static double awake_seconds() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }
  void stop() { deadlines_.ask_to_stop(awake_seconds()); }

  void look_at_the_wish_to_stop() {
    if (deadlines_.grace_is_over(awake_seconds())) services_.reset();
    if (running_ && link_.is_up() && deadlines_.patience_is_over(awake_seconds())) {
      clients_.event(
          {{"event", "warning"},
           {"what", place_.far.target.to_string() + " does not end the session; fetching what can be fetched"}});
      over_ = true;
      return;
    }
    if (deadlines_.is_stopping() && !stop_sent_ && link_.is_up() && running_) {
      stop_sent_ = true;
      link_.send(FrameType::stop, "");
    } else if (deadlines_.is_stopping() && !running_) {
      give_up({Code::canceled, "stopped before the agent ran"});
    }
    if (!running_ && !job_.remote->adopt && clients_.first_is_gone())
      give_up({Code::canceled, "the launcher exited before the agent ran"});
  }

  // -- the connection

  void take_news(FarLink::News& news) {
    switch (news.kind) {
      case FarLink::News::Kind::hello:
        take_hello(news.hello);
        break;
      case FarLink::News::Kind::frame:
        take_from_far(news.frame);
        break;
      case FarLink::News::Kind::lost:
        lose(news.error.what);
        break;
      case FarLink::News::Kind::failed:
        try_again(news.error);
        break;
      case FarLink::News::Kind::back:
        join_again();
        break;
    }
  }

  void lose(const std::string& why) {
    if (services_) services_->link_is_gone();
    if (!running_ && !values_sent_) return give_up(not_begun(why));
    if (!running_) {
      // It may have opened the gate, and the word of that was lost with the connection: it is asked.
      lost_ = why;
      if (++losses_ > kMostLosses) return give_up(not_known({Code::closed, "the connection keeps breaking", ""}));
      return link_.reconnect(place_.far);
    }
    stop_sent_ = false;
    clients_.event({{"event", "link-lost"}, {"what", why + "; the agent keeps running while bottle reconnects"}});
    link_.reconnect(place_.far);
  }

  static Error not_begun(const std::string& why) {
    return {Code::closed, why + " before the agent ran, so nothing was run", "start again"};
  }

  Error not_known(const Error& error) {
    unknown_ = true;
    return {Code::closed, lost_ + " before it was known whether the agent runs, and reconnecting failed: " + error.what,
            "if the agent runs, `bottle attach " + session_ +
                "` connects to it, and `bottle cleanup` ends it and brings its work home"};
  }

  void try_again(const Error& error) {
    if (!running_ && !job_.remote->adopt) {
      if (link_.attempts() < kMostAttempts) return link_.reconnect(place_.far);
      return give_up(not_known(error));
    }
    if (deadlines_.is_stopping() && link_.attempts() > 6) {
      // Its record stays, for the next command to try.
      Error told = Error(error).during("the session's machine cannot be reached");
      told.todo = "run `bottle cleanup` to try again";
      return give_up(std::move(told));
    }
    if (!place_.vm_name.empty() && !machine::load(place_.vm_name, vm_places(job_)))
      return is_gone({Code::not_found, "the VM " + place_.vm_name + " is gone, and so is the work that was not fetched",
                      "its last checkpoint is on refs/bottle/" + session_});
    if (link_.attempts() == 1 || link_.attempts() % 20 == 0)
      clients_.event({{"event", "link-trying"}, {"what", error.what}});
    // A host key that changed, a sign-in refused: waiting mends neither, but a laptop in a hotel's network sees both.
    link_.reconnect(place_.far);
  }

  void join_again() {
    if (!running_) clients_.event({{"event", "step"}, {"step", "reconnected"}});
    json wish = {{"session", session_}, {"from", position_}};
    if (job_.remote->adopt && position_ == 0) wish.erase("from");
    link_.send(FrameType::attach, wish.dump());
    offer_services();
    if (link_.is_up() && running_) clients_.event({{"event", "link-back"}});
  }

  // -- the far side speaks

  void take_from_far(const Frame& frame) {
    switch (frame.type) {
      case FrameType::output:
      case FrameType::diagnostic:
        position_ += frame.bytes.size();
        work_.agent_spoke();
        clients_.send(frame.type, frame.bytes);
        break;
      case FrameType::guard:
        // A machine that was not judged yet has no values, and uses nothing of what stays here either.
        if (services_ && (values_sent_ || job_.remote->adopt))
          services_->take(json::parse(frame.bytes, nullptr, false));
        break;
      case FrameType::event:
        take_event(far_words(frame.bytes));
        break;
      case FrameType::result:
        result_ = far_words(frame.bytes);
        if (result_.is_object() && result_.contains("what"))
          clients_.event(
              {{"event", "warning"}, {"what", place_.far.target.to_string() + ": " + result_.value("what", "")}});
        over_ = true;
        break;
      case FrameType::failure: {
        if (!lost_.empty() && !running_) return give_up(not_begun(lost_));  // it knows nothing of an agent
        json told = far_words(frame.bytes);
        if (!told.is_object()) told = json::object();
        Error error{Code::unavailable, told.value("what", "the remote machine gave no reason"), told.value("todo", "")};
        if (told.value("code", "") != "not_found") return give_up(std::move(error));
        error.code = Code::not_found;
        is_gone(std::move(error));
        break;
      }
      default:
        break;  // a pong
    }
  }

  void take_event(const json& event) {
    if (!event.is_object()) return;
    std::string kind = event.value("event", "");
    if (kind == "running" && !running_ && !begin_running()) return;
    if (kind == "attached") {
      if (!running_) {  // nobody is attached but to an agent that runs: the word of that was lost
        if (!begin_running()) return;
        clients_.event({{"event", "running"}, {"session", session_}});
      }
      uint64_t from = event.value("from", uint64_t{0}), missed = event.value("missed", uint64_t{0});
      position_ = from;
      if (missed) clients_.event({{"event", "missed"}, {"bytes", missed}});
      return;
    }
    if (kind != "hello") clients_.event(event);  // there was one
  }

  bool begin_running() {
    if (!work_.await_delivery(60s)) {
      give_up({Code::protocol, "the remote machine says that the agent runs, but has not received its workspace"});
      return false;
    }
    running_ = true;
    lost_.clear();
    look_at_delivery();
    write_info(job_, place_, "running");
    (void)ledger_->note({{"running", true}});
    work_.has_begun();
    return true;
  }

  void take_from_client(const Frame& frame) {
    if (frame.type == FrameType::policy && services_) services_->change_policy(frame.bytes);
    if (frame.type == FrameType::stop) stop();
    else if (frame.type == FrameType::values && !job_.remote->vm) send_values();  // of a VM, take_hello() decides
    else if (running_) link_.send(frame.type, frame.bytes);
  }

  void look_at_delivery() {
    auto delivered = work_.look_at_delivery();
    if (!delivered) return;
    if (delivered->taken) {
      for (const auto& warning : delivered->warnings) clients_.event({{"event", "warning"}, {"what", warning}});
    } else if (!running_ &&
               lost_.empty()) {  // otherwise both connections broke, and the other machine is asked already
      Error error = std::move(delivered->taken.error()).during("sending the workspace before the agent ran");
      if (error.todo.empty()) error.todo = "start again";
      give_up(std::move(error));
    }
  }

  // -- the end

  void finish() {
    work_.end_delivery();
    if (!result_.is_object()) result_ = json::object();
    (void)ledger_->note({{"ended", result_.value("exit", 125)}});
    clients_.event({{"event", "collecting"}});
    clients_.send(FrameType::result,
                  finish_session(job_, place_, link_.side(), work_.idle_fetcher(), result_, *ledger_, clients_).dump());
  }

  void fail_session(Error error) {
    link_.close();  // the far side sees its launcher go, and takes everything down
    work_.end_delivery();
    bool may_run = values_sent_ && !running_;
    if (!unknown_ && ledger_ && (!running_ || gone_))
      unknown_ = !abandon_session(job_, place_, link_.side(), may_run, clients_, error);
    if (unknown_) {  // as if it ran: whoever looks at the record next ends it there, and brings its work
      (void)ledger_->note({{"running", true}});
      write_info(job_, place_, "unattended");
    } else if (may_run) {
      (void)ledger_->note({{"running", false}});
    }
    clients_.send(
        FrameType::failure,
        json{{"code", std::string(to_string(error.code))}, {"what", error.what}, {"todo", error.todo}}.dump());
  }

  const Job& job_;
  Clients& clients_;
  std::optional<Channel> channel_;  // that the launcher began
  std::string session_;
  NearRecord place_;
  FarLink link_;
  std::optional<Values> values_;  // not sent yet
  std::optional<PendingVm> making_;
  std::optional<Ledger> ledger_;
  Transfers work_{job_};
  Deadlines deadlines_;
  std::unique_ptr<NearServices> services_;  // null: nothing stays here
  std::optional<AuditFile> near_audit_;
  std::string unrecorded_;  // why it takes no more
  int told_ = 0;
  bool offline_ = false;        // the VM has no network of its own
  std::optional<Token> token_;  // of a VM: how the sign-in token got there
  std::optional<Error> failure_;
  json result_;
  uint64_t position_ = 0;       // of the agent's output, as far as we have it
  std::string lost_;            // why the connection broke before we heard that the agent runs
  int losses_ = 0;              // how often
  bool unknown_ = false;        // whether it runs there
  bool gone_ = false;           // there is nothing of it any more
  int missed_checkpoints_ = 0;  // one after the other
  bool values_sent_ = false;
  bool running_ = false, over_ = false, stop_sent_ = false;
};

}  // namespace

void run_near_side(const Job& job, Clients& clients, std::optional<Channel> channel) {
  RemoteSession(job, clients, std::move(channel)).run();
}

}  // namespace bottle::remote
