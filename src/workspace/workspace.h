// Sends the operator's files into the bottle, and receives what the agent made of them.
#pragma once

#include <string>

#include "base/error.h"
#include "docker/tar/tar.h"
#include "git/settings.h"
#include "workspace/files/transfer.h"

namespace bottle::workspace {

// Checks whether a clone of the repository can be made. If it is a partial clone or borrows objects, looks for all
// objects of HEAD. Fails with Code::unavailable and says what to do if some are missing. `scratch` is as in Outgoing.
// Blocks while it runs git.
Result<> check_objects(const std::string& source, const std::string& scratch);

// Writes a tar stream of what goes to the workspace. Paths are relative to it (below `prefix`). `copy` sends the tree
// as it is, without what must not go into a bottle (sockets, devices, links that lead out, credentials in .git/config).
// `clone` sends HEAD's branch: only the committed state, no remote, no hooks. A directory that cannot be cloned is
// copied, with a warning. Other modes send nothing. Blocks while it runs git for clones.
Result<Summary> send(const Outgoing& outgoing, const git::OperatorsConfiguration& operators, const Sink& sink);

// Writes the settings that git uses in every directory of the operator's into the agent's home: who commits, and what
// is ignored.
Result<> put_git_settings(docker::TarWriter& tar, const Outgoing& outgoing,
                          const git::OperatorsConfiguration& operators);

// Returns one line that says what to do with an archive of a workspace that was kept.
std::string about_archive(const std::string& path, const std::string& session);

// Names the largest file of an archive, which may be the reason why there is no room for it. Its path is untrusted.
struct LargestFile {
  std::string path;
  uint64_t bytes = 0;  // with holes
};

// Reads a tar of a workspace to its end, or as far as it comes. Fails with Code::closed if the archive is cut off, with
// Code::limit at the file with which it has more than kMostWithHoles bytes, and otherwise only if the source does.
// Blocks.
Result<> check_whole(const Source& source, LargestFile& largest);

// Reads a tar of the agent's workspace, which is untrusted. Never touches the checked-out tree, its index, its HEAD
// or its branches. The agent's refs become refs/bottle/<session>/{heads,tags,notes,stash,other}/* (names that
// bottle's rules do not allow go below .../encoded/; refs from an earlier call that no longer exist are removed). The
// files as the agent left them become refs/bottle/<session>/worktree, and the changes in them changes.patch. The same
// applies to each repository in the workspace, with results in that repository and below results_dir/below. For a
// directory that is not a repository, writes the patch, and the changed files under results_dir/files. What a
// repository cannot accept goes into work.bundle. Blocks while it runs git, at most 10 minutes for each run. Fails
// with Code::limit or Code::timed_out if sorting the work would take more of this machine's resources than allowed.
Result<ReceivedWork> receive(const Incoming& incoming, const Source& source);

}  // namespace bottle::workspace
