// Writes the plain ustar format, which every reader supports, and writes a pax header before an entry only if a value
// does not fit into its field. So the header of an ordinary file is one block of 512 bytes. Everything that could
// differ between two runs is fixed or passed in, so that the same files make the same bytes.

#include "docker/tar/tar.h"

#include <cstdio>
#include <cstring>

namespace bottle::docker {
namespace {

// Returns a record "LENGTH KEY=VALUE\n". The length counts its own digits, so it is computed until it no longer
// changes.
std::string pax_record(const std::string& key, const std::string& value) {
  std::string rest = " " + key + "=" + value + "\n";
  size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) length = std::to_string(length).size() + rest.size();
  return std::to_string(length) + rest;
}

std::string block(const std::string& path, char type, int mode, uint32_t uid, uint32_t gid, uint64_t size,
                  const std::string& link, uint64_t time) {
  // The offsets are those of POSIX's ustar header.
  std::string header(512, '\0');
  auto put = [&](size_t at, size_t width, const std::string& text) {
    header.replace(at, std::min(width, text.size()), text, 0, width);
  };
  // Numbers are octal digits with leading zeros, and the field's last byte stays NUL.
  auto octal = [&](size_t at, size_t width, uint64_t value) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%0*llo", static_cast<int>(width - 1),
                        static_cast<unsigned long long>(value));
    put(at, width, text);
  };
  put(0, 100, path);
  octal(100, 8, static_cast<uint64_t>(mode));
  octal(108, 8, uid);
  octal(116, 8, gid);
  octal(124, 12, size);
  octal(136, 12, time);
  // The checksum is computed with spaces in its own field.
  put(148, 8, "        ");
  header[156] = type;
  put(157, 100, link);
  // This is the magic number with its NUL, and the version "00".
  put(257, 8, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (unsigned char c : header) sum += c;
  char text[9];
  (void)std::snprintf(text, sizeof text, "%06o", sum);
  // This writes six digits and a NUL; the space that follows stays.
  put(148, 7, std::string(text, 7));
  return header;
}

// Bodies are padded to whole blocks.
std::string padding(uint64_t size) { return std::string((512 - size % 512) % 512, '\0'); }

}  // namespace

Result<> TarWriter::header(const std::string& path, char type, int mode, uint32_t uid, uint32_t gid, uint64_t size,
                           const std::string& link) {
  std::string pax;
  if (path.size() > 100) pax += pax_record("path", path);
  if (link.size() > 100) pax += pax_record("linkpath", link);
  // Eleven octal digits hold sizes below 8 GB, and seven digits hold ids below 2^21.
  if (size >= (1ull << 33)) pax += pax_record("size", std::to_string(size));
  if (uid >= (1u << 21)) pax += pax_record("uid", std::to_string(uid));
  if (gid >= (1u << 21)) pax += pax_record("gid", std::to_string(gid));
  if (!pax.empty()) TRY(sink_(block("pax", 'x', 0644, 0, 0, pax.size(), "", time_) + pax + padding(pax.size())));
  // If a pax header has the real values, these fields only have to be valid.
  return sink_(block(path, type, mode, uid & 07777777, gid & 07777777, size >= (1ull << 33) ? 0 : size, link, time_));
}

Result<> TarWriter::directory(const std::string& path, int mode, uint32_t uid, uint32_t gid) {
  return header(path + "/", '5', mode, uid, gid, 0, "");
}

Result<> TarWriter::symlink(const std::string& path, const std::string& target, uint32_t uid, uint32_t gid) {
  return header(path, '2', 0777, uid, gid, 0, target);
}

Result<> TarWriter::begin_file(const std::string& path, int mode, uint32_t uid, uint32_t gid, uint64_t size) {
  size_ = size;
  written_ = 0;
  return header(path, '0', mode, uid, gid, size, "");
}

Result<> TarWriter::data(std::string_view bytes) {
  // The header has promised the size already, and more bytes would be read as the next header.
  if (bytes.size() > size_ - written_) return fail(Code::internal, "a file grew while bottle read it");
  written_ += bytes.size();
  return sink_(bytes);
}

Result<> TarWriter::end_file() {
  // Pads a file that shrank while it was read, so that the archive stays valid.
  static const std::string zeros(65536, '\0');
  while (written_ < size_)
    TRY(data(std::string_view(zeros).substr(0, std::min<uint64_t>(zeros.size(), size_ - written_))));
  std::string fill = padding(size_);
  return fill.empty() ? Result<>{} : sink_(fill);
}

Result<> TarWriter::file(const std::string& path, int mode, uint32_t uid, uint32_t gid, std::string_view bytes) {
  TRY(begin_file(path, mode, uid, gid, bytes.size()));
  TRY(data(bytes));
  return end_file();
}

Result<> TarWriter::finish() { return sink_(std::string(1024, '\0')); }

}  // namespace bottle::docker
