// Does the work of send() for a directory that is a repository or contains some.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "workspace/sending/origin.h"
#include "workspace/sending/pack.h"

namespace bottle::workspace {

// Sends the repositories of one workspace, each with a repository that the agent can work in.
class Sender {
 public:
  // Keeps references to the arguments, which must outlive this. `state` is a directory that belongs to bottle.
  // `recorder` is null if nothing is recorded.
  Sender(const git::Runner& git, const git::OperatorsConfiguration& operators, const std::string& source,
         const std::string& state, Packer& packer, Recorder* recorder, Summary& summary)
      : git_(git),
        operators_(operators),
        source_(source),
        state_(state),
        packer_(packer),
        recorder_(recorder),
        summary_(summary) {}

  // Sends the committed state, including that of submodules and of repositories below.
  Result<> clone(const Origin& origin);
  // Sends uncommitted files that match the patterns, in addition to a clone.
  Result<> include(const std::vector<std::string>& patterns);
  // Sends the tree as it is, with all repositories in it. Sends a .git as it is if it borrows no objects; otherwise
  // sends that of a clone instead. `origin` is null if the directory itself is not a repository or has no commit.
  Result<> copy(const Origin* origin, bool own_git);

 private:
  std::string fresh_place() { return state_ + "/clone-" + std::to_string(++places_); }
  Result<git::Directory> cloned(const Origin& origin, const std::string& to);
  Result<> check_out(const Origin& origin, const std::string& below, int depth);
  Result<> send_below(const std::string& path, const std::string& commit, int depth);
  Result<bool> take_along(const std::string& path, const Origin* top, bool own_git);
  Result<> pack_index(const Origin& origin, const std::vector<git::Entry>& entries);
  Result<> hide_unsent_files(const std::vector<git::Entry>& entries, const std::string& below,
                             const git::Directory& index);
  Result<bool> has_unsent_files(const std::vector<git::Entry>& entries, const std::string& below) const;
  void note(const std::string& path, const std::string& base, git::Refs refs, std::string git_at = "",
            std::vector<std::string> packs = {});
  Result<> note_clone(const std::string& path, const std::string& base, const git::Directory& made);

  const git::Runner& git_;
  const git::OperatorsConfiguration& operators_;
  const std::string& source_;
  const std::string& state_;
  Packer& packer_;
  Recorder* recorder_;
  Summary& summary_;
  int places_ = 0;
  std::set<std::string> sent_below_;  // the repositories below that were sent or reported
  std::vector<std::pair<std::string, Origin>>
      replaced_;  // repositories below whose .git is replaced by that of a clone
};

}  // namespace bottle::workspace
