// Parses the headers of tar archives, which may be hostile. What to do with an entry is up to the caller.
// Source: POSIX.1-2017 pax (ustar and extended headers); GNU tar's long names and base-256 numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::docker {

constexpr size_t kTarBlock = 512;  // bytes of a header; bodies are padded to whole blocks

// Returns how many bytes follow a body of `size` bytes up to the end of its last block.
constexpr uint64_t tar_padding(uint64_t size) { return (kTarBlock - size % kTarBlock) % kTarBlock; }

// Returns the error for an archive that is not valid: "the archive " and what is wrong with it.
std::unexpected<Error> bad_archive(const std::string& what);

// Returns whether the block has only zeros. Two such blocks end an archive.
bool is_empty_block(std::string_view block);

// Holds the fields of a header. The paths are unchecked.
struct TarHeader {
  enum class Format { old, gnu, ustar } format = Format::old;
  char type = '0';
  std::string path, target;  // target is that of a link
  int mode = 0;              // permission bits, 07777
  uint64_t size = 0;         // in bytes, of the body; below 2^63
};

// Parses a block of kTarBlock bytes. Fails with Code::protocol if the checksum is wrong or a number is not valid.
Result<TarHeader> parse_tar_header(std::string_view block);

// Returns whether headers of this type describe the entry after them: pax headers and GNU's long names.
constexpr bool is_tar_extension(char type) { return type == 'x' || type == 'g' || type == 'L' || type == 'K'; }

// Holds the fields that extended headers give the next entry. They replace those of its own header.
struct TarExtension {
  std::optional<std::string> path, target;
  std::optional<uint64_t> size;  // below 2^63
  bool sparse = false;           // the body is a map of a file with holes, and not its content

  // Adds the extended header of this type with this body. Of several values for one field, the last counts. The type
  // 'g' is for all later entries and is ignored. Fails with Code::protocol if the body is malformed or empty.
  Result<> take(char type, std::string_view body);
  // Replaces fields of a header with those that are set here.
  void apply(TarHeader& header) const;
  bool is_empty() const { return !path && !target && !size && !sparse; }

 private:
  Result<> take_pax(std::string_view records);
};

}  // namespace bottle::docker
