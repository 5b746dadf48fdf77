#include "session/box/images.h"

#include <algorithm>
#include <map>

#include "base/ids.h"
#include "base/os/this_program.h"
#include "base/text/line.h"
#include "docker/call.h"
#include "docker/tar/tar.h"
#include "session/box/agent_image.h"
#include "session/box/programs.h"

extern "C" {
extern const char bottle_bootstrap_begin[], bottle_bootstrap_end[];
}

namespace bottle::session {
namespace {

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<size_t>(end - begin)}; }

using Progress = std::function<void(const std::string&)>;

std::string reference_of_guard(std::string_view program) { return "bottle-guard:" + content_hash(program); }

// Turns bottle-agent-claude:0123abcd into bottle-agent-claude:replaced-<id>.
std::string replaced_name(const std::string& reference, const std::string& id) {
  size_t digest = id.find(':');
  return reference.substr(0, reference.rfind(':')) + ":replaced-" +
         id.substr(digest == std::string::npos ? 0 : digest + 1).substr(0, 12);
}

}  // namespace

std::string_view bootstrap_script() { return between(bottle_bootstrap_begin, bottle_bootstrap_end); }

std::string guard_reference() {
  static const std::string reference = reference_of_guard(*program_for(Program::guard, own_architecture(), ""));
  return reference;
}

Result<std::string> ensure_guard_image(docker::Engine& engine) {
  if (TRY(engine.image_exists(guard_reference()))) return guard_reference();
  // An engine on another processor never has that image. This point is therefore reached only at the first start on an
  // engine, and at each start on an engine with another processor.
  std::string architecture = docker::text_of(TRY(engine.info()), "Architecture", std::string(own_architecture()));
  std::string_view program = TRY(program_for(Program::guard, architecture, directory_of_self()));
  std::string reference = reference_of_guard(program);
  if (reference != guard_reference() && TRY(engine.image_exists(reference))) return reference;
  std::string archive;
  docker::TarWriter tar([&](std::string_view bytes) -> Result<> {
    archive.append(bytes);
    return {};
  });
  TRY(tar.file("guard", 0755, 0, 0, program));
  TRY(tar.finish());
  size_t at = 0;
  auto reader = [&](char* buffer, size_t size) -> Result<size_t> {
    size_t n = std::min(size, archive.size() - at);
    archive.copy(buffer, n, at);
    at += n;
    return n;
  };
  TRY(engine.import_image(reference, reader, {"ENTRYPOINT [\"/guard\"]", "LABEL bottle.image=guard"}));
  return reference;
}

Result<> refuse_forged_labels(const nlohmann::json& image, const std::string& reference) {
  constexpr std::string_view kOfImages[] = {"bottle.image", "bottle.agent", "bottle.package", "bottle.integrity"};
  const auto& labels = docker::member(docker::member(image, "Config"), "Labels");
  if (!labels.is_object()) return {};
  for (const auto& [key, value] : labels.items())
    if (key.starts_with("bottle.") && std::ranges::count(kOfImages, key) == 0)
      return fail(Code::denied,
                  "the image " + reference + " carries the label " + one_line(key, 60) +
                      ", which bottle sets on what a session makes",
                  "was it made from a session's container (docker commit)? build it without that label");
  return {};
}

Result<> ensure_agent_image(docker::Engine& engine, const Directories& directories, const plan::Image& image,
                            const Progress& progress, bool refresh, const std::stop_token& stop) {
  std::string before;
  if (auto old = engine.inspect_image(image.reference)) {
    if (!refresh) return refuse_forged_labels(*old, image.reference);
    before = docker::text_of(*old, "Id");
  } else if (old.error().code != Code::not_found) {
    return std::unexpected(std::move(old.error()));
  }
  if (image.recipe.empty())
    return fail(Code::not_found, "the engine has no image " + image.reference,
                "pull or build it, or remove `image:` from the bottle");
  TRY(build_agent_image(engine, directories, image, progress, refresh, stop));
  auto made = TRY(engine.inspect_image(image.reference));
  // The name now belongs to the new image. The old image is removed. If a session still runs on it, it stays under
  // another name of bottle's, by which a later `image prune` finds it.
  if (!before.empty() && docker::text_of(made, "Id") != before) {
    std::string replaced = replaced_name(image.reference, before);
    if (auto named = engine.tag_image(before, replaced)) (void)engine.remove_image(replaced);
    else (void)engine.remove_image(before);
  }
  return refuse_forged_labels(made, image.reference);
}

Result<std::string> image_identity(docker::Engine& engine, const std::string& reference) {
  if (is_ours(reference)) return reference;
  size_t name = reference.rfind('/') == std::string::npos ? 0 : reference.rfind('/');
  std::string tagged = reference.find_first_of(":@", name) == std::string::npos ? reference + ":latest" : reference;
  return tagged + " " + docker::text_of(TRY(engine.inspect_image(reference)), "Id");
}

std::vector<std::string> image_identities(const nlohmann::json& images) {
  std::vector<std::string> identities;
  for (const auto& image : images)
    if (const auto& tags = docker::member(image, "RepoTags"); tags.is_array())
      for (const auto& tag : tags)
        if (tag.is_string())
          identities.push_back(is_ours(tag) ? tag.get<std::string>()
                                            : tag.get<std::string>() + " " + docker::text_of(image, "Id"));
  return identities;
}

Result<std::vector<OwnImage>> own_images(docker::Engine& engine, const std::set<std::string>& current) {
  using docker::member, docker::text_of;
  std::map<std::string, std::vector<std::string>> users;
  for (const auto& container : TRY(engine.containers())) {
    std::string name = text_of(container, "Id").substr(0, 12);
    for (const auto& given : member(container, "Names"))
      if (given.is_string()) name = given.get<std::string>().substr(given.get<std::string>().starts_with("/") ? 1 : 0);
    users[text_of(container, "ImageID")].push_back(name);
  }
  std::vector<OwnImage> found;
  for (const auto& image : TRY(engine.images())) {
    const auto& labels = member(image, "Labels");
    OwnImage own;
    own.id = text_of(image, "Id");
    own.agent = text_of(labels, "bottle.agent", text_of(labels, "bottle.image"));
    own.package = text_of(labels, "bottle.package");
    own.integrity = text_of(labels, "bottle.integrity");
    if (const auto& size = member(image, "Size"); size.is_number()) own.size = size.get<uint64_t>();
    if (const auto& created = member(image, "Created"); created.is_number()) own.created = created.get<int64_t>();
    own.used_by = users[own.id];
    for (const auto& tag : member(image, "RepoTags")) {
      if (!tag.is_string()) continue;
      own.reference = tag.get<std::string>();
      bool guard = own.reference.starts_with("bottle-guard:");
      if (!guard && !is_ours(own.reference)) continue;
      own.current = current.contains(own.reference);
      if (own.agent.empty()) own.agent = guard ? "guard" : "agent";
      found.push_back(own);
    }
  }
  std::ranges::sort(found, [](const OwnImage& a, const OwnImage& b) { return a.created > b.created; });
  return found;
}

std::vector<OwnImage> with_old_agents(const std::vector<OwnImage>& images, int64_t now) {
  constexpr int64_t kOld = 30 * 86400;  // in seconds
  std::vector<OwnImage> old;
  for (const auto& image : images)
    if (image.current && !image.package.empty() && now - image.created > kOld) old.push_back(image);
  return old;
}

}  // namespace bottle::session
