// The operator's repository, and a new one with the history of its HEAD.
#pragma once

#include <future>
#include <string>
#include <utility>

#include "base/error.h"
#include "workspace/git.h"

namespace bottle::workspace {

// At one moment: the operator may commit meanwhile.
struct Origin {
  std::string top;     // the root of the work tree; empty: there is no repository
  std::string head;    // HEAD's commit; empty: there is none yet
  std::string branch;  // refs/heads/…; empty: HEAD is detached
  bool shallow = false;
};

struct Committer {
  std::string name, email;
};

// A process of git is some milliseconds, and a start waits for this: what does not need another is run beside it.
template <class F>
auto beside(F&& f) {
  return std::async(std::launch::async, std::forward<F>(f));
}

Origin origin_of(const Git& git, const std::string& directory);

// The operator's user.name and user.email: an agent that cannot commit stumbles, so it commits as the operator does.
Committer committer_of(const Git& git, const std::string& directory);

// A repository at `to`, without an index: HEAD, its branch, its history and the tags on that. No remote, no hooks, no
// template, nothing shared with the original, nothing that HEAD does not reach. (`git clone` does the same with three
// times the processes.)
Result<> clone(const Git& git, const Origin& origin, const std::string& to, const Committer& committer);

}  // namespace bottle::workspace
