// Saves the session's transcript, which the agent's own program records, as results/<session>/transcript/*.jsonl.
#pragma once

#include <string>

#include "base/error.h"
#include "base/stream.h"
#include "docker/engine.h"

namespace bottle::session {

// Copies the transcript from the places in the container where the known agents keep it. The data is hostile, so each
// line goes through the parser; at most 256 files and 256 MB are kept. A transcript that is missing or cannot be kept
// is not an error, because only the work is essential.
void save_transcript(docker::Engine& engine, const std::string& container, const std::string& results);

// Keeps one file of another machine's transcript, read to its end, with the same limits. Skips a file whose name is not
// plain.
Result<> keep_transcript(const Source& source, const std::string& name, const std::string& results);

}  // namespace bottle::session
