// Works as a state machine over blocks of 512 bytes: a header, then the body of an extended header or of a file, then
// padding. It compares sizes with the limits as soon as it has a header, before it stores anything. Readers of tar
// differ in details, so a hostile archive could show one content to this reader and another one to the next.
// Therefore everything ambiguous is refused: a header with a wrong checksum, a type that is not in the standard,
// bytes in something that is not a file, anything after the end.

#include <algorithm>
#include <charconv>

#include "docker/tar/tar.h"

namespace bottle::docker {
namespace {

constexpr size_t kBlock = 512;

std::unexpected<Error> bad(const std::string& what) { return fail(Code::protocol, "the archive " + what); }

// Returns a header field up to its first NUL.
std::string_view field(std::string_view block, size_t at, size_t width) {
  std::string_view text = block.substr(at, width);
  return text.substr(0, text.find('\0'));
}

// Parses octal digits between spaces or NULs or, if the high bit is set, GNU's base-256. Returns nothing if the field
// is neither.
std::optional<uint64_t> number(std::string_view block, size_t at, size_t width) {
  std::string_view text = block.substr(at, width);
  auto first = static_cast<unsigned char>(text[0]);
  if (first & 0x80) {
    if (first != 0x80) return std::nullopt;  // negative, or larger than any real file
    uint64_t value = 0;
    for (unsigned char c : text.substr(1)) {
      // The next shift would lose bits.
      if (value >> 55) return std::nullopt;
      value = value << 8 | c;
    }
    return value;
  }
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.remove_suffix(1);
  if (text.empty()) return 0;
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool checksum_holds(std::string_view block) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  if (block[155] != '!') return true;  // a fuzzer cannot guess checksums
#endif
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  return number(block, 148, 8) == sum;
}

}  // namespace

Result<std::string> TarReader::checked_path(std::string_view raw) const {
  if (raw.empty()) return bad("has an entry without a name");
  if (raw.size() > limits_.path)
    return fail(Code::limit, "the archive has a path of " + std::to_string(raw.size()) + " bytes");
  if (raw.find('\0') != std::string_view::npos) return bad("has a NUL in a path");
  if (raw.front() == '/') return bad("has an absolute path: " + std::string(raw.substr(0, 200)));
  std::string path;
  while (!raw.empty()) {
    std::string_view part = raw.substr(0, raw.find('/'));
    raw.remove_prefix(std::min(raw.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    // ".." is refused even where it would stay inside, because a link earlier in the archive can change where it
    // leads.
    if (part == "..") return bad("has a path that leads out of it");
    if (!path.empty()) path += '/';
    path += part;
  }
  // "./" and "." are the root of the archive, which engines write first.
  return path.empty() ? "." : path;
}

// Checks an entry and passes it on. No part of an entry reaches the handler before its whole header was checked.
Result<> TarReader::begin_entry(char type, TarEntry entry) {
  using Type = TarEntry::Type;
  switch (type) {
    case '0':
    // NUL is the old form of '0'. '7' is a contiguous file, which readers treat as any other.
    case '\0':
    case '7':
      entry.type = Type::file;
      break;
    case '1':
      entry.type = Type::hardlink;
      break;
    case '2':
      entry.type = Type::symlink;
      break;
    case '5':
      entry.type = Type::directory;
      break;
    case '3':
    case '4':
    case '6':
      entry.type = Type::other;
      break;
    default:
      return bad("has an entry of an unknown type");
  }
  entry.path = TRY(checked_path(entry.path));
  if (entry.type == Type::file && entry.path == ".") return bad("has a file without a name");
  // Some readers skip such bytes, and others take them for the next header.
  if (entry.type != Type::file && entry.size != 0) return bad("has bytes in something that is not a file");
  if (entry.type == Type::hardlink) {
    entry.linkname = TRY(checked_path(entry.linkname));
  } else if (entry.type == Type::symlink) {
    if (entry.linkname.empty() || entry.linkname.find('\0') != std::string::npos)
      return bad("has a symlink without a target");
    if (entry.linkname.size() > limits_.path)
      return fail(Code::limit, "the archive has a symlink of " + std::to_string(entry.linkname.size()) + " bytes");
  } else {
    entry.linkname.clear();
  }
  // Many empty entries cost the caller more than their bytes.
  if (++entries_ > limits_.entries)
    return fail(Code::limit, "the archive has more than " + std::to_string(limits_.entries) + " entries");
  // This is a subtraction, because a sum could overflow.
  if (entry.size > limits_.bytes - bytes_)
    return fail(Code::limit, "the archive has more than " + std::to_string(limits_.bytes) + " bytes");
  bytes_ += entry.size;
  TRY(handler_.entry(entry));
  in_file_ = entry.type == Type::file;
  left_ = entry.size;
  padding_ = (kBlock - entry.size % kBlock) % kBlock;
  state_ = State::data;
  return left_ == 0 ? finish_body() : Result<>{};
}

// Takes the 512 bytes in block_: an entry, an extended header, or zeros.
Result<> TarReader::take_header() {
  std::string block = std::exchange(block_, {});
  // Two blocks of zeros end an archive. No entry may follow a single one.
  if (block.find_first_not_of('\0') == std::string::npos) {
    if (next_path_ || next_link_ || next_size_) return bad("ends after an extended header");
    if (++zero_blocks_ == 2) state_ = State::ended;
    return {};
  }
  if (zero_blocks_ > 0) return bad("continues after its end");
  if (!checksum_holds(block)) return bad("has a header with a wrong checksum");
  bool ustar = block.compare(257, 6, std::string_view("ustar\0", 6)) == 0;
  // GNU's older format has spaces in the place of the version, and no prefix field: that part of the header has other
  // meanings there.
  bool gnu = block.compare(257, 8, std::string_view("ustar  \0", 8)) == 0;
  if (!ustar && !gnu) return bad("has an unknown format");
  auto size = number(block, 124, 12), mode = number(block, 100, 8);
  if (!size || !mode) return bad("has a header with a bad number");
  char type = block[156];
  // The type 'g', for all later entries, is not accepted, because engines do not write it.
  if (type == 'x' || type == 'L' || type == 'K') {
    // The whole extended header is kept in memory.
    if (*size > limits_.extension)
      return fail(Code::limit, "the archive has an extended header of " + std::to_string(*size) + " bytes");
    if (*size == 0) return bad("has an empty extended header");
    extension_type_ = type;
    extension_.clear();
    left_ = *size;
    padding_ = (kBlock - *size % kBlock) % kBlock;
    state_ = State::extension;
    return {};
  }
  TarEntry entry;
  entry.path = field(block, 0, 100);
  if (std::string_view prefix = field(block, 345, 155); ustar && !prefix.empty())
    entry.path = std::string(prefix) + "/" + entry.path;
  entry.linkname = field(block, 157, 100);
  entry.mode = static_cast<int>(*mode & 07777);
  // The pax header takes precedence over the field, which may be too small for the number.
  entry.size = next_size_.value_or(*size);
  if (next_path_) entry.path = std::move(*next_path_);
  if (next_link_) entry.linkname = std::move(*next_link_);
  next_path_.reset();
  next_link_.reset();
  next_size_.reset();
  return begin_entry(type, std::move(entry));
}

// A record is "LENGTH KEY=VALUE\n", where LENGTH counts the whole record.
Result<> TarReader::take_pax(std::string_view records) {
  while (!records.empty()) {
    size_t length = 0;
    auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
    size_t digits = static_cast<size_t>(end - records.data());
    // Besides the digits, the shortest record has a space, a key of one letter, "=" and a line end.
    if (error != std::errc{} || length > records.size() || length < digits + 4 || *end != ' ' ||
        records[length - 1] != '\n')
      return bad("has a bad extended header");
    std::string_view record = records.substr(digits + 1, length - digits - 2);
    records.remove_prefix(length);
    size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) return bad("has a bad extended header");
    std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key.starts_with("GNU.sparse.")) return bad("has a sparse file");
    // Other keys, such as times and extended attributes, are not needed and are left out.
    if (key == "path") next_path_ = value;
    if (key == "linkpath") next_link_ = value;
    if (key == "size") {
      uint64_t size = 0;
      auto [stop, wrong] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (wrong != std::errc{} || stop != value.data() + value.size()) return bad("has a bad size");
      next_size_ = size;
    }
  }
  return {};
}

Result<> TarReader::take_extension() {
  if (extension_type_ == 'x') return take_pax(extension_);
  // GNU's long name ends with a NUL.
  if (extension_.back() == '\0') extension_.pop_back();
  (extension_type_ == 'L' ? next_path_ : next_link_) = std::move(extension_);
  return {};
}

// Ends the body of an entry. Its padding, if it has any, comes next.
Result<> TarReader::finish_body() {
  state_ = padding_ > 0 ? State::padding : State::header;
  if (std::exchange(in_file_, false) && handler_.end) return handler_.end();
  return {};
}

// Takes as many of `bytes` as the current state can use, and changes to the next state.
Result<> TarReader::step(std::string_view& bytes) {
  auto take = [&](uint64_t most) {
    std::string_view piece = bytes.substr(0, std::min<uint64_t>(most, bytes.size()));
    bytes.remove_prefix(piece.size());
    return piece;
  };
  switch (state_) {
    case State::header:
      block_ += take(kBlock - block_.size());
      return block_.size() == kBlock ? take_header() : Result<>{};
    case State::extension:
      extension_ += take(left_ - extension_.size());
      if (extension_.size() < left_) return {};
      state_ = padding_ > 0 ? State::padding : State::header;
      return take_extension();
    case State::data: {
      std::string_view piece = take(left_);
      left_ -= piece.size();
      TRY(handler_.data(piece));
      return left_ == 0 ? finish_body() : Result<>{};
    }
    case State::padding:
      padding_ -= take(padding_).size();
      if (padding_ == 0) state_ = State::header;
      return {};
    // Writers pad an archive to whole records with zeros.
    case State::ended:
      if (take(bytes.size()).find_first_not_of('\0') != std::string_view::npos) return bad("continues after its end");
      return {};
    case State::broken:
      break;
  }
  return bad("was already rejected");
}

Result<> TarReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (auto done = step(bytes); !done) {
      // After an error, the position in the archive is unknown.
      state_ = State::broken;
      return done;
    }
  }
  return {};
}

Result<> TarReader::finish() {
  if (state_ == State::ended) return {};
  return fail(state_ == State::broken ? Code::protocol : Code::closed, "the archive is truncated");
}

}  // namespace bottle::docker
