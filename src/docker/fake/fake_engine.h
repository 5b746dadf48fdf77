// An engine in memory, for unit tests. It does what Docker does with names, labels, states and archives, and runs a
// function of the test in place of each container's program. Calls can fail in several ways. A test asserts on the
// world that results, not on the calls.
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

// One call to the engine. The text names it in every run, whatever the order in which threads call.
struct FakeCall {
  std::string method, object;
  int nth = 1;              // of the calls with this method and object
  uint64_t connection = 0;  // of a create that was noted
  std::function<Result<std::string>(FakeWorld&)> effect = {};
  std::string text() const { return method + " " + object + " #" + std::to_string(nth); }
};

// How a call ends.
enum class Fault {
  none,
  refused,  // the engine does nothing and says so (500)
  silent,   // the engine does nothing, and the client stops waiting
  lost,     // the engine does it, and the connection breaks before the answer
  late,     // the client stops waiting, and the engine does it later: when is_abandoned() was asked once
  cut,      // a stream breaks in its middle; other calls are refused
};

class FakeDocker;

// What a container's program sees of its container. Its streams end when the container is stopped or its client goes.
class FakeProcess {
 public:
  std::string read_line();        // without its end; empty at the end of the stream
  std::string read(size_t size);  // shorter at the end of the stream
  void write(std::string_view bytes, int stream = 1);
  void put(const std::string& path, const std::string& text);
  std::optional<std::string> file(const std::string& path) const;

 private:
  friend class FakeDocker;
  FakeDocker* docker_ = nullptr;
  std::string container_;  // id
  UniqueFd fd_;
  bool terminal_ = false;
};

class FakeDocker {
 public:
  using Program = std::function<int(FakeProcess& process)>;  // returns the exit status

  FakeDocker() = default;
  ~FakeDocker();
  FakeDocker(const FakeDocker&) = delete;
  FakeDocker& operator=(const FakeDocker&) = delete;

  // Runs instead of the programs of containers from images with this tag. Without one, a container ends at once.
  void set_program(const std::string& tag, Program program) { programs_[tag] = std::move(program); }
  // Decides how each call ends. Called on the thread that calls, before the call has an effect.
  void set_fault(std::function<Fault(const FakeCall&)> fault) { fault_ = std::move(fault); }

  // Changes an answer that is JSON, as a hostile engine could.
  void set_forgery(std::function<void(const FakeCall&, nlohmann::json&)> forge) { forge_ = std::move(forge); }

  // Continues from this world, in which the programs of running containers have no client any more. If `under_way` is a
  // noted create, it is done when is_abandoned() was asked about it once.
  void restore(FakeWorld world, const FakeCall* under_way = nullptr);

  // Does what is late and was not asked about. A test calls this before it looks at the end, because an engine does
  // such requests whether or not anyone waits for them.
  void catch_up();

  std::unique_ptr<Engine> connect();
  Connect connector() {
    return [this](const Endpoint&) { return Result<std::unique_ptr<Engine>>(connect()); };
  }

  // Reads or changes the world. No call has an effect in the meantime.
  template <class Do>
  auto with_world(const Do& act) {
    std::scoped_lock hold(mutex_);
    return act(world_);
  }
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
    int other = -1;  // borrowed: to end the stream when the container is stopped
  };

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
  std::map<uint64_t, std::pair<Effect, int>> late_;  // by connection: what will be done, how often it was asked about
  std::map<std::string, Stdio> stdio_;               // by id
  uint64_t connections_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace bottle::docker
