// Sends a workspace in one pass. The directory is either cloned (what is committed) or copied (what is on the disk),
// and the recorder writes down each file as it was sent. Only what later differs from this record is the agent's
// work.
//
// The scratch directory holds everything that git writes on the way, and is removed when the call returns.
#include <sys/stat.h>

#include "docker/tar/tar.h"
#include "git/formats/config.h"
#include "workspace/files/scratch_directory.h"
#include "workspace/sending/sender.h"
#include "workspace/unmoved.h"
#include "workspace/workspace.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

std::optional<Origin> none() { return std::nullopt; }

// Returns the repository to send, if the directory is the top of one.
Result<std::optional<Origin>> origin_at(const std::string& source, const std::string& state) {
  auto repository = TRY(git::find(source));
  // A directory below the top is sent as plain files, as below a home directory that is a repository.
  if (!repository || repository->top != source) return none();
  return TRY(origin_of(*repository, state));
}

// Returns whether the .git can be sent as it is: it is a directory at the top and borrows no objects.
bool has_own_git(const std::string& source, const Origin& origin) {
  struct stat st{};
  return ::lstat((source + "/.git").c_str(), &st) == 0 && S_ISDIR(st.st_mode) &&
         origin.repository.git_dir == source + "/.git" && origin.repository.objects.size() == 1;
}

}  // namespace

Result<> put_git_settings(docker::TarWriter& tar, const Outgoing& outgoing,
                          const git::OperatorsConfiguration& operators) {
  if (outgoing.home.empty()) return {};
  auto settings = git::operators_settings(operators, {});
  Committer who = committer_of(settings);
  std::string config = git::config_line("user.name", who.name) + git::config_line("user.email", who.email);
  // The agent's git must read the working tree as the operator's git does. A checkout by bottle converts nothing, so
  // the agent's git must not convert it either.
  if (outgoing.mode == WorkspaceMode::copy || outgoing.mode == WorkspaceMode::bind)
    for (const char* name : {"core.autocrlf", "core.eol"})
      if (auto set = settings.core.find(name); set != settings.core.end())
        config += git::config_line(name, set->second);
  TRY(tar.file(outgoing.home + ".gitconfig", 0644, outgoing.uid, outgoing.gid, config));
  std::string rules = git::ignore_rules(settings);
  if (rules.empty()) return {};
  TRY(tar.directory(outgoing.home + ".config", 0755, outgoing.uid, outgoing.gid));
  TRY(tar.directory(outgoing.home + ".config/git", 0755, outgoing.uid, outgoing.gid));
  return tar.file(outgoing.home + ".config/git/ignore", 0644, outgoing.uid, outgoing.gid, rules);
}

Result<Summary> send(const Outgoing& outgoing, const git::OperatorsConfiguration& operators, const Sink& sink) {
  Summary summary;
  if (outgoing.mode != WorkspaceMode::copy && outgoing.mode != WorkspaceMode::clone) return summary;
  TRY(check_unmoved(outgoing.source));
  const std::string& source = outgoing.source;
  auto scratch = TRY(ScratchDirectory::make(outgoing.scratch, "outgoing"));
  const std::string& state = scratch.path();
  std::optional<Recorder> recorder;
  if (!outgoing.record.empty()) recorder = TRY(Recorder::make(outgoing.record));
  Recorder* record = recorder ? &*recorder : nullptr;
  Packer packer(outgoing, summary, sink, record);
  auto origin = TRY(origin_at(source, state));
  // A clone needs a commit. Without one, a copy is sent, so that a session can start in a new project as well.
  bool commits = origin && !origin->head.commit.empty();
  if (outgoing.mode == WorkspaceMode::clone && !commits)
    summary.warnings.push_back(origin ? "the repository has no commit, so it was copied instead of cloned"
                                      : "the workspace is not a git repository, so it was copied instead of cloned");
  git::Runner git = TRY(git::Runner::make(state, {.stop = outgoing.stop, .flush = false}));
  Sender sender(git, operators, source, state, packer, record, summary);
  if (outgoing.mode == WorkspaceMode::clone && commits) TRY(sender.clone(*origin));
  else TRY(sender.copy(origin ? &*origin : nullptr, origin && has_own_git(source, *origin)));
  if (outgoing.mode == WorkspaceMode::clone && commits) TRY(sender.include(outgoing.include));
  // The agent starts in this directory, which may hold no file that is sent.
  if (!outgoing.start.empty()) TRY(packer.make_directory(outgoing.start));
  if (recorder) {
    // The record must be on the disk before the stream ends. A session without it would mistake the operator's own
    // changes for the agent's.
    recorder->options(outgoing.start, outgoing.keep_ignored, outgoing.keep);
    TRY(recorder->finish());
  }
  TRY(packer.finish());
  return summary;
}

}  // namespace bottle::workspace
