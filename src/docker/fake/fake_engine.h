// Implements an engine in memory, for unit tests. It treats names, labels, states and archives as Docker does, and
// runs a function of the test instead of each container's program. Calls can fail in several ways. Tests check the
// resulting world, not the calls.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "docker/engine.h"
#include "docker/fake/fake_world.h"

namespace bottle::docker {

// Describes one call to the engine. Its text identifies the call in every run, regardless of the order in which
// threads call.
struct FakeCall {
  std::string method, object;
  int nth = 1;              // its number among the calls with this method and object, from 1
  uint64_t connection = 0;  // of a noted request to create something; otherwise 0
  // Changes the world as the call does, and returns the call's answer. Empty for streams.
  std::function<Result<std::string>(FakeWorld&)> effect = {};
  // Returns the call as tests write it, such as "create container bottle-x1-agent #1".
  std::string text() const { return method + " " + object + " #" + std::to_string(nth); }
};

// Says how a call ends.
enum class Fault {
  none,
  refused,    // the engine does nothing and answers with status 500
  silent,     // the engine does nothing, and the client stops waiting
  lost,       // the engine does it, and the connection breaks before the answer
  late,       // the client stops waiting, and the engine does it later: after the first call of is_abandoned() for it,
              // or in catch_up()
  cut,        // a stream breaks in its middle; other calls are refused
  shortened,  // a stream ends too early, as if it were complete: an archive lacks its end mark; other calls are refused
};

class FakeDocker;

// Lets a container's program use its container. Its streams end when the container is stopped or its client
// disconnects.
class FakeProcess {
 public:
  std::string read_line();        // without the line end; empty at the end of the stream
  std::string read(size_t size);  // shorter at the end of the stream
  // Writes output to the attached client (stream 1 is stdout, 2 is stderr), if there is one.
  void write(std::string_view bytes, int stream = 1);
  // Closes the stream to the client, as a proxy in front of an engine may do. The program goes on.
  void hang_up();
  // Write or read a file in the container or its volumes by absolute path. put() does nothing once the container
  // has stopped.
  void put(const std::string& path, const std::string& text);
  std::optional<std::string> file(const std::string& path) const;

 private:
  friend class FakeDocker;
  FakeDocker* docker_ = nullptr;
  std::string container_;  // id
  UniqueFd fd_;
  bool terminal_ = false;
};

// Stands for one engine. The test owns it, and it must outlive its clients. Its functions may be called from several
// threads, except the set_ functions, which must not be called during a call of the engine.
class FakeDocker {
 public:
  using Program = std::function<int(FakeProcess& process)>;  // returns the exit status

  FakeDocker() = default;
  ~FakeDocker();
  FakeDocker(const FakeDocker&) = delete;
  FakeDocker& operator=(const FakeDocker&) = delete;

  // Sets the function that runs instead of the programs of containers from images with this tag. Without one, a
  // container exits immediately.
  void set_program(const std::string& tag, Program program) { programs_[tag] = std::move(program); }
  // Sets the function that decides how each call ends. It runs on the calling thread, before the call has an effect.
  void set_fault(std::function<Fault(const FakeCall&)> fault) { fault_ = std::move(fault); }

  // Sets a function that changes answers in JSON, as a hostile engine could.
  void set_forgery(std::function<void(const FakeCall&, nlohmann::json&)> forge) { forge_ = std::move(forge); }

  // Continues from this world, in which the programs of running containers no longer have a client. If `under_way` is a
  // noted request to create something, the engine carries it out after the first call of is_abandoned() for it.
  void restore(FakeWorld world, const FakeCall* under_way = nullptr);

  // Carries out the late requests that remain. A test calls this before its final checks, because an engine carries out
  // such requests even if no client waits for them.
  void catch_up();

  // Ends a container as SIGKILL does. Does nothing if it does not exist or has ended.
  void kill(const std::string& container);

  // Make a new client of this engine, as docker::connect() would. Neither can fail.
  std::unique_ptr<Engine> connect();
  Connect connector() {
    return [this](const Endpoint&) { return Result<std::unique_ptr<Engine>>(connect()); };
  }

  // Calls `act` with the world, to read or change it. No call has an effect in the meantime.
  template <class Do>
  auto with_world(const Do& act) {
    std::scoped_lock hold(mutex_);
    return act(world_);
  }
  // Return copies: the world at this moment, and all calls so far, in the order in which they began.
  FakeWorld world() {
    return with_world([](FakeWorld& world) { return world; });
  }
  std::vector<FakeCall> calls() {
    std::scoped_lock hold(mutex_);
    return calls_;
  }

 private:
  friend class FakeEngine;
  friend class FakeProcess;
  using Effect = decltype(FakeCall::effect);
  using Note = std::function<Result<>(uint64_t)>;

  struct Stdio {
    UniqueFd own;    // our end, until the program gets it
    int other = -1;  // the other end, not owned; used to end the stream when the container is stopped
  };

  // Records the call with its number, and returns how it must end.
  Fault begin(FakeCall call);
  // Performs a call with its fault.
  Result<std::string> perform(const std::string& method, const std::string& object, const Effect& effect,
                              const Note& note = {});
  Result<nlohmann::json> ask(const std::string& method, const std::string& object,
                             const std::function<Result<nlohmann::json>(FakeWorld&)>& answer);
  Result<Attached> attach(const std::string& reference);
  Result<> start(FakeWorld& world, const std::string& reference);
  void finish(const std::string& id, int status);  // needs the lock
  void run(const std::string& id, FakeProcess process, const Program& program);

  std::mutex mutex_;
  std::condition_variable ended_;
  FakeWorld world_;
  std::vector<FakeCall> calls_;
  std::map<std::string, Program> programs_;
  std::function<Fault(const FakeCall&)> fault_;
  std::function<void(const FakeCall&, nlohmann::json&)> forge_;
  std::map<uint64_t, std::pair<Effect, int>>
      late_;  // by connection: what will be done, and how often is_abandoned() was called for it
  std::map<std::string, Stdio> stdio_;  // by id
  uint64_t connections_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace bottle::docker
