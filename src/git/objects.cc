// Asks one `git cat-file --batch` for all objects, because a process for each would take milliseconds. The ids go in
// through a file, and the answers come back over a pipe while they are used, so neither side can wait for the other,
// and no blob has to fit into memory. What git prints is checked like input, because the objects come from the
// operator's repository or an agent's: the first answer that does not fit its id ends the reading.

#include "git/objects.h"

#include <fcntl.h>

#include <cstring>
#include <future>
#include <optional>
#include <set>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/text/parse.h"
#include "base/text/words.h"
#include "base/unique_fd.h"
#include "git/formats/modes.h"

namespace bottle::git {
namespace {

constexpr size_t kAllSmallBlobs = 64 << 20, kLongestHead = 256;

std::string lines_of(const std::vector<std::string>& ids) {
  std::string text;
  for (const auto& id : ids) text += id + "\n";
  return text;
}

// Returns the size from a line "ID blob SIZE". Anything else ("ID missing", a tree) is not a blob.
std::optional<uint64_t> size_of_blob(std::string_view head) {
  size_t kind = head.find(" blob ");
  if (kind == std::string_view::npos) return std::nullopt;
  return number_in<uint64_t>(head.substr(kind + 6));
}

class Batch {
 public:
  explicit Batch(int fd) : fd_(fd) {}

  // Returns a line without its newline. A line that is longer than any of git's answers means that the framing is
  // lost.
  Result<std::string> line() {
    std::string text;
    for (;;) {
      if (TRY(more()).empty()) return fail(Code::closed, "git cat-file ended too early");
      std::string_view have = ahead();
      size_t end = have.find('\n');
      text.append(have.substr(0, end));
      at_ += std::min(have.size(), end == std::string_view::npos ? have.size() : end + 1);
      if (end != std::string_view::npos) return text;
      if (text.size() > kLongestHead) return fail(Code::protocol, "the answer of git cat-file is not valid");
    }
  }

  // Passes exactly that many bytes to `take`, in the pieces in which they come.
  Result<> bytes(uint64_t size, const std::function<Result<>(std::string_view)>& take) {
    while (size > 0) {
      std::string_view have = TRY(more());
      if (have.empty()) return fail(Code::closed, "git cat-file ended too early");
      have = have.substr(0, std::min<uint64_t>(size, have.size()));
      TRY(take(have));
      at_ += have.size();
      size -= have.size();
    }
    return {};
  }

 private:
  std::string_view ahead() const { return std::string_view(buffer_).substr(at_, filled_ - at_); }

  // Returns bytes that were read and are not used yet. Returns an empty view at the end.
  Result<std::string_view> more() {
    if (at_ == filled_) {
      filled_ = TRY(read_some(fd_, buffer_, "reading what git says"));
      at_ = 0;
    }
    return ahead();
  }

  int fd_;
  std::string buffer_ = std::string(256 << 10, '\0');
  size_t at_ = 0, filled_ = 0;
};

}  // namespace

// -z makes git print paths as they are. Otherwise, it would quote unusual ones.
Result<std::vector<Entry>> list_tree(const Runner& git, const std::string& commit, const Runner::Options& where,
                                     KeyedMap<std::string, std::string>* directories) {
  std::vector<std::string> words = {"ls-tree", "-r", "-z", "--full-tree", commit, "--"};
  if (directories) words.insert(words.begin() + 1, "-t");
  std::string out = TRY(git.ask(words, where));
  std::vector<Entry> entries;
  // Each entry is "mode type object\tpath\0".
  for (std::string_view line : each_record(out, '\0')) {
    size_t first = line.find(' '), second = line.find(' ', first + 1), tab = line.find('\t');
    // The three parts before the tab have no spaces, but the path may have them.
    if (tab == std::string_view::npos || second > tab)
      return fail(Code::protocol, "the answer of git ls-tree is not valid");
    std::string path(line.substr(tab + 1)), mode(line.substr(0, first)), id(line.substr(second + 1, tab - second - 1));
    if (directories && mode == kDirectory) directories->emplace(std::move(path), std::move(id));
    else entries.push_back({std::move(path), std::move(mode), std::move(id)});
  }
  return entries;
}

namespace {

// Runs `git cat-file --batch` and lets `read` read the answers for these ids.
Result<> with_batch(const Runner& git, const std::vector<std::string>& ids, const Runner::Options& where,
                    const std::function<Result<>(Batch&)>& read) {
  auto [in, out] = TRY(make_pipe());
  // 1 MB is the most that Linux gives to a user's pipe by default (pipe-max-size).
  widen_pipe(in.get(), 1 << 20);
  auto options = where;
  options.input = lines_of(ids);
  // The limit is long, because the reader may be as slow as an uplink. If the reader closes the pipe, git ends
  // immediately.
  options.timeout_s = 24 * 3600;
  auto process = std::async(std::launch::async, [&]() -> Result<Runner::Answer> {
    // The write end must close when git has ended. Otherwise, the reader would wait forever.
    UniqueFd mine = std::move(out);
    options.output_fd = mine.get();
    // --buffer makes git write larger pieces instead of flushing after each object.
    return git.run({"cat-file", "--batch", "--buffer"}, options);
  });
  Batch batch(in.get());
  auto done = read(batch);
  in.reset();  // makes git end now, if it has not ended yet
  auto ended = process.get();
  // If git failed, for example because of a limit, its error is the cause, and the reader's error is a consequence.
  return ended ? done : std::unexpected(std::move(ended.error()));
}

// Reads the rest of a blob's answer: a line end follows each blob. If it is not there, the sizes and the bytes do not
// fit.
Result<> blob_from(Batch& batch, uint64_t size, const std::function<Result<>(std::string_view)>& data) {
  TRY(batch.bytes(size, data));
  if (TRY(batch.line()) != "") return fail(Code::protocol, "the answer of git cat-file is not valid");
  return {};
}

}  // namespace

Result<> stream_blobs(const Runner& git, const std::vector<std::string>& ids, const Runner::Options& where,
                      const std::function<Result<>(size_t place, uint64_t size)>& blob,
                      const std::function<Result<>(std::string_view)>& data) {
  if (ids.empty()) return {};
  return with_batch(git, ids, where, [&](Batch& batch) -> Result<> {
    for (size_t place = 0; place < ids.size(); ++place) {
      auto size = size_of_blob(TRY(batch.line()));
      if (!size) return fail(Code::not_found, "git has no blob " + ids[place]);
      TRY(blob(place, *size));
      TRY(blob_from(batch, *size, data));
    }
    return {};
  });
}

namespace {

// Reads blobs in the order of `asked` until one is too large or is not a blob. Returns how many objects were read.
Result<size_t> read_first(const Runner& git, const std::vector<std::string>& asked, size_t most,
                          const Runner::Options& where, std::map<std::string, std::string>& found, size_t& total) {
  size_t place = 0;
  TRY(with_batch(git, asked, where, [&](Batch& batch) -> Result<> {
    for (; place < asked.size(); ++place) {
      std::string head = TRY(batch.line());
      if (head.ends_with(" missing")) continue;
      auto size = size_of_blob(head);
      if (!size || *size > most || total + *size > kAllSmallBlobs) return {};
      total += *size;
      std::string& text = found[asked[place]];
      TRY(blob_from(batch, *size, [&](std::string_view bytes) -> Result<> {
        text.append(bytes);
        return {};
      }));
    }
    return {};
  }));
  return place;
}

}  // namespace

// Most blobs are small, so git is first asked for all of them. Only if one is not, git is asked for the sizes, because
// what is not wanted would have to be read as well.
Result<std::map<std::string, std::string>> small_blobs(const Runner& git, const std::vector<std::string>& ids,
                                                       size_t most, const Runner::Options& where) {
  std::map<std::string, std::string> found;
  // Many files of a tree can have the same content.
  std::set<std::string> unique(ids.begin(), ids.end());
  if (unique.empty()) return found;
  std::vector<std::string> asked(unique.begin(), unique.end()), wanted;
  size_t total = 0;
  auto first = read_first(git, asked, most, where, found, total);
  // A large object may be more than git's memory can hold.
  bool is_too_large = !first && (first.error().code == Code::limit || first.error().code == Code::closed);
  if (is_too_large) found.clear(), total = 0;
  else asked.erase(asked.begin(), asked.begin() + static_cast<long>(TRY(std::move(first))));
  if (asked.empty()) return found;
  auto options = where;
  options.input = lines_of(asked);
  std::string out = TRY(git.ask({"cat-file", "--batch-check", "--buffer"}, options));
  size_t place = 0;
  for (std::string_view line : each_line(out)) {
    if (place == asked.size()) break;
    const std::string& id = asked[place++];
    auto size = size_of_blob(line);
    // A blob that does not fit into the total is left out, but a smaller one after it may still fit.
    if (!size || *size > most || total + *size > kAllSmallBlobs) continue;
    total += *size;
    wanted.push_back(id);
  }
  std::string* current = nullptr;
  TRY(stream_blobs(
      git, wanted, where,
      [&](size_t i, uint64_t) -> Result<> {
        // A map does not move its values, so the pointer stays valid while more are added.
        current = &found[wanted[i]];
        return {};
      },
      [&](std::string_view bytes) -> Result<> {
        current->append(bytes);
        return {};
      }));
  return found;
}

}  // namespace bottle::git
