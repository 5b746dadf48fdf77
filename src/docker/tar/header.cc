// Readers of tar differ in details, so a hostile archive could show one content to one reader and another one to the
// next. Therefore everything ambiguous is refused, such as a number with other characters behind it.
#include "docker/tar/header.h"

#include <algorithm>
#include <charconv>

#include "base/text/parse.h"

namespace bottle::docker {
namespace {

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
  return number_in<uint64_t>(text, 8);
}

bool checksum_holds(std::string_view block) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  if (block[155] != '!') return true;  // a fuzzer cannot guess checksums
#endif
  uint64_t sum = 0;
  for (size_t i = 0; i < kTarBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  return number(block, 148, 8) == sum;
}

}  // namespace

std::unexpected<Error> bad_archive(const std::string& what) { return fail(Code::protocol, "the archive " + what); }

bool is_empty_block(std::string_view block) { return block.find_first_not_of('\0') == std::string_view::npos; }

Result<TarHeader> parse_tar_header(std::string_view block) {
  if (block.size() != kTarBlock || !checksum_holds(block)) return bad_archive("has a header with a wrong checksum");
  auto size = number(block, 124, 12), mode = number(block, 100, 8);
  if (!size || !mode) return bad_archive("has a header with a bad number");
  TarHeader header;
  header.type = block[156];
  if (block.compare(257, 6, std::string_view("ustar\0", 6)) == 0) header.format = TarHeader::Format::ustar;
  // GNU's older format has spaces in the place of the version, and no prefix field: that part of the header has other
  // meanings there.
  if (block.compare(257, 8, std::string_view("ustar  \0", 8)) == 0) header.format = TarHeader::Format::gnu;
  header.path = field(block, 0, 100);
  if (std::string_view prefix = field(block, 345, 155); header.format == TarHeader::Format::ustar && !prefix.empty())
    header.path = std::string(prefix) + "/" + header.path;
  header.target = field(block, 157, 100);
  header.mode = static_cast<int>(*mode & 07777);
  header.size = *size;
  return header;
}

// A record is "LENGTH KEY=VALUE\n", where LENGTH counts the whole record.
Result<> TarExtension::take_pax(std::string_view records) {
  while (!records.empty()) {
    size_t length = 0;
    auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
    size_t digits = static_cast<size_t>(end - records.data());
    // Besides the digits, the shortest record has a space, a key of one letter, "=" and a line end.
    if (error != std::errc{} || length > records.size() || length < digits + 4 || *end != ' ' ||
        records[length - 1] != '\n')
      return bad_archive("has a bad extended header");
    std::string_view record = records.substr(digits + 1, length - digits - 2);
    records.remove_prefix(length);
    size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) return bad_archive("has a bad extended header");
    std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key.starts_with("GNU.sparse.")) sparse = true;
    // Other keys, such as times and extended attributes, are not needed and are left out.
    if (key == "path") path = value;
    if (key == "linkpath") target = value;
    if (key == "size") {
      auto number = number_in<uint64_t>(value);
      if (!number || *number >> 63) return bad_archive("has a bad size");
      size = number;
    }
  }
  return {};
}

Result<> TarExtension::take(char type, std::string_view body) {
  if (type == 'g') return {};  // has comments in practice, such as the commit of a `git archive`
  if (body.empty()) return bad_archive("has an empty extended header");
  if (type == 'x') return take_pax(body);
  // GNU's long name ends with a NUL.
  if (body.back() == '\0') body.remove_suffix(1);
  (type == 'L' ? path : target) = body;
  return {};
}

// The pax header takes precedence over the header's own field, which may be too small.
void TarExtension::apply(TarHeader& header) const {
  if (path) header.path = *path;
  if (target) header.target = *target;
  if (size) header.size = *size;
}

}  // namespace bottle::docker
