#include "session/remote_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/ids.h"
#include "docker/tar.h"
#include "session/delivery.h"
#include "session/gate.h"
#include "session/homecoming.h"
#include "session/ledger.h"
#include "session/near_end.h"
#include "session/sweep.h"
#include "session/vm_part.h"
#include "workspace/workspace.h"

namespace bottle::session {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kPing = 5s;          // so often we ask whether the other side is there
constexpr auto kSilence = 13s;      // so long it may not have answered
constexpr auto kCheckpoint = 60s;
constexpr auto kIdle = 10s;         // no output for so long after some: a good moment for a checkpoint
constexpr auto kFetchPatience = 300s;

volatile sig_atomic_t asked_to_stop = 0;

// Seconds that include those the machine slept; the difference to the steady clock is what a closed lid took.
double awake_and_asleep() {
#ifdef CLOCK_BOOTTIME
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
#else
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
#endif
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Lines from a thread that may outlive who reads them.
class Steps {
 public:
  void add(const std::string& line) {
    std::lock_guard lock(mutex_);
    lines_.push_back(line);
  }
  std::vector<std::string> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

class RemoteSession {
 public:
  RemoteSession(const Job& job, Clients& clients, std::optional<Channel> channel)
      : job_(job), clients_(clients), channel_(std::move(channel)), session_(job.plan.session), directory_(job.directories.sessions + "/" + session_), where_(job.remote->far) {}

  void run() {
    struct sigaction action{};
    action.sa_handler = [](int) { asked_to_stop = 1; };
    ::sigaction(SIGTERM, &action, nullptr);
    stop_wanted_ = job_.remote->stop;
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
      ledger_ = TRY(Ledger::adopt(directory_, owner));
      auto view = TRY(read_ledger(directory_));
      base_ = view.base;
      if (view.vm.is_object()) vm_name_ = view.vm.value("name", "");
      if (!vm_name_.empty()) (void)machine::take_over(vm_name_, vm_places());  // gone: the far side cannot be reached, and it will be told
      running_ = true;
      ::unlink((directory_ + "/socket").c_str());
    } else {
      ledger_ = TRY(Ledger::create(directory_, owner));
      TRY(ledger_->note({{"remote", to_json(where_)}, {"session", session_}, {"plan", plan::to_json(job_.plan)}}));
    }
    TRY(make_directories(job_.directories.results + "/" + session_));
    TRY(clients_.listen(directory_ + "/socket"));
    write_info(running_ ? "running" : "starting");
    if (job_.remote->adopt) reconnect();
    else if (job_.remote->vm) make_vm();
    else {
      far_ = TRY(FarSide::reach(where_, false));
      TRY(send_job());
    }
    return {};
  }

  // On a thread that nobody waits for: making a VM takes minutes, and whoever gives up in the meantime destroys it.
  void make_vm() {
    vm_name_ = machine::new_vm_name(session_);
    auto promise = std::make_shared<std::promise<Result<ReadyVm>>>();
    making_ = promise->get_future();
    // On this thread, before there can be a VM.
    auto noted = ledger_->note({{"vm", {{"name", vm_name_}, {"provider", job_.remote->vm->provider}, {"wanted", to_json(*job_.remote->vm)}}}});
    std::thread([job = job_, name = vm_name_, noted, promise, steps = steps_] {
      auto will_make = [&](const json&) { return noted; };
      promise->set_value(make_session_vm(job, name, will_make, [&](const std::string& line) { steps->add(line); }));
    }).detach();
  }

  void look_at_the_vm() {
    for (const auto& line : steps_->take()) clients_.event({{"event", "step"}, {"step", line}});
    if (!making_.valid() || making_.wait_for(0s) != std::future_status::ready) return;
    auto made = making_.get();
    if (!made) return give_up(std::move(made.error()).during("making the VM"));
    where_ = made->far;
    far_ = std::move(made->side);
    offline_ = made->vm.offline;
    token_ = made->token;
    channel_ = std::move(made->channel);
    (void)ledger_->note({{"remote", to_json(where_)}});
    const auto& t = made->vm.timings;
    clients_.event({{"event", "vm"}, {"name", vm_name_}, {"created", t.created}, {"ssh", t.ssh}, {"rotated", t.rotated}, {"target", where_.target.to_string()}, {"engine_at", channel_->hello.value("engine_at", 0.0)}});
    if (auto sent = send_job(); !sent) give_up(sent.error());
  }

  void give_up(Error error) {
    failure_ = std::move(error);
    over_ = true;
  }

  Result<> send_job() {
    Job there = job_;
    there.remote.reset();
    there.far = true;
    there.relay_all = offline_;
    if (token_) {
      there.token = *token_;
      if (token_->via != Token::Via::job) there.values.secrets.erase(token_->name);
    }
    there.plan.skills.clear();  // they travel with the workspace
    // What stays on this side is reached from there by way of us, while we are connected.
    if (std::ranges::any_of(job_.ssh_keys, [](const SshKey& key) { return key.agent.empty(); })) TRY(ledger_->will_make({{"ssh-agent", SessionAgent::socket_in(directory_)}}));
    near_end_ = TRY(NearEnd::make(job_, there, directory_, [this](const json& line) { send_to_guard(line); }, [this](const json& line) { record(line); }));
    // 200 KB on a connection that was idle are several round trips: what is there is not sent again.
    if (std::string roots = content_hash(job_.ca_bundle); roots == job_.remote->roots) {
      there.kept_roots = roots;
      there.ca_bundle.clear();
    }
    TRY(send_bytes(channel_->in.get(), encode(FrameType::job, to_json(there).dump())));
    heard_ = Clock::now();
    delivery_ = std::async(std::launch::async, [this] { return deliver(); });
    return {};
  }

  Result<> deliver() {
    return far_->send({"deliver", session_}, [&](const Sink& sink) -> Result<> {
      DeliveryWriter writer(sink);
      auto chunk = [&](std::string_view bytes) -> Result<> { return writer.data(bytes); };
      if (!job_.plan.skills.empty()) {
        TRY(writer.begin("/"));
        docker::TarWriter tar(chunk);
        TRY(put_skills(tar, job_.plan));
        TRY(tar.finish());
        TRY(writer.end_archive());
      }
      if (job_.plan.workspace_mode == manifest::WorkspaceMode::copy || job_.plan.workspace_mode == manifest::WorkspaceMode::clone) {
        TRY(writer.begin(job_.plan.workdir));
        auto sent = TRY(workspace::send({job_.plan.workspace_mode, job_.plan.workspace, job_.plan.uid, job_.plan.gid,
                                           job_.directories.sessions + "/" + session_}, chunk));
        TRY(writer.end_archive());
        base_ = sent.base;
        warnings_ = sent.warnings;
      }
      return writer.finish();
    });
  }

  // -- what stays here and is used from there

  void send_to_guard(const json& line) {
    if (!channel_ || link_failed_) return;
    if (!send_frame(channel_->in.get(), FrameType::guard, line.dump(-1, ' ', false, json::error_handler_t::replace))) link_failed_ = true;
  }

  void offer_near_end() {
    if (near_end_ && channel_ && !send_frame(channel_->in.get(), FrameType::guard, json{{"type", "relay"}}.dump())) link_failed_ = true;
  }

  // Decisions made on this side; what the far guard decided comes home with the results.
  void record(const json& line) {
    if (!near_audit_) near_audit_.reset(::open((job_.directories.results + "/" + session_ + "/egress-near.jsonl").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    (void)write_all(near_audit_.get(), line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
    if (line.value("action", "") == "deny" && told_ < 50) {
      ++told_;
      clients_.event({{"event", "denied"}, {"host", line.value("host", "?")}, {"code", line.value("code", "")}, {"reason", line.value("reason", "") + " (decided here)"}});
    }
  }

  void turn() {
    std::vector<pollfd> fds = {{channel_ ? channel_->out.get() : -1, POLLIN, 0}};
    clients_.add_to(fds);
    if (near_end_) near_end_->add_to(fds);
    ::poll(fds.data(), fds.size(), reconnecting_.valid() ? 20 : 250);
    if (asked_to_stop) stop_wanted_ = true;
    if (fds[0].revents) read_channel();
    clients_.handle(fds, [&](const Frame& frame) { take_from_client(frame); });
    if (near_end_) near_end_->handle(fds);
    if (std::exchange(link_failed_, false) && channel_) lose("the connection broke");
    if (over_) return;
    look_at_the_vm();
    look_at_delivery();
    look_at_the_clock();
    look_at_reconnection();
    look_at_checkpoint();
    if (stop_wanted_ && !stop_sent_ && channel_ && running_) {
      stop_sent_ = true;
      if (!send_frame(channel_->in.get(), FrameType::stop, "")) lose("the connection broke");
    } else if (stop_wanted_ && !running_) {
      give_up({Code::canceled, "stopped before the agent ran"});
    }
    if (!running_ && !job_.remote->adopt && clients_.first_is_gone()) {
      give_up({Code::canceled, "the launcher went away before the agent ran"});
    }
  }

  // -- the far side speaks

  void read_channel() {
    char buffer[65536];
    ssize_t n = ::read(channel_->out.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) return lose("the connection broke");
    heard_ = Clock::now();
    frames_.feed({buffer, static_cast<size_t>(n)});
    for (;;) {
      auto frame = frames_.next();
      if (!frame) {
        if (frame.error().code != Code::unavailable) lose("the other machine sent nonsense");
        return;
      }
      take_from_far(*frame);
      if (over_ || !channel_) return;
    }
  }

  void take_from_far(const Frame& frame) {
    switch (frame.type) {
      case FrameType::output:
      case FrameType::diagnostic:
        position_ += frame.bytes.size();
        last_output_ = Clock::now();
        dirty_ = true;
        clients_.send(frame.type, frame.bytes);
        break;
      case FrameType::guard:
        if (near_end_) near_end_->take(json::parse(frame.bytes, nullptr, false));
        break;
      case FrameType::event: take_event(cleaned(json::parse(frame.bytes, nullptr, false))); break;
      case FrameType::result: {
        auto result = cleaned(json::parse(frame.bytes, nullptr, false));
        if (!result.is_object()) return lose("the other machine sent nonsense");
        result_ = std::move(result);
        over_ = true;
        break;
      }
      case FrameType::failure: {
        auto told = cleaned(json::parse(frame.bytes, nullptr, false));
        bool unknown = told.is_object() && told.value("code", "") == "not_found";
        failure_ = Error{unknown ? Code::not_found : Code::unavailable, told.is_object() ? told.value("what", "it said nothing") : "it said nothing", told.is_object() ? told.value("todo", "") : ""};
        over_ = true;
        break;
      }
      default: break;  // a pong
    }
  }

  void take_event(const json& event) {
    if (!event.is_object()) return;
    std::string kind = event.value("event", "");
    if (kind == "running") {
      if (delivery_.valid()) delivery_.wait();
      running_ = true;
      write_info("running");
      offer_near_end();
      (void)ledger_->note({{"running", true}, {"base", base_}});
      last_checkpoint_ = Clock::now();
    }
    if (kind == "attached") {
      uint64_t from = event.value("from", uint64_t{0}), missed = event.value("missed", uint64_t{0});
      position_ = from;
      if (missed) clients_.event({{"event", "missed"}, {"bytes", missed}});
      return;
    }
    clients_.event(event);
  }

  void take_from_client(const Frame& frame) {
    if (frame.type == FrameType::policy && near_end_) near_end_->change_policy(frame.bytes);
    if (frame.type == FrameType::stop) stop_wanted_ = true;
    else if (channel_ && running_ && !send_frame(channel_->in.get(), frame.type, frame.bytes)) lose("the connection broke");
  }

  // -- the connection

  void lose(const std::string& why) {
    channel_.reset();
    frames_ = FrameReader();
    if (near_end_) near_end_->link_is_gone();
    if (!running_) {
      return give_up({Code::closed, why + " before the agent ran: nothing was run", "start again"});
    }
    stop_sent_ = false;
    clients_.event({{"event", "link-lost"}, {"what", why + "; the agent goes on, and the connection is made again"}});
    attempts_ = 0;
    reconnect();
  }

  void reconnect() {
    if (reconnecting_.valid()) return;
    int wait_ms = std::min(250 << std::min(attempts_, 6), 15000);
    if (attempts_ == 0) wait_ms = 0;
    ++attempts_;
    reconnecting_ = std::async(std::launch::async, [far = where_, wait_ms]() -> Result<std::pair<FarSide, Channel>> {
      std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
      // The old connection may believe that it lives: a network that changed tells nobody.
      if (auto old = FarSide::reach(far, false); old) {
        if (auto channel = old->serve()) return std::pair(std::move(*old), std::move(*channel));
        old->drop();
      }
      FarSide side = TRY(FarSide::reach(far, false));
      Channel channel = TRY(side.serve());
      return std::pair(std::move(side), std::move(channel));
    });
  }

  void look_at_reconnection() {
    if (!reconnecting_.valid() || reconnecting_.wait_for(0s) != std::future_status::ready) return;
    auto back = reconnecting_.get();
    if (!back) {
      if (stop_wanted_ && attempts_ > 6) {
        // Its record stays, for the next command to try.
        failure_ = std::move(back.error()).during("the session goes on, or has ended, where it cannot be reached");
        failure_->todo = "bottle cleanup tries again";
        over_ = true;
        return;
      }
      if (!vm_name_.empty() && !machine::load(vm_name_, vm_places()))
        return give_up({Code::not_found, "the VM " + vm_name_ + " is gone, and with it what was not fetched", "its last checkpoint is on refs/bottle/" + session_});
      if (attempts_ == 1 || attempts_ % 20 == 0) clients_.event({{"event", "link-trying"}, {"what", back.error().what}});
      // A host key that changed, a sign-in refused: waiting mends neither, but a laptop in a hotel's network sees both.
      return reconnect();
    }
    far_ = std::move(back->first);
    channel_ = std::move(back->second);
    heard_ = pinged_ = Clock::now();
    json wish = {{"session", session_}, {"from", position_}};
    if (job_.remote->adopt && position_ == 0) wish.erase("from");
    if (!send_frame(channel_->in.get(), FrameType::attach, wish.dump())) return lose("the connection broke again");
    offer_near_end();
    clients_.event({{"event", "link-back"}});
  }

  void look_at_the_clock() {
    double now = awake_and_asleep();
    bool slept = last_turn_ > 0 && now - last_turn_ > 10;
    last_turn_ = now;
    if (!channel_ || !running_) return;
    if (slept) {
      // Whatever the connection was, the other end has given it up or soon will: ask at once, and not for long.
      heard_ = Clock::now() - kSilence + 3s;
      pinged_ = {};
    }
    if (Clock::now() - pinged_ > kPing) {
      pinged_ = Clock::now();
      if (!send_frame(channel_->in.get(), FrameType::ping, "")) return lose("the connection broke");
    }
    if (Clock::now() - heard_ > kSilence) {
      if (far_) far_->connection().close();
      lose("the other machine does not answer");
    }
  }

  // -- the work

  void look_at_delivery() {
    if (!delivery_.valid() || delivery_.wait_for(0s) != std::future_status::ready) return;
    auto delivered = delivery_.get();
    if (delivered) {
      for (const auto& warning : warnings_) clients_.event({{"event", "warning"}, {"what", warning}});
      return;
    }
    if (running_) return;
    failure_ = std::move(delivered.error()).during("sending the workspace");
    over_ = true;
  }

  void look_at_checkpoint() {
    if (checkpoint_.valid()) {
      if (checkpoint_.wait_for(0s) != std::future_status::ready) return;
      auto done = checkpoint_.get();
      if (done && *done) clients_.event({{"event", "checkpoint"}});
      last_checkpoint_ = Clock::now();
      return;
    }
    using manifest::WorkspaceMode;
    if (!channel_ || !running_ || job_.plan.workspace_mode == WorkspaceMode::none) return;
    auto now = Clock::now();
    bool idle = dirty_ && now - last_output_ > kIdle && now - last_checkpoint_ > 2 * kIdle;
    if (now - last_checkpoint_ < kCheckpoint && !idle) return;
    dirty_ = false;
    if (!home_) home_.emplace(job_, base_);
    checkpoint_ = std::async(std::launch::async, [this, side = *far_]() mutable { return home_->checkpoint(side); });
  }

  // -- the end

  void finish() {
    if (checkpoint_.valid()) checkpoint_.wait();
    (void)ledger_->note({{"ended", result_.value("exit", 125)}});
    clients_.event({{"event", "collecting"}});
    if (!home_) home_.emplace(job_, base_);
    json result = {{"session", session_}, {"exit", std::clamp(result_.value("exit", 125), 0, 255)}, {"egress", result_.value("egress", json::object())}};
    auto back = bring_home();
    bool home = back.has_value();
    result["back"] = home ? *back : json{{"error", back.error().what}, {"text", "The work is still on " + where_.target.to_string() + ": bottle attach " + session_ + " fetches it."}};
    json receipt = result_.value("receipt", json::object());
    if (home) {
      auto forgotten = far_->ask({"forget", session_});
      bool gone = forgotten && forgotten->status == 0;
      receipt["forgotten"] = gone;
      if (!gone) receipt["left"].push_back("results on " + where_.target.to_string());
      receipt["confirmed"] = receipt.value("confirmed", false) && gone;
    } else {
      receipt["confirmed"] = false;
    }
    receipt["machine"] = where_.target.to_string();
    if (!vm_name_.empty()) destroy_vm(home, receipt);
    result["receipt"] = receipt;
    (void)write_file_atomically(job_.directories.results + "/" + session_ + "/result.json", result.dump(2) + "\n");
    if (home && receipt.value("confirmed", false)) remove_session_directory(directory_);
    else write_info(home ? "left behind" : "unfetched");
    clients_.send(FrameType::result, result.dump());
  }

  // Not before the work is here; then until the provider itself says that nothing is left.
  void destroy_vm(bool home, json& receipt) {
    bool keep = job_.remote->vm && job_.remote->vm->keep;
    if (!home || keep) {
      receipt["vm"] = {{"name", vm_name_}, {"kept", true}, {"why", home ? "--keep" : "the work could not be fetched: it stays until its time is up"}};
      if (!home) (void)machine::hold(vm_name_, vm_places());
      return;
    }
    clients_.event({{"event", "destroying"}, {"vm", vm_name_}});
    if (far_) far_->drop();
    auto destroyed = destroy_session_vm(vm_name_, provider(), job_, [&](const std::string& line) { clients_.event({{"event", "step"}, {"step", line}}); });
    if (destroyed) {
      receipt["vm"] = machine::to_json(*destroyed);
      // Gone with its disk: what could not be removed on it does not matter any more.
      receipt["confirmed"] = destroyed->confirmed;
      if (destroyed->confirmed) receipt["left"] = json::array();
      else receipt["left"].push_back("VM " + vm_name_);
    } else {
      receipt["vm"] = {{"name", vm_name_}, {"confirmed", false}, {"error", destroyed.error().what}};
      receipt["left"].push_back("VM " + vm_name_ + ": " + destroyed.error().what);
      receipt["confirmed"] = false;
    }
  }

  machine::Places vm_places() const { return machine::Places::from(job_.remote->vm ? job_.remote->vm->environment : machine::Environment()); }
  std::string provider() const { return job_.remote->vm ? job_.remote->vm->provider : ""; }

  // The pull must succeed before anything there goes: it is tried until it does, for minutes.
  Result<json> bring_home() {
    auto deadline = Clock::now() + kFetchPatience;
    for (int attempt = 0;; ++attempt) {
      auto side = far_ ? Result<FarSide>(*far_) : FarSide::reach(where_, false);
      auto back = side ? home_->fetch(*side) : Result<json>(std::unexpected(side.error()));
      if (back) {
        far_ = *side;
        return back;
      }
      if (Clock::now() > deadline) return back;
      if (attempt == 0) clients_.event({{"event", "link-lost"}, {"what", "the work could not be fetched yet: " + back.error().what}});
      if (far_) far_->drop();
      far_.reset();
      std::this_thread::sleep_for(std::chrono::milliseconds(std::min(500 << std::min(attempt, 5), 15000)));
    }
  }

  void fail_session(Error error) {
    channel_.reset();  // the far side sees its launcher go, and takes everything down
    if (delivery_.valid() && delivery_.wait_for(0s) != std::future_status::ready) {
      // It may wait there for a session that never began.
      if (far_) {
        if (auto bulk = far_->bulk()) bulk->close();
      }
      delivery_.wait();
    }
    bool gone = running_ && error.code == Code::not_found;
    if (ledger_ && (!running_ || gone)) {
      // What the far side says of itself once more, so that "nothing was left" is not a guess.
      if (far_) (void)far_->ask({"forget", session_});
      ::rmdir((job_.directories.results + "/" + session_).c_str());
      bool clean = true;
      if (!vm_name_.empty()) {
        json receipt = {{"left", json::array()}};
        destroy_vm(true, receipt);
        clean = receipt.value("confirmed", false);
        if (!clean) error.todo = "the VM " + vm_name_ + " may still be there: bottle cleanup";
      }
      if (clean) remove_session_directory(directory_);
    }
    clients_.send(FrameType::failure, json{{"code", std::string(to_string(error.code))}, {"what", error.what}, {"todo", error.todo}}.dump());
  }

  void write_info(const char* state) {
    auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    (void)write_file_atomically(directory_ + "/info.json", json{{"session", session_},
                                                                {"agent", job_.plan.agent},
                                                                {"bottle", job_.plan.bottle},
                                                                {"workspace", job_.plan.workspace},
                                                                {"machine", where_.target.to_string()},
                                                                {"state", state},
                                                                {"started", now}}
                                                               .dump());
  }

  const Job& job_;
  Clients& clients_;
  std::optional<Channel> channel_;
  std::optional<FarSide> far_;
  std::string session_, directory_, base_, vm_name_;
  Far where_;
  std::shared_ptr<Steps> steps_ = std::make_shared<Steps>();
  std::future<Result<ReadyVm>> making_;
  std::vector<std::string> warnings_;
  std::optional<Ledger> ledger_;
  FrameReader frames_;
  std::future<Result<>> delivery_;
  std::future<Result<std::pair<FarSide, Channel>>> reconnecting_;
  std::future<Result<bool>> checkpoint_;
  std::optional<Homecoming> home_;
  std::unique_ptr<NearEnd> near_end_;  // null: nothing stays here
  UniqueFd near_audit_;
  int told_ = 0;
  bool offline_ = false;  // the VM has no network of its own
  std::optional<Token> token_;  // of a VM: how the sign-in token got there
  bool link_failed_ = false;
  std::optional<Error> failure_;
  json result_;
  uint64_t position_ = 0;  // of the agent's output, as far as we have it
  bool running_ = false, over_ = false, stop_wanted_ = false, stop_sent_ = false, dirty_ = false;
  int attempts_ = 0;
  double last_turn_ = 0;
  Clock::time_point heard_{}, pinged_{}, last_output_{}, last_checkpoint_ = Clock::now();
};

}  // namespace

void run_remote(const Job& job, Clients& clients, std::optional<Channel> channel) { RemoteSession(job, clients, std::move(channel)).run(); }

}  // namespace bottle::session
