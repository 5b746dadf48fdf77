// The tar stream of what goes to the workspace.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "docker/tar.h"
#include "git/git.h"
#include "git/objects.h"
#include "workspace/workspace.h"

namespace bottle::workspace {

class Packer {
 public:
  // What they refer to must outlive it.
  Packer(const Outgoing& outgoing, Summary& summary, const Sink& sink);

  // A directory as it is, without what has no business inside.
  Result<> pack(const std::string& root, bool with_git);
  // A repository's .git, its parent already there.
  Result<> pack_under(const std::string& root, const std::string& prefix);
  // What a checkout of the commit would write, without writing it anywhere first.
  Result<> pack_commit(const git::Runner& git, const std::vector<git::Entry>& entries,
                       const git::Directory& repository);
  Result<> finish();

 private:
  Result<> buffer(std::string_view bytes);
  void skip(const char* why, const std::string& path);
  Result<> directory(int fd, const std::string& prefix, int depth);
  Result<> directories_of(const std::string& path, std::string& made);
  Result<> enter(int fd, const std::string& name, const std::string& path, const struct stat& st, int depth);
  Result<> file(int fd, const std::string& name, const std::string& path);
  Result<> link(int fd, const std::string& name, const std::string& path);
  Result<> symlink(const std::string& path, std::string_view text);

  const Outgoing& out_;
  Summary& summary_;
  const Sink& sink_;
  docker::TarWriter tar_;
  std::string pending_, chunk_;
  bool with_git_ = true;
  std::map<std::string, std::pair<uint64_t, std::string>> skips_;
};

}  // namespace bottle::workspace
