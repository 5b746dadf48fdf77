// Supports tests of a whole session without a daemon and without root: an engine in memory, whose guard and agent are
// functions of the test, and a state directory and a workspace of the test's own.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "docker/fake/fake_engine.h"
#include "session/ledger/scratch_test.h"
#include "session/sweep/sweep.h"
#include "wire/gate.h"
#include "wire/start/job.h"
#include "wire/result.h"

namespace bottle::session {

// How a session of the tests ended.
struct Outcome {
  std::optional<wire::SessionResult> result;
  std::optional<Error> failure;
};

// The world as it was at one moment, with a copy of the test's directory. If the session's process had died then, this
// is what the next command would find.
struct Moment {
  docker::FakeCall call;
  docker::FakeWorld world;
  std::string directory;
};

inline constexpr const char* kWork = "what the agent made";

class SessionWorld : public ::testing::Test {
 protected:
  SessionWorld();

  // Runs the session of `job` to its end.
  Outcome run(docker::FakeDocker& docker);
  // Makes an engine that has the images, the shared network, things that belong to others, and our two programs.
  void furnish(docker::FakeDocker& docker);

  // Copies the world and the test's directory at this moment.
  Moment moment(docker::FakeDocker& docker, const docker::FakeCall& call);
  // Goes back to a moment as its process died then.
  void go_back(const Moment& moment, docker::FakeDocker& docker, bool does_last_call);
  // Makes the owner of the session a process that is dead, in the ledger and in the labels on the engine.
  void kill_owner(docker::FakeDocker& docker);
  std::vector<Swept> sweep_all(docker::FakeDocker& docker);

  // What is left on the engine that the session made.
  static std::set<std::string> left(docker::FakeDocker& docker);
  // Whether the agent's work is in the results, or still in its container with a ledger that knows of it.
  bool is_safe(docker::FakeDocker& docker);
  bool is_home();
  // Whether everything of others is as furnish() made it.
  static bool others_are_untouched(docker::FakeDocker& docker);
  // The texts of all calls of a session that goes well, in alphabetical order.
  std::set<std::string> calls_of_a_session();

  Scratch scratch;
  Job job;
  std::function<int(docker::FakeProcess&, const wire::Go&)> agent;
  wire::Report report{.ok = true, .probes = {{"metadata", true, "no route"}}};
};

}  // namespace bottle::session
