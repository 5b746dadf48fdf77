// Reads the format in gitformat-index(5), with the entries in one pass and bounds on their number, on the length of
// each path and on all paths together: with version 4, a few bytes can stand for a path of thousands. After a read
// beyond the end, take() returns nothing and is_whole_ stays false, so each caller checks once after several reads. A
// split index has a second file with most of its entries; the bitmaps of its `link` extension say which of these are
// replaced or removed. git would follow such a reference to any file name. Here, the caller supplies the file.

#include "git/formats/index.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "base/ids.h"
#include "base/text/parse.h"
#include "git/formats/modes.h"

namespace bottle::git {
namespace {

constexpr size_t kMostEntries = 1'000'000, kLongestPath = 4096, kMostPathBytes = 128 << 20;
constexpr size_t kStat = 40, kModifiedAt = 8, kModeAt = 24,
                 kSizeAt = 36;  // what stat(2) said of the file, and offsets in it
constexpr uint32_t kExtended = 0x4000, kIntentToAdd = 0x2000, kSkipWorktree = 0x4000;

std::unexpected<Error> broken(const char* what) { return fail(Code::protocol, std::string("git's index ") + what); }

// The additional part of an index that is split into two files. The numbers are positions in the shared index.
struct Link {
  std::string shared;                       // id of the shared index; empty if it has none
  std::vector<uint32_t> removed, replaced;  // in ascending order
};

// The content of an index file.
struct Parts {
  std::vector<IndexEntry> entries;  // those that replace an entry of the shared index have no path
  std::vector<bool> is_announced;   // for each entry, whether the file was announced with --intent-to-add
  bool has_directories = false;
  std::optional<Link> link;
};

uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (unsigned char byte : bytes) value = value << 8 | byte;
  return value;
}

// Reads a compressed bitmap (ewah/ewah_io.c in git) and removes it from `bytes`. Returns the positions of the bits that
// are set.
Result<std::vector<uint32_t>> bits_in(std::string_view& bytes) {
  auto take = [&](size_t size) {
    std::string_view taken = bytes.substr(0, size);
    bytes.remove_prefix(taken.size());
    return taken;
  };
  std::vector<uint32_t> set;
  if (bytes.size() < 8) return broken("ends within a bitmap");
  take(4);  // the number of bits, which also follows from the words
  uint64_t words = big_endian(take(4)), at = 0;
  if (bytes.size() < words * 8 + 4) return broken("ends within a bitmap");
  while (words > 0) {
    // A word says how many words of only zeros or only ones it stands for, and how many uncompressed words follow.
    // Bit 0 is the repeated bit, 32 bits count the repetitions, and 31 bits count the words that follow.
    uint64_t head = big_endian(take(8)), same = head >> 1 & 0xffffffff, plain = head >> 33;
    // The words that follow must be among those that are left.
    if (plain >= words--) return broken("has a bitmap that is not valid");
    // A run of ones takes eight bytes and can stand for 2^38 positions, so its length is checked before it is
    // expanded. A run of zeros costs nothing.
    if (head & 1 && (same + 1) * 64 + at > kMostEntries + 64) return broken("has a bitmap that is not valid");
    for (uint64_t bit = 0; head & 1 && bit < same * 64; ++bit) set.push_back(static_cast<uint32_t>(at + bit));
    at += same * 64;
    for (; plain > 0; --plain, --words, at += 64) {
      uint64_t word = big_endian(take(8));
      if (word != 0 && at > kMostEntries) return broken("has a bitmap that is not valid");
      for (uint64_t bit = 0; bit < 64; ++bit)
        if (word >> bit & 1) set.push_back(static_cast<uint32_t>(at + bit));
    }
  }
  take(4);
  return set;
}

// Reads the file from its beginning to its end. rest_ holds the bytes that have not been read yet.
class Reader {
 public:
  Reader(std::string_view bytes, ObjectFormat format)
      : rest_(bytes), size_(bytes.size()), id_bytes_(id_bytes(format)) {}

  Result<Parts> read() {
    if (take(4) != "DIRC") return broken("has no valid header");
    version_ = number(4);
    uint32_t count = number(4);
    if (!is_whole_ || version_ < 2 || version_ > 4) return broken("is of an unknown version");
    if (count > kMostEntries) return fail(Code::limit, "git's index has more entries than the limit");
    Parts parts;
    for (uint32_t i = 0; i < count; ++i) TRY(entry(parts));
    TRY(extensions(parts));
    if (has_empty_path_ && !parts.link) return broken("has an empty path");
    return parts;
  }

 private:
  // Returns that many bytes. At the end of the index, notes that it is broken, and returns nothing.
  std::string_view take(size_t size) {
    is_whole_ &= size <= rest_.size();
    std::string_view taken = is_whole_ ? rest_.substr(0, size) : std::string_view();
    rest_.remove_prefix(taken.size());
    return taken;
  }
  uint32_t number(size_t size) { return static_cast<uint32_t>(big_endian(take(size))); }

  // Reads one entry: the numbers of stat(2), the object id, flags, and the path.
  Result<> entry(Parts& parts) {
    size_t start = size_ - rest_.size();
    std::string_view stat = take(kStat), id = take(id_bytes_);
    uint32_t flags = number(2), more = flags & kExtended ? number(2) : 0;
    if (!is_whole_) return broken("ends too early");
    // Version 3 introduced these flags.
    if (version_ == 2 && more) return broken("has flags that its version does not know");
    // path_ keeps the path, because the next entry of version 4 builds on it.
    TRY(version_ == 4 ? shortened_path() : padded_path(start));
    has_empty_path_ |= path_.empty();
    if (path_.size() > kLongestPath) return broken("has a path that is too long");
    path_bytes_ += path_.size();
    if (path_bytes_ > kMostPathBytes) return fail(Code::limit, "git's index has longer paths than the limit");
    auto mode = static_cast<uint32_t>(big_endian(stat.substr(kModeAt, 4))), kind = mode >> 12;
    // A directory stands for all of its files, in a sparse index. The caller learns only that there are some.
    if (kind == 004) {
      parts.has_directories = true;
      return {};
    }
    // git looks only at the type and the owner's executable bit.
    const char* text = kind == 010   ? mode_of_file(mode & 0100)
                       : kind == 012 ? kSymlink
                       : kind == 016 ? kSubmodule
                                     : nullptr;
    if (!text) return broken("has an entry that is neither a file, a link nor a submodule");
    uint64_t modified =
        big_endian(stat.substr(kModifiedAt, 4)) * 1'000'000'000 + big_endian(stat.substr(kModifiedAt + 4, 4));
    parts.entries.push_back({path_, text, to_hex(id), static_cast<uint32_t>(big_endian(stat.substr(kSizeAt))),
                             flags >> 12 & 3, modified, (more & kSkipWorktree) != 0});
    parts.is_announced.push_back((more & kIntentToAdd) != 0);
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

  // The path consists of the previous path without its last bytes, and of some new bytes.
  Result<> shortened_path() {
    uint64_t removed = 0;
    for (bool first = true;; first = false) {
      uint32_t byte = number(1);
      if (!is_whole_ || removed > kLongestPath) return broken("has a path that is not valid");
      // The number format of git's varint.c: each further byte adds one, so that no number has two encodings.
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
  Result<> extensions(Parts& parts) {
    // The file ends with a checksum as long as an object id.
    while (rest_.size() > id_bytes_) {
      std::string_view name = take(4);
      uint32_t size = number(4);
      std::string_view body = take(size);
      if (!is_whole_ || rest_.size() < id_bytes_) return broken("ends within an extension");
      // `sdir` only says that the index has directories, which the entries show as well.
      if (name == "link") parts.link = TRY(link(body));
      else if (name != "sdir" && (name[0] < 'A' || name[0] > 'Z')) return broken("has an unknown extension");
    }
    return rest_.size() == id_bytes_ ? Result<>{} : broken("ends too early");
  }

  Result<Link> link(std::string_view body) const {
    if (body.size() < id_bytes_) return broken("ends within an extension");
    std::string id = to_hex(body.substr(0, id_bytes_));
    body.remove_prefix(id_bytes_);
    Link link;
    // An id of zeros means that there is no shared index, and that all entries are in this file.
    if (id.find_first_not_of('0') != std::string::npos) link.shared = id;
    if (body.empty()) return link;
    link.removed = TRY(bits_in(body));
    link.replaced = TRY(bits_in(body));
    if (!body.empty()) return broken("has an extension that is not valid");
    return link;
  }

  std::string_view rest_;
  size_t size_, id_bytes_, path_bytes_ = 0;
  uint32_t version_ = 0;
  bool is_whole_ = true;
  bool has_empty_path_ = false;  // only a split index may have one, in an entry that replaces one of the shared index
  std::string path_;
};

// Merges the entries of a split index into those of the shared one, like merge_base_index() in git's split-index.c.
// The split index first replaces entries of the shared one, in their order, then removes some, and then adds its own.
Result<Parts> put_over(Parts base, Parts split) {
  const Link& link = *split.link;
  size_t next = 0;
  // The entries that replace others come first in the file, without a path, in the order of their bits.
  for (uint32_t at : link.replaced) {
    if (at >= base.entries.size() || next >= split.entries.size() || !split.entries[next].path.empty())
      return broken("does not fit the shared index");
    split.entries[next].path = std::move(base.entries[at].path);
    base.entries[at] = std::move(split.entries[next]);
    base.is_announced[at] = split.is_announced[next++];
  }
  Parts whole;
  whole.has_directories = base.has_directories || split.has_directories;
  size_t removed = 0;
  // An entry that has a path replaces the entry of the shared index with the same path and stage, if there is one.
  std::set<std::pair<std::string_view, uint32_t>> added;
  for (size_t i = next; i < split.entries.size(); ++i) {
    if (split.entries[i].path.empty()) return broken("does not fit the shared index");
    added.emplace(split.entries[i].path, split.entries[i].stage);
  }
  for (size_t i = 0; i < base.entries.size(); ++i) {
    bool is_removed = removed < link.removed.size() && link.removed[removed] == i;
    removed += is_removed;
    if (is_removed || added.contains({base.entries[i].path, base.entries[i].stage})) continue;
    whole.entries.push_back(std::move(base.entries[i]));
    whole.is_announced.push_back(base.is_announced[i]);
  }
  // A position beyond the shared index, or positions that do not ascend, would be left over.
  if (removed < link.removed.size()) return broken("does not fit the shared index");
  for (size_t i = next; i < split.entries.size(); ++i) {
    whole.entries.push_back(std::move(split.entries[i]));
    whole.is_announced.push_back(split.is_announced[i]);
  }
  return whole;
}

}  // namespace

Result<Index> parse_index(std::string_view bytes, ObjectFormat format, const SharedIndex& shared) {
  Parts parts = TRY(Reader(bytes, format).read());
  if (parts.link) {
    if (!shared) return broken("is split into two files");
    Parts base;
    if (!parts.link->shared.empty()) {
      std::string other = TRY(shared(parts.link->shared));
      base = TRY(Reader(other, format).read());
    }
    // git writes only two levels, and more would let a file make this program read files without end.
    if (base.link) return broken("is split into more than two files");
    parts = TRY(put_over(std::move(base), std::move(parts)));
  }
  Index index{.entries = {}, .has_directories = parts.has_directories};
  for (size_t i = 0; i < parts.entries.size(); ++i)
    if (!parts.is_announced[i]) index.entries.push_back(std::move(parts.entries[i]));
  return index;
}

Result<std::string> index_of(const std::vector<IndexEntry>& entries) {
  auto number = [](uint64_t value, int bytes) {
    std::string text;
    for (int at = bytes - 1; at >= 0; --at) text += static_cast<char>(value >> 8 * at);
    return text;
  };
  std::string index = "DIRC" + number(2, 4) + number(entries.size(), 4);
  for (const auto& entry : entries) {
    std::string stat(kStat, '\0');
    stat.replace(kModeAt, 4, number(number_in<uint32_t>(entry.mode, 8).value_or(0), 4));
    // The flags have the length of the path, as far as it fits.
    std::string record = stat + TRY(from_hex(entry.object)) + number(std::min<size_t>(entry.path.size(), 0xfff), 2);
    record += entry.path;
    record.append(8 - record.size() % 8, '\0');
    index += record;
  }
  return index;
}

}  // namespace bottle::git
