// The image is made from a container that never runs. An archive that bottle writes itself, as for the guard, would
// have to contain the directories above its own, such as /home, with their owners and modes, and these are known only
// to the engine. An image may also have a symbolic link in such a place.
#include "session/images/ready_image.h"

#include <algorithm>
#include <ctime>

#include "base/ids.h"
#include "base/stream.h"
#include "docker/answers.h"
#include "pki/seal.h"
#include "session/images/programs.h"

namespace bottle::session {
namespace {

using nlohmann::json;

// Increase this when put_ready_parts() or make_ready_image() changes what they make.
constexpr const char* kFormat = "1";

constexpr const char* kBottle = ".bottle";

// A hash needs no more digits to be unique on one engine. A line end cannot be part of any of the texts.
std::string short_hash(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) all += std::to_string(text.size()) + ":" + text + "\n";
  return to_hex(pki::digest(all)).substr(0, 12);
}

// Returns the beginning of the references of all versions of the image.
std::string beginning_of_reference(const ReadyParts& parts) {
  std::vector<std::string> texts = {parts.base, std::to_string(parts.uid), std::to_string(parts.gid)};
  for (const auto& directory : parts.directories)
    texts.push_back(std::to_string(directory.mode) + " " + directory.path);
  return "bottle-ready:" + short_hash(texts) + "-";
}

// Returns whether one of two absolute paths is at or above the other.
bool are_nested(const std::string& a, const std::string& b) {
  return (a + "/").starts_with(b + "/") || (b + "/").starts_with(a + "/");
}

// Earlier versions only take room. One that a container uses stays until `bottle image prune`.
void remove_earlier(docker::Engine& engine, const ReadyParts& parts) {
  auto images = engine.images();
  if (!images) return;
  std::string beginning = beginning_of_reference(parts), now = ready_reference(parts);
  for (const auto& image : *images)
    for (const auto& tag : docker::member(image, "RepoTags"))
      if (tag.is_string() && tag.get<std::string>().starts_with(beginning) && tag != now)
        (void)engine.remove_image(tag.get<std::string>());
}

}  // namespace

std::string ready_reference(const ReadyParts& parts) {
  return beginning_of_reference(parts) + short_hash({parts.base_id, digest_of(parts.inside), kFormat});
}

bool can_be_ready(const json& base, const ReadyParts& parts) {
  const auto &tags = docker::member(base, "RepoTags"), &digests = docker::member(base, "RepoDigests");
  if (parts.base_id.empty() || (tags.empty() && digests.empty())) return false;
  const auto& volumes = docker::member(docker::member(base, "Config"), "Volumes");
  if (!volumes.is_object()) return true;
  return std::ranges::none_of(volumes.items(), [&](const auto& volume) {
    std::string path = volume.key();
    while (path.ends_with('/')) path.pop_back();
    return are_nested(path, std::string("/") + kBottle) ||
           std::ranges::any_of(parts.directories,
                               [&](const AgentDirectory& directory) { return are_nested(path, "/" + directory.path); });
  });
}

Result<> put_ready_parts(docker::TarWriter& tar, const ReadyParts& parts) {
  TRY(tar.directory(kBottle, 0755, 0, 0));
  TRY(tar.file(std::string(kBottle) + "/inside", 0755, 0, 0, parts.inside));
  for (const auto& [path, mode] : parts.directories) TRY(tar.directory(path, mode, parts.uid, parts.gid));
  return {};
}

// The container has no network and no mounts. It needs a command, because an engine makes no container without one.
Result<> make_ready_image(docker::Engine& engine, const std::string& container, const Labels& labels,
                          const ReadyParts& parts) {
  std::string archive;
  docker::TarWriter tar(sink_to(archive), static_cast<uint64_t>(std::time(nullptr)));
  TRY(put_ready_parts(tar, parts));
  TRY(tar.finish());
  json config = {{"Image", parts.base_id},
                 {"Entrypoint", {std::string("/") + kBottle + "/inside"}},
                 {"Labels", labels},
                 {"HostConfig", {{"NetworkMode", "none"}, {"CapDrop", {"ALL"}}, {"LogConfig", {{"Type", "none"}}}}}};
  TRY(engine.create_container(container, config));
  TRY(engine.put_archive(container, "/", source_of(archive)));
  // An image gets the labels of its container. The session's would say nothing true about it.
  json own = {{kReadyOf, parts.base + " " + parts.base_id}};
  for (const auto& [key, value] : labels) own[key] = "";
  TRY(engine.commit_container(container, ready_reference(parts), {{"Labels", own}}));
  remove_earlier(engine, parts);
  return {};
}

}  // namespace bottle::session
