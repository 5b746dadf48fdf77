// Works as a state machine over blocks of 512 bytes: a header, then the body of an extended header or of a file, then
// padding. It compares sizes with the limits as soon as it has a header, before it stores anything. Whatever another
// reader may understand differently is refused: a type that is not in the standard, bytes in something that is not a
// file, anything after the end.

#include <algorithm>
#include <utility>

#include "docker/tar/tar.h"

namespace bottle::docker {

Result<std::string> TarReader::checked_path(std::string_view raw) const {
  if (raw.empty()) return bad_archive("has an entry without a name");
  if (raw.size() > limits_.path)
    return fail(Code::limit, "the archive has a path of " + std::to_string(raw.size()) + " bytes");
  if (raw.find('\0') != std::string_view::npos) return bad_archive("has a NUL in a path");
  if (raw.front() == '/') return bad_archive("has an absolute path: " + std::string(raw.substr(0, 200)));
  std::string path;
  while (!raw.empty()) {
    std::string_view part = raw.substr(0, raw.find('/'));
    raw.remove_prefix(std::min(raw.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    // ".." is refused even where it would stay inside, because a link earlier in the archive can change where it
    // leads.
    if (part == "..") return bad_archive("has a path that leads out of it");
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
      return bad_archive("has an entry of an unknown type");
  }
  entry.path = TRY(checked_path(entry.path));
  if (entry.type == Type::file && entry.path == ".") return bad_archive("has a file without a name");
  // Some readers skip such bytes, and others mistake them for the next header.
  if (entry.type != Type::file && entry.size != 0) return bad_archive("has bytes in something that is not a file");
  if (entry.type == Type::hardlink) {
    entry.linkname = TRY(checked_path(entry.linkname));
  } else if (entry.type == Type::symlink) {
    if (entry.linkname.empty() || entry.linkname.find('\0') != std::string::npos)
      return bad_archive("has a symlink without a target");
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
  padding_ = tar_padding(entry.size);
  state_ = State::data;
  return left_ == 0 ? finish_body() : Result<>{};
}

// Takes the 512 bytes in block_: an entry, an extended header, or zeros.
Result<> TarReader::take_header() {
  std::string block = std::exchange(block_, {});
  // Two blocks of zeros end an archive. No entry may follow a single one.
  if (is_empty_block(block)) {
    if (!next_.is_empty()) return bad_archive("ends after an extended header");
    if (++zero_blocks_ == 2) state_ = State::ended;
    return {};
  }
  if (zero_blocks_ > 0) return bad_archive("continues after its end");
  TarHeader header = TRY(parse_tar_header(block));
  if (header.format == TarHeader::Format::old) return bad_archive("has an unknown format");
  // The type 'g', for all later entries, is not accepted, because engines do not write it.
  if (is_tar_extension(header.type) && header.type != 'g') {
    // The whole extended header is kept in memory.
    if (header.size > limits_.extension)
      return fail(Code::limit, "the archive has an extended header of " + std::to_string(header.size) + " bytes");
    if (header.size == 0) return bad_archive("has an empty extended header");
    extension_type_ = header.type;
    extension_.clear();
    left_ = header.size;
    padding_ = tar_padding(header.size);
    state_ = State::extension;
    return {};
  }
  std::exchange(next_, {}).apply(header);
  TarEntry entry;
  entry.path = std::move(header.path);
  entry.linkname = std::move(header.target);
  entry.mode = header.mode;
  entry.size = header.size;
  return begin_entry(header.type, std::move(entry));
}

Result<> TarReader::take_extension() {
  TRY(next_.take(extension_type_, extension_));
  return next_.sparse ? bad_archive("has a sparse file") : Result<>();
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
      block_ += take(kTarBlock - block_.size());
      return block_.size() == kTarBlock ? take_header() : Result<>{};
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
      if (take(bytes.size()).find_first_not_of('\0') != std::string_view::npos)
        return bad_archive("continues after its end");
      return {};
    case State::broken:
      break;
  }
  return bad_archive("was already rejected");
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
