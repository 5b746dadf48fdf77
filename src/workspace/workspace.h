// The operator's files out into the bottle, and what the agent made of them back.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "docker/tar.h"
#include "manifest/manifest.h"

namespace bottle::workspace {

using Sink = std::function<Result<>(std::string_view)>;
using Source = std::function<Result<size_t>(char*, size_t)>;  // 0: the end

struct Outgoing {
  manifest::WorkspaceMode mode = manifest::WorkspaceMode::clone;
  std::string source;         // the operator's directory, absolute
  uint32_t uid = 0, gid = 0;  // who owns it inside
  std::string scratch;        // a directory of ours, made if need be; empty again afterwards, or its owner's to empty
  std::string prefix = {};    // before every path in the stream: "workspace/", or nothing
  std::string home = {};      // the same of the agent's home directory: "home/agent/"; empty: nothing is put there
  std::string record = {};    // a directory of ours for what receive() compares with; empty: it compares with the base
  uint64_t time = 0;          // when its files were changed, in seconds since 1970; 0: now
  std::string start = {};     // the directory below `source` in which the agent begins; empty: `source` itself
  std::vector<std::string> include = {};  // files that a clone takes along though they are not committed: patterns as
                                          // in .gitignore
  bool keep_ignored = false;              // as in Incoming, for receive() to find in the record
  std::vector<std::string> keep = {};
};

// Whether a clone of the repository there could be made: of one that is a partial clone, or borrows objects, all
// objects of HEAD are looked for. Code::unavailable: some are missing, with what to do. `scratch`: as in Outgoing.
// Blocking; runs git.
Result<> check_objects(const std::string& source, const std::string& scratch);

struct Summary {
  std::string base;  // commit the work starts from; empty: not a repository (or not its top, or without a commit)
  uint64_t files = 0, bytes = 0, skipped = 0;
  std::vector<std::string> warnings;  // for the operator, safe to print
};

// Writes a tar stream of what goes to the workspace, paths relative to it (below `prefix`). `copy`: the tree as it is,
// without what has no business inside (sockets, devices, links that lead out, credentials in .git/config). `clone`:
// HEAD's branch, committed state only, no remote, no hooks; a directory that cannot be cloned is copied, with a
// warning. Other modes send nothing. Blocking; runs git for clones.
Result<Summary> send(const Outgoing& outgoing, const Sink& sink);

// What git knows of the operator in every directory of his, into the agent's home: who commits, and what is ignored.
// Blocking; runs git.
Result<> put_git_settings(docker::TarWriter& tar, const Outgoing& outgoing);

struct Incoming {
  std::string session;                 // [a-z0-9-]{1,40}
  std::string source;                  // as in Outgoing
  std::string base;                    // as in Summary
  std::string results_dir;             // made if need be; changes.patch lands here
  std::string scratch;                 // as in Outgoing
  std::string record = {};             // as in Outgoing
  bool elsewhere = false;              // the operator's shell may be in another directory than `source`
  bool keep_ignored = false;           // files that git ignores come along, into the results
  std::vector<std::string> keep = {};  // only these of them: patterns as in .gitignore
  uint64_t max_bytes = 16ull << 30;
  uint64_t max_entries = 1'000'000;
  uint64_t max_held = 64 << 20;  // bytes of paths and links' targets that are in memory until all of it is here
  std::chrono::seconds max_time = std::chrono::hours(1);  // from when the tar is here
  uint64_t* room = nullptr;  // bytes that may still come into the operator's repository, counted down for several calls
                             // together; null: max_bytes
  uint64_t max_memory =
      2ull << 30;  // of each git that reads the agent's objects: few bytes of them can unpack to any number
};

// What came back of a repository that lies in the workspace.
struct BackBelow {
  std::string path;  // of the repository, in the workspace
  std::vector<std::string> refs;
  uint64_t commits = 0, files = 0;
  std::string patch;
};

struct Back {
  std::vector<std::string> refs;     // in the operator's repository
  uint64_t commits = 0;              // the agent's
  uint64_t files = 0;                // that differ from what was sent
  std::string patch;                 // path; empty: no file changed
  std::vector<BackBelow> below;      // of the other repositories in the workspace, those in which something changed
  std::string bundle;                // path: what could not be written into a repository; empty: nothing
  std::vector<std::string> ignored;  // that the agent made or changed, and git ignores: "dist/"
  std::string kept;                  // the directory in which those are; empty: they were not asked for
  std::vector<std::string> flagged;  // to look at before anything is run, by reason, a few lines: safe to print
  std::string all_flagged;           // path of a file with each of them; empty: `flagged` names all
  uint64_t skipped = 0;              // entries that were not taken; some are named in `flagged`
  bool is_incomplete = false;        // the workspace as it is has something that nothing of the above has
  std::string text;                  // for the operator: what came back and how to take it, without `flagged`
};

// What a person does with an archive of a workspace that was kept: one line.
std::string about_archive(const std::string& path, const std::string& session);

// Reads a tar of the workspace that the agent had: hostile. The checked-out tree, its index, its HEAD and its branches
// are never touched: the agent's refs land on refs/bottle/<session>/{heads,tags,notes,stash,other}/* (names that ours
// may not have below .../encoded/; what an earlier call left there and is no more, goes), the files as they were left
// on refs/bottle/<session>/worktree, and what changed in them in changes.patch. The same for each repository in the
// workspace, in that repository and below results_dir/below. For what is no repository: the patch, and changed files
// under results_dir/files. What a repository cannot take is in work.bundle. Blocking; runs git, each time for 10
// minutes at most. Code::limit, Code::timed_out: sorting it would take more of this machine than it may.
Result<Back> receive(const Incoming& incoming, const Source& source);

}  // namespace bottle::workspace
