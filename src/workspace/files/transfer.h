// Defines what is to be sent or received, and the results of doing so.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/stream.h"
#include "git/settings.h"
#include "manifest/manifest.h"

namespace bottle::workspace {

// Says what to send, and how. The session makes it from its plan.
struct Outgoing {
  manifest::WorkspaceMode mode = manifest::WorkspaceMode::clone;
  std::string source;         // the operator's directory, absolute
  uint32_t uid = 0, gid = 0;  // owner inside the bottle
  std::string scratch;        // a directory that belongs to bottle, made if necessary; afterward it is empty, or its
                              // owner empties it
  std::string prefix = {};    // put before every path in the stream: "workspace/" or empty
  std::string home = {};      // the same for the agent's home directory: "home/agent/"; empty if nothing is put there
  std::string record = {};    // a directory that belongs to bottle, for what receive() compares with; if empty, it
                              // compares with the base
  uint64_t time = 0;          // modification time of all that is not copied as it is on the disk, in seconds since
                              // 1970; 0 means now
  std::string start = {};     // the directory below `source` in which the agent starts; empty for `source` itself
  std::vector<std::string> include = {};  // uncommitted files that a clone includes: patterns as in .gitignore
  bool keep_ignored = false;              // as in Incoming; stored in the record for receive()
  std::vector<std::string> keep = {};
  std::stop_token stop = {};  // ends the sending, with Code::canceled
};

// Says what was sent.
struct Summary {
  std::string base;  // commit the work starts from; empty if `source` is not the top of a repository or has no commit
  uint64_t files = 0, bytes = 0, skipped = 0;
  std::vector<std::string> warnings;  // for the operator; safe to print
};

// Says what comes back, and what the limits are. The archive is hostile, but all fields here come from bottle.
struct Incoming {
  std::string session;                 // [a-z0-9-]{1,40}
  std::string source;                  // as in Outgoing
  std::string base;                    // as in Summary
  std::string results_dir;             // made if necessary; changes.patch goes here
  std::string scratch;                 // as in Outgoing
  std::string record = {};             // as in Outgoing
  bool elsewhere = false;              // the operator's shell may be in a directory other than `source`
  bool keep_ignored = false;           // ignored files come back too, into the results
  std::vector<std::string> keep = {};  // if not empty, only these ignored files: patterns as in .gitignore
  uint64_t max_bytes = 16ull << 30;    // limit for files, and for git directories; what does not fit is left behind
  uint64_t max_entries = 1'000'000;
  uint64_t max_held = 64 << 20;  // limit in bytes for paths and link targets that are kept in memory until everything
                                 // has arrived
  std::chrono::seconds max_time = std::chrono::hours(1);  // counted from when the tar has arrived
  uint64_t* room = nullptr;  // bytes that may still be added to the operator's repository, counted down across several
                             // calls; null means max_bytes
  // Limit for each git process that reads the agent's objects: a few bytes can unpack to any size.
  uint64_t max_memory = 2ull << 30;
  std::string inside = "/workspace";  // where the workspace was in the bottle
  // Reads the operator's settings of git. It is called if there is a repository in the workspace.
  std::function<git::OperatorsConfiguration()> operators = git::read_operators_configuration;
};

// Says what came back for a repository below the workspace.
struct ReceivedBelow {
  std::string path;  // path of the repository in the workspace
  std::vector<std::string> refs;
  std::optional<uint64_t> commits;  // absent if their number is unknown
  uint64_t files = 0;
  std::string patch;
};

// Says what came back, and where it is now.
struct ReceivedWork {
  std::vector<std::string> refs;     // refs in the operator's repository
  std::optional<uint64_t> commits;   // number of the agent's commits; absent if it is unknown
  uint64_t files = 0;                // number of files that differ from what was sent
  std::string patch;                 // path; empty if no file changed
  std::vector<ReceivedBelow> below;  // the other repositories in the workspace in which something changed
  std::string bundle;                // path of a bundle with what could not be written into a repository; empty if
                                     // there is nothing
  std::vector<std::string> ignored;  // files that the agent made or changed and that git ignores, such as "dist/"
  std::string kept;                  // directory with those files; empty if they were not requested
  std::vector<std::string> flagged;  // what to inspect before running anything: a few lines, grouped by reason; safe to
                                     // print
  std::string all_flagged;           // path of a file that lists all of them; empty if `flagged` is complete
  uint64_t skipped = 0;              // number of entries that were not taken; `flagged` names some of them
  bool is_incomplete = false;        // the archive contains something that none of the above contains
  std::string text;                  // for the operator: what came back and how to take it, without `flagged`
};

}  // namespace bottle::workspace
