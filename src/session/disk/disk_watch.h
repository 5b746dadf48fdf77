// Enforces the limit for what an agent writes (`resources.disk`). No engine limits a container's layer and its volumes
// together, and most limit neither. Therefore the supervisor watches how full the engine's disk is, with one statfs(2)
// every half second. When the disk has lost as much space as the agent may still use, a meter counts what the agent
// wrote (meter.h).
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "docker/engine.h"
#include "session/disk/clock_steps.h"
#include "session/disk/disk_trigger.h"
#include "session/disk/meter.h"
#include "wire/start/job.h"

namespace bottle::session {

// Returns where an engine keeps layers and volumes.
wire::EngineStorage storage_of(const docker::EngineInfo& info);

// Returns the directories in which an engine keeps layers and volumes, if their disks show how much an agent writes.
// Returns none if the engine does not run on this machine's kernel, because an engine in a VM may have directories of
// the same names, or if something below them is on a disk of its own. `mounts` is mount_list().
std::vector<std::string> directories_of(const wire::EngineStorage& storage, const Result<std::string>& mounts);

// Adds a storage option to an agent's container that limits its writable layer, if the engine's storage driver may have
// one. The layer then cannot exceed the limit even for a moment. `image_size` is in bytes. Returns whether it was
// added. On overlay2, only making a container shows whether the disk has project quotas.
bool limit_layer(nlohmann::json& container, const wire::EngineStorage& storage, uint64_t limit, uint64_t image_size);

// Watches the disk for one session. The launch makes it before the gate opens, and watch() calls check() in its loop.
// Must be used on one thread.
class DiskWatch {
 public:
  static constexpr std::chrono::milliseconds kPause{500};  // between two checks of the disk
  using Clock = std::function<DiskTrigger::Time()>;
  // Reads how full the disk is, so the agent must not run yet. `engine` and `job` must outlive this object. `labels`
  // are for the meter's container.
  DiskWatch(docker::Engine& engine, const wire::Job& job, std::vector<std::string> directories, Labels labels,
            Clock clock = std::chrono::steady_clock::now);
  // Returns why the agent must be stopped, or an empty string. Call it at least once per kPause while the agent runs.
  // Does not block.
  std::string check();
  // Waits for a count that is under way. Blocks for a minute at most.
  void end();

 private:
  struct Count {
    wire::WrittenCount written{.complete = false};
    DiskTrigger::Duration took{};
  };
  // state() reads the present state of the disk, or nothing if it is not one of this machine's. count() starts a meter
  // and blocks until it has counted. judge() returns why the agent must be stopped after this count, or an empty
  // string. look_at_clock() notes whether the clock was set.
  std::optional<DiskState> state() const;
  Result<Count> count(std::chrono::seconds behind) const;
  std::string judge(const Result<Count>& count);
  void look_at_clock();

  docker::Engine& engine_;
  const wire::Job& job_;
  std::vector<std::string> directories_;
  Labels labels_;
  Clock clock_;
  DiskTrigger trigger_;
  ClockSteps clock_steps_;
  DiskTrigger::Time looked_at_{};
  int failures_ = 0;
  std::future<Result<Count>> counting_;
};

}  // namespace bottle::session
