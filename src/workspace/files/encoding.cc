// Converts the few encodings that projects use for files that git shows as text. git would convert them with iconv(3)
// when it adds a file or checks it out, but the modules of iconv must not read what an agent or a stranger wrote. The
// result must be the same as git's, because a file that this code converts differently would look changed.
#include "workspace/files/encoding.h"

#include <sys/stat.h>

#include <cstdint>

#include "base/files/beneath.h"
#include "base/stream.h"
#include "base/text/words.h"
#include "workspace/files/paths.h"
#include "workspace/files/untar.h"

namespace bottle::workspace {
namespace {

constexpr size_t kLargestText = 64 << 20;
constexpr uint32_t kMark = 0xfeff;  // the byte order mark

struct Form {
  size_t unit = 0;  // bytes per unit; 0 means an unknown encoding
  bool big = false, mark_wanted = false, mark_allowed = false;
};

// Returns the name of an encoding in the spelling that form_of() compares.
std::string normalized_name(std::string_view name) {
  std::string out = upper(std::string(name));
  // git accepts "utf8" and "UTF16LE" as well.
  if (out.starts_with("UTF") && out.size() > 3 && out[3] != '-') out.insert(3, "-");
  return out;
}

// Returns how the named encoding arranges its bytes. A name without a byte order is little-endian unless a byte order
// mark says otherwise.
Form form_of(const std::string& name) {
  for (size_t bits : {16, 32}) {
    std::string plain = "UTF-" + std::to_string(bits);
    if (name == plain) return {bits / 8, false, true, true};
    if (name == plain + "LE" || name == plain + "BE") return {bits / 8, name.ends_with("BE"), false, false};
    if (name == plain + "LE-BOM" || name == plain + "BE-BOM")
      return {bits / 8, name.find("BE-") != std::string::npos, true, true};
  }
  return {};
}

// Appends a code point in UTF-8 (RFC 3629).
void append(std::string& out, uint32_t c) {
  auto byte = [&](uint32_t value) { out += static_cast<char>(value); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      byte(0xe0 | c >> 12);
    } else {
      byte(0xf0 | c >> 18);
      byte(0x80 | (c >> 12 & 0x3f));
    }
    byte(0x80 | (c >> 6 & 0x3f));
  }
  byte(0x80 | (c & 0x3f));
}

// Returns the code unit at an offset, in the byte order of the form.
uint32_t unit_at(std::string_view bytes, size_t at, const Form& form) {
  uint32_t value = 0;
  for (size_t i = 0; i < form.unit; ++i) {
    size_t place = form.big ? form.unit - 1 - i : i;
    value |= uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * place);
  }
  return value;
}

// Appends a code unit in the byte order of the form.
void append_unit(std::string& out, uint32_t unit, const Form& form) {
  for (size_t i = 0; i < form.unit; ++i) out += static_cast<char>(unit >> 8 * (form.big ? form.unit - 1 - i : i));
}

// Removes the next code point from the front of a text in UTF-8. Returns nothing if it is not valid (RFC 3629).
std::optional<uint32_t> next(std::string_view& text) {
  auto first = static_cast<unsigned char>(text[0]);
  size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  // Bytes from 0x80 to 0xbf only continue a character.
  if ((first >= 0x80 && first < 0xc0) || first > 0xf4 || text.size() < size) return std::nullopt;
  uint32_t c = size == 1 ? first : first & (0x7fU >> size);
  for (size_t i = 1; i < size; ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80) return std::nullopt;
    c = c << 6 | (byte & 0x3f);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // by the number of bytes
  if (c < kSmallest[size] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff) return std::nullopt;
  text.remove_prefix(size);
  return c;
}

bool is_latin(const std::string& name) { return name == "ISO-8859-1" || name == "LATIN1" || name == "LATIN-1"; }

}  // namespace

std::optional<std::string> from_utf8(std::string_view encoding, std::string_view text) {
  std::string name = normalized_name(encoding), out;
  if (name == "UTF-8") return std::string(text);
  bool latin = is_latin(name);
  Form form = latin ? Form{1} : form_of(name);
  if (form.unit == 0) return std::nullopt;
  if (form.mark_wanted) append_unit(out, kMark, form);
  while (!text.empty()) {
    auto c = next(text);
    if (!c || (latin && *c > 0xff)) return std::nullopt;
    if (form.unit == 2 && *c >= 0x10000) {
      append_unit(out, 0xd800 + ((*c - 0x10000) >> 10), form);
      append_unit(out, 0xdc00 + ((*c - 0x10000) & 0x3ff), form);
    } else {
      append_unit(out, *c, form);
    }
  }
  return out;
}

Result<bool> convert_file(const std::string& tree, const std::string& path, const Convert& convert) {
  auto parts = safe_components(path);
  auto bytes = TRY(Beneath::open(tree)).read(path, kLargestText);
  auto converted = bytes && *bytes ? convert(**bytes) : std::nullopt;
  if (!converted || !parts) return false;
  uint64_t room = converted->size() + 4096;
  struct stat st{};
  bool executable = ::lstat((tree + "/" + path).c_str(), &st) == 0 && (st.st_mode & 0100);
  return TRY(Tree::open(tree)).file(*parts, executable, source_of(*converted), &room);
}

std::optional<std::string> to_utf8(std::string_view encoding, std::string_view bytes) {
  std::string name = normalized_name(encoding), out;
  if (name == "UTF-8") return std::string(bytes);
  // The bytes of Latin-1 are the first 256 code points of Unicode.
  if (is_latin(name)) {
    for (unsigned char c : bytes) append(out, c);
    return out;
  }
  Form form = form_of(name);
  if (form.unit == 0 || bytes.size() % form.unit != 0) return std::nullopt;
  size_t at = 0;
  // git requires a byte order mark for a name without a byte order, and forbids one for a name with it
  // (gitattributes(5)).
  if (!bytes.empty()) {
    bool named = name.size() > 6;  // the name includes a byte order
    // A mark in the other byte order decides the order, unless the name has decided it.
    Form other = form;
    other.big = !form.big;
    bool mark = unit_at(bytes, 0, form) == kMark, turned = unit_at(bytes, 0, other) == kMark;
    if (!named && turned) form = other, mark = true;
    if (mark != form.mark_wanted || (!form.mark_allowed && turned)) return std::nullopt;
    if (mark) at = form.unit;
  }
  for (; at < bytes.size(); at += form.unit) {
    uint32_t c = unit_at(bytes, at, form);
    // A surrogate pair stands for one character above U+FFFF.
    if (form.unit == 2 && c >= 0xd800 && c < 0xdc00) {
      if (at + 4 > bytes.size()) return std::nullopt;
      uint32_t low = unit_at(bytes, at += 2, form);
      if (low < 0xdc00 || low > 0xdfff) return std::nullopt;
      c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
      // A lone surrogate is not a character, and git's iconv would fail for it.
    } else if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff) {
      return std::nullopt;
    }
    append(out, c);
  }
  return out;
}

}  // namespace bottle::workspace
