// What the agent's own program wrote of the session, beside its results: results/<session>/transcript/*.jsonl.
#pragma once

#include <string>

#include "base/error.h"
#include "base/stream.h"
#include "docker/engine.h"

namespace bottle::session {

// From the places in the container where the known agents keep it. Hostile, so each line goes through the parser; 256
// files and 256 MB at most. What is not there, or cannot be kept, is no error: the work is what matters.
void save_transcript(docker::Engine& engine, const std::string& container, const std::string& results);

// One file of another machine's transcript, to its end. The same bounds; a name that is no plain one is not kept.
Result<> keep_transcript(const Source& source, const std::string& name, const std::string& results);

}  // namespace bottle::session
