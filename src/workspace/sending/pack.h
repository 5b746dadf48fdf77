// Writes the tar stream that goes to the workspace.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/keyed_hash.h"
#include "docker/tar/tar.h"
#include "git/objects.h"
#include "git/run/git.h"
#include "workspace/files/sent.h"
#include "workspace/files/transfer.h"

namespace bottle::workspace {

// Packs files, directories and links into one tar stream, and records each file. Errors are those of the sink and of
// the disk; a file that cannot be read is skipped, with a warning at the end.
class Packer {
 public:
  // Keeps references to the arguments, which must outlive this. `recorder` is null if nothing is to be recorded.
  Packer(const Outgoing& outgoing, Summary& summary, const Sink& sink, Recorder* recorder);

  // Says how to read a directory.
  struct Reading {
    bool with_git = false;   // its own .git is sent, except the index
    bool committed = false;  // the directory is a checkout, so each file is as in the base
    bool own_times = false;  // entries keep the times that they have on the disk
    // The packer calls it for each directory below that has a .git, before it reads what is in it. Returns false if
    // that .git must not be sent.
    std::function<Result<bool>(const std::string& path)> nested = nullptr;
  };

  // Tells the packer what the repositories in the stream have committed. Paths start at the workspace's root.
  void expect(const std::string& below, const std::vector<git::Entry>& entries);

  // Packs a directory as it is, without what must not go into a bottle.
  Result<> pack(const std::string& root, const Reading& reading);
  // Packs a repository's .git. Its parent directory must already be in the stream.
  Result<> pack_under(const std::string& root, const std::string& prefix);
  // Packs what a checkout of the commit would write, without writing it to the disk first.
  Result<> pack_commit(const git::Runner& git, const std::vector<git::Entry>& entries,
                       const git::Directory& repository);
  // Packs one more file from a directory that belongs to bottle.
  Result<> pack_file(const std::string& root, const std::string& from, const std::string& to);
  // Packs one of the operator's uncommitted files. Does not follow links on the way.
  Result<> pack_extra(const std::string& root, const std::string& path);
  Result<> make_directory(const std::string& path);  // with its parent directories
  // Ends the stream and adds the warnings about what was skipped to the summary.
  Result<> finish();

  // Sets the place of the next entries in the workspace, such as "lib/"; an empty string means its root.
  void set_place(const std::string& place) { place_ = place; }

 private:
  Result<> buffer(std::string_view bytes);
  void set_time_from(const struct stat& st);
  void skip(const char* why, const std::string& path);
  Result<> directory(int fd, const std::string& prefix, int depth);
  Result<> directories_of(const std::string& path, std::string& made);
  Result<> enter(int fd, const std::string& name, const std::string& path, int depth);
  Result<> file(int fd, const std::string& name, const std::string& path);
  Result<> text_without_credentials(int fd, const std::string& path, int mode);
  Result<> bytes_of(int fd, const std::string& path, int mode, uint64_t size);
  Result<> link(int fd, const std::string& name, const std::string& path);
  Result<> symlink(const std::string& path, std::string_view text);
  Result<> note(const std::string& path, const std::string& mode, const std::string& id, std::string_view bytes);
  std::string inside(const std::string& path) const { return out_.prefix + place_ + path; }

  // Counts files, and keeps one of them as an example.
  struct Counted {
    void add(const std::string& path) {
      if (count++ == 0) first = path;
    }
    std::string text() const;  // such as "2, for example src/log"

    uint64_t count = 0;
    std::string first;
  };

  const Outgoing& out_;
  Summary& summary_;
  const Sink& sink_;
  Recorder* recorder_;
  uint64_t time_;  // of entries that do not keep their own
  docker::TarWriter tar_;
  std::string pending_, chunk_, place_;
  Reading reading_;
  int in_git_ = 0;   // number of open directories that are named .git
  int in_logs_ = 0;  // number of open directories with logs of a repository
  KeyedMap<std::string, git::Entry> expected_;
  std::map<std::string, Counted> skips_;
  Counted cleaned_;  // logs that had credentials
};

}  // namespace bottle::workspace
