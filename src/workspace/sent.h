// What went to the workspace, file by file. What the agent did is told by comparing with this and not with a commit: a
// checkout writes other bytes than it commits, and a working tree is seldom what is committed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "git/formats.h"

namespace bottle::workspace {

struct SentFile {
  std::string mode;        // as git writes it: 100644, 100755, 120000
  std::string id;          // blob_id() of its bytes
  bool committed = false;  // a checkout of the base writes just that
  int64_t kept_at = -1;    // where the record has its bytes; -1: it has not
  uint64_t size = 0;       // of those bytes
};

// A repository that went along, and where it lies below the workspace; "" is the workspace itself.
struct SentRepository {
  std::string path;
  std::string base;    // the commit that the work in it begins from
  git::Refs refs;      // those that it had there
  std::string git_at;  // where its git directory is there: "lib/.git", ".git/modules/lib"
};

struct Sent {
  std::unordered_map<std::string, SentFile> files;  // by path
  std::vector<SentRepository> repositories;
  std::string start;              // the directory below it in which the agent began; empty: its top
  bool keep_ignored = false;      // files that git ignores are wanted, too
  std::vector<std::string> keep;  // these of them
};

// Writes the record into a directory of ours while the workspace is packed. Nothing is there until finish().
class Recorder {
 public:
  static constexpr uint64_t kKeptEach = 1 << 20;  // bytes; a larger file is not kept

  static Result<Recorder> make(const std::string& directory);
  // `bytes`: of a file whose content no repository has, to be kept. Of what there is no room for, nothing is.
  Result<> file(const std::string& path, SentFile file, std::string_view bytes = {});
  void repository(const SentRepository& repository);
  void wishes(const std::string& start, bool keep_ignored, const std::vector<std::string>& keep);
  bool has(const std::string& path) const { return paths_.contains(path); }
  Result<> finish();

 private:
  std::string directory_, list_;
  std::unordered_map<std::string, bool> paths_;
  UniqueFd kept_;
  uint64_t size_ = 0;
};

// Nothing: there is no record.
Result<std::optional<Sent>> read_sent(const std::string& directory);

// The bytes of a file as it was sent: from the record, or else from the operator's directory `source` if the file there
// is still the same. Nothing: neither has it.
std::optional<std::string> sent_bytes(const std::string& directory, const std::string& source, const std::string& path,
                                      const SentFile& file);

}  // namespace bottle::workspace
