#include "wire/repositories/repositories.h"

#include "base/ids.h"
#include "base/text/json.h"
#include "base/text/line.h"

namespace bottle::wire {

// A path may have any bytes. One that is not UTF-8 is also written in hexadecimal, under a key of its own.
static void path(Object& o, const char* key, const char* exact_key, std::string& value) {
  bool exact = is_utf8(value);
  std::string shown = exact ? value : one_line(value, kPath);
  o.text(key, shown, kPath);
  if (o.is_read()) value = shown;
  if (!o.optional(exact_key, !exact)) return;
  std::string hex = to_hex(value);
  o.text(exact_key, hex, 2 * kPath);
  if (!o.is_read()) return;
  auto bytes = from_hex(hex);
  if (bytes) value = std::move(*bytes);
  else o.refuse(exact_key, "is not hexadecimal");
}

void fields(Object& o, ChangedRepository& repository) {
  path(o, "directory", "directory_hex", repository.directory);
  if (o.may_lack("patch")) path(o, "patch", "patch_hex", repository.patch);
  if (o.may_lack("filtered")) path(o, "filtered", "filtered_hex", repository.filtered);
}

// A workspace may hold many repositories, as a mirror of a package registry does.
void fields(Object& o, ChangedRepositories& changed) { o.objects("places", changed.repositories, 100'000); }

Result<ChangedRepositories> decode_repositories(std::string_view text) {
  if (text.starts_with('[')) return decode<ChangedRepositories>("{\"places\":" + std::string(text) + "}", From::ours);
  return decode<ChangedRepositories>(text, From::ours);
}

}  // namespace bottle::wire
