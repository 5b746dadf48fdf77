// Supports tests of a whole session without a daemon and without root: an engine in memory, whose guard and agent are
// functions of the test, and a separate state directory and workspace for each test.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "docker/fake/fake_engine.h"
#include "session/ledger/scratch_test.h"
#include "session/sweep/sweep.h"
#include "wire/event.h"
#include "wire/frames/frames.h"
#include "wire/gate/gate.h"
#include "wire/result.h"
#include "wire/start/job.h"

namespace bottle::session {

// Says how a session of the tests ended.
struct Outcome {
  std::optional<wire::SessionResult> result;
  std::optional<Error> failure;
  std::string output;  // of the agent, as its terminal received it
};

// Stands for the launcher's end of a session, for tests that take part in one.
class Launcher {
 public:
  explicit Launcher(UniqueFd fd) : fd_(std::move(fd)) {}
  // Sends a frame to the supervisor. Fails the test if it cannot be sent.
  void send(wire::FrameType type, std::string_view bytes) { EXPECT_TRUE(wire::send_frame(fd_.get(), type, bytes)); }
  // Reads frames until `is_wanted` accepts one. Fails the test if the session ends first.
  void await(const std::string& what, const std::function<bool(const wire::Frame&)>& is_wanted);
  template <class Kind>
  Kind await_event(const std::string& what) {
    Kind found;
    await(what, [&](const wire::Frame& frame) {
      auto event = wire::decode<wire::Event>(frame.bytes, wire::From::ours);
      auto kind = frame.type == wire::FrameType::event && event ? std::get_if<Kind>(&*event) : nullptr;
      if (kind) found = *kind;
      return kind != nullptr;
    });
    return found;
  }
  void await_output(const std::string& text);
  void leave() { fd_.reset(); }
  // Reads all frames to the end of the session, and returns how it ended.
  Outcome outcome();

 private:
  UniqueFd fd_;
  std::vector<wire::Frame> frames_;
};

// Holds the world at one moment, with a copy of the test's directory. This is what the next command would find if the
// session's process had died at that moment.
struct Moment {
  docker::FakeCall call;
  docker::FakeWorld world;
  std::string directory;  // of the copy
  std::string original;
};

inline constexpr const char* kWork = "what the agent made";

using wire::Side;

// Says what the engine does later with a call that was under way when a session's process died.
enum class PendingCall { dropped, carried_out };

// Provides a session for tests: its job, its directories, and what its agent does. Tests may run several at the same
// time.
class TestSession {
 public:
  // A session on the far side belongs to an operator on another machine: its workspace is delivered, its values come
  // later, and its work is kept as an archive. It runs no git, so it is fast.
  explicit TestSession(Side side = Side::local);

  // Gives an engine what it has before a session: images, the shared network, things that belong to others, and the
  // programs of our two containers.
  void furnish(docker::FakeDocker& docker);
  // Runs the session to its end. Meanwhile `take_part` may do what a launcher does.
  Outcome run(docker::FakeDocker& docker, const std::function<void(Launcher&)>& take_part = {});
  // Runs a session that must succeed, and returns all calls in their order.
  std::vector<docker::FakeCall> run_well();

  // Copies the world and the test's directory at this moment.
  Moment moment(docker::FakeDocker& docker, const docker::FakeCall& call) const;
  // Restores a moment, as if the session's process had died then. `pending` says what becomes of the moment's call.
  void go_to(const Moment& moment, docker::FakeDocker& docker, PendingCall pending = PendingCall::dropped);
  // Makes the owner of the session a dead process, in the ledger and in the labels on the engine.
  void kill_owner(docker::FakeDocker& docker);
  std::vector<Swept> sweep_all(docker::FakeDocker& docker);

  // Checks what must be true at every moment: work that exists is in the results or in a container that a ledger names,
  // a ledger names everything that is left of the session, and other things are unchanged.
  void check(docker::FakeDocker& docker, const std::string& when);
  // Checks what must be true once sweeps have worked: nothing is left of the session, and its work is home.
  void check_end(docker::FakeDocker& docker, const std::string& when);

  std::set<std::string> left(docker::FakeDocker& docker) const;  // on the engine, of the session
  bool is_home() const;                                          // whether the agent's work is among the results

  Scratch scratch;
  wire::Job job;
  std::chrono::milliseconds input_patience{5000};
  // Stands for the agent's program. It gets the go message that opened the gate, and returns the exit status.
  std::function<int(docker::FakeProcess&, const wire::Go&)> agent;
  // Returns what the guard writes together with its answer to a configuration. May be empty.
  std::function<std::string(const wire::GuardConfig&)> guard;
  // Returns what the guard writes when it is told to end. May be empty.
  std::function<std::string()> guard_end;
  wire::Report report{.ok = true, .probes = {{"metadata", true, "no route"}}};
  std::atomic<bool> worked = false;  // whether the agent has made something
  // Does what an agent does: makes a file with kWork.
  void work(docker::FakeProcess& process) {
    process.put("/workspace/made.txt", kWork);
    worked = true;
  }

 private:
  void deliver(const std::atomic<bool>& over) const;
};

// Calls `act` for each item, on a few threads.
template <class Items, class Act>
void for_each_at_once(const Items& items, const Act& act) {
  std::atomic<size_t> next = 0;
  std::vector<std::future<void>> threads;
  for (int i = 0; i < 4; ++i)
    threads.push_back(std::async(std::launch::async, [&] {
      for (size_t at; (at = next++) < items.size();) act(items[at]);
    }));
  for (auto& thread : threads) thread.get();
}

}  // namespace bottle::session
