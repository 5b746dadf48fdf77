// A new repository with the history of the operator's HEAD.
#pragma once

#include <future>
#include <string>
#include <utility>

#include "base/error.h"
#include "git/git.h"
#include "git/refs.h"
#include "git/repository.h"

namespace bottle::workspace {

// At one moment: the operator may commit meanwhile.
struct Origin {
  git::Repository repository;
  git::Head head;
  git::Directory view;  // of it, with its tags
};

struct Committer {
  std::string name, email;
};

// A process of git is some milliseconds, and a start waits for this: what does not need another is run beside it.
template <class F>
auto beside(F&& f) {
  return std::async(std::launch::async, std::forward<F>(f));
}

// `state`: a directory of ours for the view.
Result<Origin> origin_of(const git::Repository& repository, const std::string& state);

// The operator's user.name and user.email: an agent that cannot commit stumbles, so it commits as the operator does.
Committer committer_of(const git::Settings& settings);

struct CloneSettings {
  Committer committer;
  std::string exclude;      // rules of what is ignored
  bool submodules = false;  // it has some
};

// A repository at `to`, without an index: HEAD, its branch, its history and the tags on that; of its remotes' branches,
// as names, the one that HEAD's branch follows and those that `origin` begins with. No remote, no hooks, no template,
// nothing shared with the original, nothing that those do not reach. (`git clone` does the same with three
// times the processes, and in the original under its configuration.) Code::unavailable: objects are missing or broken;
// where it is one of a tag, the clone has no tags, with a warning.
Result<git::Directory> clone(const git::Runner& git, const Origin& origin, const std::string& to,
                             const CloneSettings& settings, std::vector<std::string>& warnings);

}  // namespace bottle::workspace
