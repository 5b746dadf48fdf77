// Git directories of ours: the only ones that git is ever run on. (The operator's is read by us, as data.)
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::git {

class Directory {
 public:
  struct Content {
    std::string format = "sha1";  // of its object ids: sha1 or sha256
    bool bare = true;
    std::string head = "refs/heads/main";      // a ref or an object id
    std::string config;                        // lines that follow what the two above need
    std::vector<std::string> alternates;       // object directories that it borrows from, absolute
    std::string packed_refs;                   // lines, sorted by name
    std::string shallow, attributes, exclude;  // the files' contents; empty: no such file
  };

  Directory() = default;  // none
  // Makes it at `path`, which nobody else may write to. What `git init` would make, and no hook, no template.
  static Result<Directory> make(const std::string& path, const Content& content);

  const std::string& path() const { return path_; }
  explicit operator bool() const { return !path_.empty(); }

 private:
  std::string path_;
};

}  // namespace bottle::git
