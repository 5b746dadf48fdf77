// Answers two questions. Which images on this engine did bottle make? Only their references tell, because any image
// that was made from one of ours has the labels, too. Does another engine have the same image? For an image of ours,
// the tag tells; for others, only the id does.
#include "session/images/own_images.h"

#include <algorithm>
#include <map>

#include "docker/answers.h"

namespace bottle::session {

Result<std::string> image_identity(docker::Engine& engine, const std::string& reference) {
  // The tag says what the image was made from, so no call is needed.
  if (is_ours(reference)) return reference;
  // A colon before the last slash belongs to the port of a registry, not to a tag.
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
    // A container without a name is listed by the start of its id, as `docker ps` does.
    std::string name = text_of(container, "Id").substr(0, 12);
    for (const auto& given : member(container, "Names"))
      if (given.is_string()) name = given.get<std::string>().substr(given.get<std::string>().starts_with("/") ? 1 : 0);
    // Containers are matched by the id, because the name of their image may have moved to a newer one.
    users[text_of(container, "ImageID")].push_back(name);
  }
  std::vector<OwnImage> found;
  for (const auto& image : TRY(engine.images())) {
    const auto& labels = member(image, "Labels");
    OwnImage own;
    own.id = text_of(image, "Id");
    // Labels only describe the image here. The name decides below whether it is bottle's.
    own.agent = text_of(labels, "bottle.agent", text_of(labels, "bottle.image"));
    own.package = text_of(labels, "bottle.package");
    own.integrity = text_of(labels, "bottle.integrity");
    if (const auto& size = member(image, "Size"); size.is_number()) own.size = size.get<uint64_t>();
    if (const auto& created = member(image, "Created"); created.is_number()) own.created = created.get<int64_t>();
    own.used_by = users[own.id];
    // An image with several names is listed once for each.
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
