// Makes a new repository with the history of the operator's HEAD.
#pragma once

#include <future>
#include <string>
#include <utility>

#include "base/error.h"
#include "git/refs.h"
#include "git/repository.h"
#include "git/run/git.h"

namespace bottle::workspace {

// Describes the operator's repository at one moment. The operator may commit meanwhile.
struct Origin {
  git::Repository repository;
  git::Head head;
  git::Directory view;  // a view of the repository, with its tags
  bool has_tags = false;
};

// Names the author of commits in the bottle.
struct Committer {
  std::string name, email;
};

// Runs `f` at the same time as other work. A git process takes some milliseconds and a start waits for it, so
// independent processes run in parallel.
template <class F>
auto in_parallel(F&& f) {
  return std::async(std::launch::async, std::forward<F>(f));
}

// Reads the repository. `state` is a directory that belongs to bottle, for the view.
Result<Origin> origin_of(const git::Repository& repository, const std::string& state);

// Returns the operator's user.name and user.email. The agent commits with them, because an agent that cannot commit
// gets stuck.
Committer committer_of(const git::Settings& settings);

// Holds what goes into the clone's own configuration.
struct CloneSettings {
  Committer committer;
  std::string exclude;  // ignore rules
};

// Makes a repository at `to`, without an index: HEAD, its branch, its history and the tags on it. It also has refs
// for the remote branch that HEAD's branch follows and for the main branch of `origin`. It has no remote, no hooks
// and no template, shares nothing with the original, and contains only objects that those refs reach. (`git clone`
// takes several times as many processes, and would run in the original under its configuration.) Fails with
// Code::unavailable if objects are missing or broken. If only an object of a tag is missing or broken, the clone has
// no tags, and a warning is added.
Result<git::Directory> clone(const git::Runner& git, const Origin& origin, const std::string& to,
                             const CloneSettings& settings, std::vector<std::string>& warnings);

}  // namespace bottle::workspace
