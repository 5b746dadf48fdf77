// The record is two files: `list`, with one entry for each file, repository and option, and `kept`, with the bytes of
// files that no commit has, one after another. Entries end with a NUL byte, the only one that a path cannot contain.
// The list is written last and in one step, so a record is either complete or absent.
//
// The bytes are needed to show what an agent changed in a file that the operator had not committed. Only small files
// are kept. A larger one is read again from the operator's directory and compared with its id.
#include "workspace/files/sent.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/files/beneath.h"
#include "base/files/file.h"
#include "base/text/parse.h"
#include "base/text/words.h"
#include "workspace/files/blob_id.h"

namespace bottle::workspace {
namespace {

// These are limits in bytes: for all kept contents, for the list, and for a file that is read again from the operator's
// directory.
constexpr uint64_t kKeptInAll = 64 << 20, kLargestList = 1 << 30, kLargestAgain = 64 << 20;

// Removes the first word and the space after it, and returns the word.
std::string_view word(std::string_view& text) {
  size_t end = std::min(text.find(' '), text.size());
  std::string_view first = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return first;
}

// Parses one line: "s START", "k PATTERN" and "K ", "c ID PATH", "f MODE ID COMMITTED KEPT-AT SIZE PATH", and "g BASE
// PATH" followed by the repository's "d GIT-DIRECTORY", "p PACK" and "r ID NAME".
bool take(Sent& sent, std::string_view line) {
  std::string_view kind = word(line);
  if (kind == "g") {
    std::string base(word(line));
    // A word cannot be empty, so "-" stands for no commit.
    sent.repositories.push_back({std::string(line), base == "-" ? "" : base, {}, ""});
    return true;
  }
  if (kind == "p" && !sent.repositories.empty()) {
    sent.repositories.back().packs.emplace_back(line);
    return true;
  }
  if (kind == "d" && !sent.repositories.empty()) {
    sent.repositories.back().git_at = line;
    return true;
  }
  if (kind == "r" && !sent.repositories.empty()) {
    std::string id(word(line));
    sent.repositories.back().refs.emplace(line, id);
    return git::is_object_id(id);
  }
  if (kind == "c") {
    std::string id(word(line));
    sent.settings[std::string(line)] = id;
    return !line.empty();
  }
  if (kind == "s") sent.start = line;
  if (kind == "k") sent.keep.emplace_back(line);
  if (kind == "K") sent.keep_ignored = true;
  if (kind == "s" || kind == "k" || kind == "K") return true;
  SentFile file;
  file.mode = word(line);
  file.id = word(line);
  file.committed = word(line) == "1";
  auto kept_at = number_in<int64_t>(word(line));
  auto size = number_in<uint64_t>(word(line));
  if (kind != "f" || !kept_at || !size || line.empty()) return false;
  file.kept_at = *kept_at;
  file.size = *size;
  sent.files.emplace(line, std::move(file));
  return true;
}

}  // namespace

bool is_settings_file(std::string_view name) {
  constexpr std::string_view kFiles[] = {"config",          "config.worktree", "description", "shallow",
                                         "info/attributes", "info/exclude",    "info/grafts", "info/sparse-checkout"};
  return std::ranges::find(kFiles, name) != std::end(kFiles);
}

Result<Recorder> Recorder::make(const std::string& directory) {
  Recorder recorder;
  recorder.directory_ = directory;
  TRY(make_directories(directory));
  // The positions in an earlier list would be wrong for the new file of kept bytes.
  ::unlink((directory + "/list").c_str());
  recorder.kept_.reset(
      ::open((directory + "/kept").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!recorder.kept_) return fail_errno("creating " + directory + "/kept");
  return recorder;
}

Result<> Recorder::file(const std::string& path, SentFile file, std::string_view bytes) {
  if (!bytes.empty() && bytes.size() <= kKeptEach && size_ + bytes.size() <= kKeptInAll) {
    TRY(write_all(kept_.get(), bytes));
    file.kept_at = static_cast<int64_t>(size_);
    file.size = bytes.size();
    size_ += bytes.size();
  }
  // The path comes last, because it may contain spaces.
  list_ += "f " + file.mode + " " + file.id + (file.committed ? " 1 " : " 0 ") + std::to_string(file.kept_at) + " " +
           std::to_string(file.size) + " " + path + '\0';
  paths_.insert(path);
  return {};
}

void Recorder::repository(const SentRepository& repository) {
  list_ += "g " + (repository.base.empty() ? "-" : repository.base) + " " + repository.path + '\0';
  list_ += "d " + repository.git_at + '\0';
  for (const auto& name : repository.packs) list_ += "p " + name + '\0';
  for (const auto& [name, id] : repository.refs) list_ += "r " + id + " " + name + '\0';
}

void Recorder::settings(const std::string& path, const std::string& id) { list_ += "c " + id + " " + path + '\0'; }

void Recorder::options(const std::string& start, bool keep_ignored, const std::vector<std::string>& keep) {
  if (!start.empty()) list_ += "s " + start + '\0';
  if (keep_ignored) list_ += std::string("K ") + '\0';
  for (const auto& pattern : keep) list_ += "k " + pattern + '\0';
}

Result<> Recorder::finish() { return write_file_atomically(directory_ + "/list", list_); }

Result<std::optional<Sent>> read_sent(const std::string& directory) {
  struct stat st{};
  std::string path = directory + "/list";
  if (directory.empty()) return std::nullopt;
  // Without a record, all that the operator had changed would count as the agent's work.
  if (::lstat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return fail_errno("looking at " + path);
  }
  std::string text = TRY(read_file(path, kLargestList));
  Sent sent;
  for (std::string_view entry : each_record(text, '\0'))
    if (!take(sent, entry)) return fail(Code::protocol, "the record of sent files " + path + " is damaged");
  return sent;
}

std::optional<std::string> sent_bytes(const std::string& directory, const std::string& source, const std::string& path,
                                      const SentFile& file) {
  if (file.kept_at >= 0) {
    UniqueFd fd(::open((directory + "/kept").c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    std::string bytes(std::min(file.size, Recorder::kKeptEach), '\0');
    // Bytes with another id would be shown as a change that the agent did not make.
    if (fd && ::pread(fd.get(), bytes.data(), bytes.size(), file.kept_at) == static_cast<ssize_t>(bytes.size()) &&
        blob_id(file.format(), bytes) == file.id)
      return bytes;
  }
  auto tree = Beneath::open(source);
  if (!tree) return std::nullopt;
  auto bytes = tree->read(path, kLargestAgain);
  if (!bytes || !*bytes || blob_id(file.format(), **bytes) != file.id) return std::nullopt;
  return std::move(**bytes);
}

}  // namespace bottle::workspace
