// Fuzzes the parsers of repository files: for any input, the result must have the form that the parser promises.
#include <cstdlib>

#include "git/formats/config.h"
#include "git/formats/formats.h"
#include "git/formats/index.h"
#include "git/settings.h"

using namespace bottle;
using namespace bottle::git;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void config(std::string_view text) {
  auto settings = parse_config(text);
  if (!settings) return;
  std::string again;
  for (const auto& setting : *settings) {
    (void)as_bool(setting);
    bool plain = setting.name.find('.') != std::string::npos && !setting.name.starts_with('.') &&
                 setting.name.find_first_of(std::string_view("\n\0", 2)) == std::string::npos && setting.value &&
                 setting.value->find('\0') == std::string::npos;
    if (!plain) continue;
    // A setting that bottle writes must read back as the same setting.
    auto same = parse_config(config_line(setting.name, *setting.value));
    require(same && same->size() == 1 && (*same)[0].value == setting.value && (*same)[0].name == setting.name);
  }
}

void refs(std::string_view text) {
  auto found = parse_packed_refs(text, "refs/");
  for (const auto& [name, id] : found) require(is_ref_name(name) && is_object_id(id));
  require(parse_packed_refs(packed(found), "refs/") == found);
  for (const auto& path : alternates_in(text)) require(!path.empty() && path.find('\0') == std::string::npos);
}

// Returns an index with a few files, for a split index to build on.
std::string shared_index() {
  std::string bytes("DIRC\0\0\0\2\0\0\0\3", 12);
  for (char name : {'a', 'b', 'c'}) {
    std::string entry(62, '\0');
    entry[26] = static_cast<char>(0x81);  // the mode 100644
    entry[27] = static_cast<char>(0xa4);
    entry[61] = 1;  // the length of the path
    bytes += entry + name + '\0' + std::string(8, '\0');
  }
  return bytes + std::string(20, '\0');
}

void index(std::string_view text) {
  for (auto format : {ObjectFormat::sha1, ObjectFormat::sha256})
    if (auto found = parse_index(text, format, [](const std::string&) { return Result<std::string>(shared_index()); }))
      for (const auto& entry : found->entries) {
        require(!entry.path.empty() && entry.path.find('\0') == std::string::npos);
        require(is_object_id(entry.object) && format_of_id(entry.object) == format && entry.stage <= 3);
      }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      config(text);
      break;
    case 1:
      refs(text);
      break;
    case 3:
      index(text);
      break;
    case 2:
      size_t line = text.find('\n');
      if (line != text.npos && line < 200 && text.size() < 2000) (void)matches(text.substr(0, line), text.substr(line));
  }
  return 0;
}
