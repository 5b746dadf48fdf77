// Answers two questions. Which images on this engine did bottle make? Only their references tell, because any image
// that was made from one of them has the labels, too. Does another engine have the same image? For one of bottle's own
// images, the tag tells; for others, only the id does.
#include "session/images/own_images.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "docker/answers.h"

namespace bottle::session {

namespace {

using docker::member, docker::text_of;

// Holds the words of an identity, which has up to three of them.
struct Identity {
  explicit Identity(const std::string& identity) {
    std::istringstream words(identity);
    words >> name >> id >> created;
    if (name.starts_with("sha256:")) id = name;
  }
  std::string name, id;  // both are the id if the image has no name
  int64_t created = 0;
};

// Returns the names of an image in one of the engine's lists. Older engines name an image without any "<none>:<none>".
std::vector<std::string> names_in(const nlohmann::json& image, const char* list) {
  std::vector<std::string> names;
  if (const auto& all = member(image, list); all.is_array())
    for (const auto& name : all)
      if (name.is_string() && !name.get<std::string>().starts_with("<none>")) names.push_back(name);
  return names;
}

}  // namespace

std::string image_name(std::string reference) {
  for (std::string_view registry : {"docker.io/", "index.docker.io/"})
    if (reference.starts_with(registry)) reference.erase(0, registry.size());
  constexpr std::string_view kOfficial = "library/";
  if (reference.starts_with(kOfficial) && reference.rfind('/') < kOfficial.size()) reference.erase(0, kOfficial.size());
  // A colon before the last slash belongs to the port of a registry, not to a tag.
  size_t name = reference.rfind('/') == std::string::npos ? 0 : reference.rfind('/');
  return reference.find_first_of(":@", name) == std::string::npos ? reference + ":latest" : reference;
}

Result<std::string> image_identity(docker::Engine& engine, const std::string& reference) {
  if (is_ours(reference)) {
    // Only the list has the time as a number.
    for (auto& identity : image_identities(TRY(engine.images())))
      if (reference_of(identity) == reference) return std::move(identity);
    return fail(Code::not_found, "the engine has no image " + reference);
  }
  auto image = TRY(engine.inspect_image(reference));
  std::string id = text_of(image, "Id"), name = image_name(reference);
  // An archive of an image carries its tags, but no digests of a registry and no abbreviated ids.
  return std::ranges::count(names_in(image, "RepoTags"), name) ? name + " " + id : id;
}

std::vector<std::string> image_identities(const nlohmann::json& images) {
  std::vector<std::string> identities, unnamed;
  for (const auto& image : images) {
    std::string id = text_of(image, "Id");
    auto names = names_in(image, "RepoTags");
    // An image that was pulled by its digest has no tag.
    if (names.empty()) names = names_in(image, "RepoDigests");
    const auto& created = member(image, "Created");
    std::string time = created.is_number_integer() ? " " + std::to_string(created.get<int64_t>()) : "";
    for (const auto& name : names) identities.push_back(name + " " + id + (is_ours(name) ? time : ""));
    if (names.empty()) unnamed.push_back(id);
  }
  // A hello has a limit. A machine that builds images may have thousands without a name, which are rarely needed.
  for (auto& id : unnamed)
    if (identities.size() < kMostIdentities) identities.push_back(std::move(id));
  return identities;
}

bool has_identity(const std::vector<std::string>& there, const std::string& identity) {
  Identity wanted(identity);
  return std::ranges::any_of(there, [&](const std::string& each) {
    Identity it(each);
    if (wanted.name == wanted.id) return it.id == wanted.id;
    if (it.name != wanted.name) return false;
    return wanted.id.empty() || it.id == wanted.id || (is_ours(it.name) && it.created >= wanted.created);
  });
}

std::string id_in(const std::string& identity) { return Identity(identity).id; }

Result<std::vector<OwnImage>> own_images(docker::Engine& engine, const std::set<std::string>& current) {
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
      // Builds of bottle from one day in November 2026 made such images, and no start uses them now.
      bool old = own.reference.starts_with("bottle-ready:");
      if (!guard && !old && !is_ours(own.reference)) continue;
      own.current = !old && current.contains(own.reference);
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
