// Makes the git directories that belong to bottle. git runs only in these; bottle reads the operator's repository
// itself, as data.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "git/formats/object_format.h"

namespace bottle::git {

// Stands for a git directory that belongs to bottle. Runner runs git in nothing else. Does not own the directory on
// the disk, which is removed together with the directory around it.
class Directory {
 public:
  // Describes what a new directory contains. Every text in it must be checked or written by us, because git obeys
  // `config`.
  struct Content {
    ObjectFormat format = ObjectFormat::sha1;
    bool bare = true;
    std::string head = "refs/heads/main";      // a ref or an object id
    std::string config;                        // lines that are added to the required configuration
    std::vector<std::string> alternates;       // absolute paths of the object directories that it borrows from
    std::string packed_refs;                   // lines, sorted by name
    std::string shallow, attributes, exclude;  // contents of these files; empty means that there is no such file
  };

  Directory() = default;  // Makes an object that refers to no directory.
  // Makes a git directory at `path`, which no one else may be able to write to. Makes what `git init` would make,
  // except hooks and templates. A directory that borrows objects gets only what git needs.
  static Result<Directory> make(const std::string& path, const Content& content);

  // Adds lines to the configuration of a directory that git does not use at the moment.
  Result<> configure(const std::string& lines) const;

  // Returns the absolute path, or an empty string if the object refers to no directory.
  const std::string& path() const { return path_; }
  explicit operator bool() const { return !path_.empty(); }

 private:
  std::string path_;
};

}  // namespace bottle::git
