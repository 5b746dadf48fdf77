// Writes and reads the record of a workspace, which says file by file what was sent. The agent's work is what differs
// from this record. It cannot be found by comparing with a commit, because a checkout may write other bytes than the
// commit has, and a working tree seldom matches its commit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/keyed_hash.h"
#include "base/unique_fd.h"
#include "git/formats/formats.h"
#include "git/formats/object_format.h"

namespace bottle::workspace {

// The ids in a record have this format, whatever format a repository uses, because files that come back are hashed in
// it.
inline constexpr git::ObjectFormat kRecorded = git::ObjectFormat::sha1;

// Describes one file or link as it was sent.
struct SentFile {
  std::string mode;  // as git writes it: 100644, 100755, 120000
  std::string id;    // blob_id() of its bytes: in a record, in the format kRecorded; without a record, git's own id
  bool committed = false;  // a checkout of the base writes exactly these bytes
  int64_t kept_at = -1;    // offset of its bytes in the record; -1 if the record does not have them
  uint64_t size = 0;       // number of those bytes
  git::ObjectFormat format() const { return git::format_of_id(id).value_or(kRecorded); }
};

// Describes a repository that was sent. Its path is below the workspace; "" is the workspace itself.
struct SentRepository {
  std::string path;
  std::string base;                     // the commit that the work in it starts from; empty if it has none
  git::Refs refs;                       // the refs that the copy had
  std::string git_at;                   // path of its git directory in the workspace: "lib/.git", ".git/modules/lib"
  std::vector<std::string> packs = {};  // names of the packs that were made for the copy: pack-ID.pack
};

// Holds the record of a workspace after it was read back. A recorder on this machine wrote it, so it is trusted.
struct Sent {
  KeyedMap<std::string, SentFile> files;  // keys are paths
  std::vector<SentRepository> repositories;
  std::map<std::string, std::string> settings;  // the files with git's settings: path → blob_id()
  std::string start;              // the directory below the workspace in which the agent started; empty for the top
  bool keep_ignored = false;      // ignored files are wanted too
  std::vector<std::string> keep;  // patterns for the ignored files that are wanted
};

// Returns whether a file of a git directory has settings: how git reads history and files, or what it ignores.
bool is_settings_file(std::string_view name);

// Writes the record into a directory that belongs to bottle while the workspace is packed. The record does not exist
// until finish().
class Recorder {
 public:
  static constexpr uint64_t kKeptEach = 1 << 20;  // in bytes; a larger file is not kept

  // Begins a record, and removes an earlier one in that directory. Fails with the error of the disk.
  static Result<Recorder> make(const std::string& directory);
  // Records a file. `bytes` is its content, to be kept if no repository has it. Drops the content if there is no room.
  Result<> file(const std::string& path, SentFile file, std::string_view bytes = {});
  // Records a repository that was sent, with its refs.
  void repository(const SentRepository& repository);
  // Records a file with a repository's settings, which is not a file of the work tree.
  void settings(const std::string& path, const std::string& id);
  // Records what the operator wants back, because a sweep that brings the work home knows only the record.
  void options(const std::string& start, bool keep_ignored, const std::vector<std::string>& keep);
  // Returns whether a file was recorded under this path of the workspace.
  bool has(const std::string& path) const { return paths_.contains(path); }
  // Writes the record to the disk. Without this call, there is none.
  Result<> finish();

 private:
  std::string directory_, list_;
  KeyedSet<std::string> paths_;
  UniqueFd kept_;
  uint64_t size_ = 0;
};

// Returns nothing if there is no record.
Result<std::optional<Sent>> read_sent(const std::string& directory);

// Returns the bytes of a file as it was sent: from the record, or from the operator's directory `source` if the file
// there is unchanged. Returns nothing if neither has them.
std::optional<std::string> sent_bytes(const std::string& directory, const std::string& source, const std::string& path,
                                      const SentFile& file);

}  // namespace bottle::workspace
