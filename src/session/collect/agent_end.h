// Makes sure that the agent's container has ended before its work is collected, and finds out why a container ended.
#pragma once

#include <string>

#include "docker/engine.h"

namespace bottle::session {

struct AgentEnd {
  int status = 0;            // as the engine reports it
  bool was_stopped = false;  // it was still running, and end_agent() has stopped it
};

// Waits until the agent's container has ended, and stops it if it goes on running. Call it once the agent's stream has
// ended, which alone proves nothing: a proxy in front of the engine may close an idle connection, and containers may
// outlive a restart of the engine. Fails if the container may still run, so that its work may still change. Blocks
// as long as a few calls may take, and while the engine cannot be reached for up to a minute.
Result<AgentEnd> end_agent(docker::Engine& engine, const std::string& container);

// Returns whether, according to the engine, a container that has ended ran out of memory. Blocks.
bool ran_out_of_memory(docker::Engine& engine, const std::string& container);

// Returns how a container ended, as the rest of a sentence. Blocks for at most 5 s until it has ended.
std::string cause_of_death(docker::Engine& engine, const std::string& container);

}  // namespace bottle::session
