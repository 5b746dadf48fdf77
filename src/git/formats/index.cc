#include "git/formats/index.h"

#include <cstdint>
#include <utility>

#include "base/ids.h"

namespace bottle::git {
namespace {

constexpr size_t kMostEntries = 1'000'000, kLongestPath = 4096, kMostPathBytes = 128 << 20;
constexpr size_t kStat = 40, kModeAt = 24, kSizeAt = 36;  // what stat(2) said of the file, and offsets in it
constexpr uint32_t kExtended = 0x4000, kIntentToAdd = 0x2000;

std::unexpected<Error> broken(const char* what) { return fail(Code::protocol, std::string("git's index ") + what); }

class Reader {
 public:
  Reader(std::string_view bytes, size_t id_size) : rest_(bytes), size_(bytes.size()), id_size_(id_size) {}

  Result<Index> read() {
    if (take(4) != "DIRC") return broken("has no valid header");
    version_ = number(4);
    uint32_t count = number(4);
    if (!is_whole_ || version_ < 2 || version_ > 4) return broken("is of an unknown version");
    if (count > kMostEntries) return fail(Code::limit, "git's index has more entries than the limit");
    Index index;
    for (uint32_t i = 0; i < count; ++i) TRY(entry(index));
    TRY(extensions());
    if (has_empty_path_) return broken("has an empty path");
    return index;
  }

 private:
  // Returns that many bytes. At the end of the index, notes that it is broken, and returns nothing.
  std::string_view take(size_t size) {
    is_whole_ &= size <= rest_.size();
    std::string_view taken = is_whole_ ? rest_.substr(0, size) : std::string_view();
    rest_.remove_prefix(taken.size());
    return taken;
  }
  static uint32_t number_in(std::string_view bytes) {
    uint32_t value = 0;
    for (unsigned char byte : bytes) value = value << 8 | byte;
    return value;
  }
  uint32_t number(size_t size) { return number_in(take(size)); }

  Result<> entry(Index& index) {
    size_t start = size_ - rest_.size();
    std::string_view stat = take(kStat), id = take(id_size_);
    uint32_t flags = number(2), more = flags & kExtended ? number(2) : 0;
    if (!is_whole_) return broken("ends too early");
    if (version_ == 2 && more) return broken("has flags that its version does not know");
    TRY(version_ == 4 ? shortened_path() : padded_path(start));
    has_empty_path_ |= path_.empty();
    if (path_.size() > kLongestPath) return broken("has a path that is too long");
    path_bytes_ += path_.size();
    if (path_bytes_ > kMostPathBytes) return fail(Code::limit, "git's index has longer paths than the limit");
    uint32_t mode = number_in(stat.substr(kModeAt, 4)), kind = mode >> 12;
    if (kind == 004) {
      index.has_directories = true;
      return {};
    }
    const char* text = kind == 010   ? (mode & 0100 ? "100755" : "100644")
                       : kind == 012 ? "120000"
                       : kind == 016 ? "160000"
                                     : nullptr;
    if (!text) return broken("has an entry that is neither a file, a link nor a submodule");
    if (!(more & kIntentToAdd))
      index.entries.push_back({path_, text, to_hex(id), number_in(stat.substr(kSizeAt)), flags >> 12 & 3});
    return {};
  }

  // The path ends with one to eight NULs, so that the size of the entry is a multiple of eight.
  Result<> padded_path(size_t start) {
    size_t end = rest_.find('\0');
    if (end == std::string_view::npos) return broken("ends within a path");
    path_ = take(end);
    size_t size = size_ - rest_.size() - start;
    take(8 - size % 8);
    if (!is_whole_) return broken("ends too early");
    return {};
  }

  // The path is the one before it without its last bytes, and then some others.
  Result<> shortened_path() {
    uint64_t removed = 0;
    for (bool first = true;; first = false) {
      uint32_t byte = number(1);
      if (!is_whole_ || removed > kLongestPath) return broken("has a path that is not valid");
      removed = ((removed + (first ? 0 : 1)) << 7) | (byte & 127);
      if (!(byte & 128)) break;
    }
    size_t end = rest_.find('\0');
    if (end == std::string_view::npos || removed > path_.size()) return broken("has a path that is not valid");
    path_.resize(path_.size() - removed);
    path_ += take(end);
    take(1);
    return {};
  }

  // Checks what follows the entries, up to the checksum. An extension may be ignored if its name begins with a capital.
  Result<> extensions() {
    while (rest_.size() > id_size_) {
      std::string_view name = take(4);
      uint32_t size = number(4);
      take(size);
      if (!is_whole_ || rest_.size() < id_size_) return broken("ends within an extension");
      if (name == "link") return broken("is split into two files");
      if (name != "sdir" && (name[0] < 'A' || name[0] > 'Z')) return broken("has an unknown extension");
    }
    return rest_.size() == id_size_ ? Result<>{} : broken("ends too early");
  }

  std::string_view rest_;
  size_t size_, id_size_, path_bytes_ = 0;
  uint32_t version_ = 0;
  bool is_whole_ = true;
  bool has_empty_path_ = false;  // only a split index may have one
  std::string path_;
};

}  // namespace

Result<Index> parse_index(std::string_view bytes, size_t id_size) { return Reader(bytes, id_size).read(); }

}  // namespace bottle::git
