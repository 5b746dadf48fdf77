// The tar stream of what goes to the workspace.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "docker/tar.h"
#include "git/git.h"
#include "git/objects.h"
#include "workspace/sent.h"
#include "workspace/workspace.h"

namespace bottle::workspace {

class Packer {
 public:
  // What they refer to must outlive it. `recorder`: null where nothing is to be recorded.
  Packer(const Outgoing& outgoing, Summary& summary, const Sink& sink, Recorder* recorder);

  // How a directory is read.
  struct Reading {
    bool with_git = false;   // its own .git goes along, all but the index
    bool committed = false;  // it is a checkout: each file is as the base has it
    // Called for each directory below it that has a .git, before anything in it is read. False: that .git stays here.
    std::function<Result<bool>(const std::string& path)> nested = nullptr;
  };

  // What the repositories that go along have committed, with paths from the workspace's root.
  void expect(const std::string& below, const std::vector<git::Entry>& entries);

  // A directory as it is, without what has no business inside.
  Result<> pack(const std::string& root, const Reading& reading);
  // A repository's .git, its parent already there.
  Result<> pack_under(const std::string& root, const std::string& prefix);
  // What a checkout of the commit would write, without writing it anywhere first.
  Result<> pack_commit(const git::Runner& git, const std::vector<git::Entry>& entries,
                       const git::Directory& repository);
  // One more file of a directory of ours.
  Result<> pack_file(const std::string& root, const std::string& from, const std::string& to);
  // One of the operator's files, which is not committed. No link is followed on the way.
  Result<> pack_extra(const std::string& root, const std::string& path);
  Result<> make_directory(const std::string& path);  // with those above it
  Result<> finish();

  // Where the entries of what is packed next lie, in the workspace: "lib/", or nothing.
  void set_place(const std::string& place) { place_ = place; }

 private:
  Result<> buffer(std::string_view bytes);
  void skip(const char* why, const std::string& path);
  Result<> directory(int fd, const std::string& prefix, int depth);
  Result<> directories_of(const std::string& path, std::string& made);
  Result<> enter(int fd, const std::string& name, const std::string& path, int depth);
  Result<> file(int fd, const std::string& name, const std::string& path);
  Result<> bytes_of(int fd, const std::string& path, int mode, uint64_t size);
  Result<> link(int fd, const std::string& name, const std::string& path);
  Result<> symlink(const std::string& path, std::string_view text);
  Result<> note(const std::string& path, const std::string& mode, const std::string& id, std::string_view bytes);
  std::string inside(const std::string& path) const { return out_.prefix + place_ + path; }

  const Outgoing& out_;
  Summary& summary_;
  const Sink& sink_;
  Recorder* recorder_;
  docker::TarWriter tar_;
  std::string pending_, chunk_, place_;
  Reading reading_;
  int in_git_ = 0;  // how many directories named .git are open
  std::unordered_map<std::string, git::Entry> expected_;
  std::map<std::string, std::pair<uint64_t, std::string>> skips_;
};

}  // namespace bottle::workspace
