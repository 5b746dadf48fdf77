// An agent's program writes its own transcript into its home directory, and the agent can write anything there. Each
// file is read as lines of JSON and written again (JsonLines), so that the file that the operator later opens is JSON
// of bounded size. Only files with plain names are kept. The limits include what is already there, because a
// session's transcript may be fetched several times.
#include "session/collect/transcript.h"

#include <dirent.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/text/json_lines.h"
#include "base/text/path_parts.h"
#include "docker/tar/tar.h"

namespace bottle::session {
namespace {

constexpr const char* kPlaces[] = {"/home/agent/.claude/projects", "/home/agent/.codex/sessions"};
constexpr uint64_t kMost = 256u << 20;  // in bytes, for all files together
constexpr size_t kMostFiles = 256, kLongestLine = 2u << 20;

// Returns the file to write, or nothing if this one is not kept.
std::optional<JsonLines> file_for(const std::string& path, const std::string& results) {
  std::string name(name_in(path)), directory = results + "/transcript";
  std::error_code ignored;
  size_t count = 0;
  uint64_t kept = 0;
  auto there = names_in(directory);
  for (const auto& file : there.value_or(std::vector<std::string>())) {
    ++count;
    // The file that is about to be replaced does not count.
    if (uint64_t size = std::filesystem::file_size(std::filesystem::path(directory) / file, ignored);
        !ignored && file != name)
      kept += size;
  }
  // If it is unknown how much there is, nothing is added to it.
  if (!there || !name.ends_with(".jsonl") || !is_plain_name(name) || count >= kMostFiles || kept >= kMost ||
      !make_directories(directory))
    return std::nullopt;
  auto lines = JsonLines::create(directory + "/" + name, kMost - kept, kLongestLine);
  return lines ? std::optional(std::move(*lines)) : std::nullopt;
}

}  // namespace

void save_transcript(docker::Engine& engine, const std::string& container, const std::string& results) {
  for (const char* place : kPlaces) {
    std::optional<JsonLines> lines;
    docker::TarReader reader(
        {.entry = [&](const docker::TarEntry& entry) -> Result<> {
           // The file before this one ends here.
           lines.reset();
           // Does not follow links, and uses only the last part of a path, so the result has no directories.
           if (entry.type == docker::TarEntry::Type::file) lines = file_for(entry.path, results);
           return {};
         },
         .data = [&](std::string_view bytes) -> Result<> { return lines ? lines->feed(bytes) : Result<>(); }},
        {.entries = 100'000, .bytes = kMost});
    // Most containers have only one of these places, so errors are expected.
    (void)engine.get_archive(container, place, [&](std::string_view bytes) { return reader.feed(bytes); });
  }
}

Result<> keep_transcript(const Source& source, const std::string& name, const std::string& results) {
  auto lines = file_for(name, results);
  char buffer[65536];
  for (size_t n; lines && (n = TRY(source(buffer, sizeof buffer))) > 0;)
    if (!lines->feed({buffer, n})) lines.reset();
  return {};
}

}  // namespace bottle::session
