// Implements the rules of an engine that a session depends on, without time and without threads: names that are
// taken, references by name or id, labels that a container inherits from its image, things that cannot be removed
// while they are in use. Messages and codes are those of Docker. Where Docker is lenient, the fake engine is lenient,
// too, because tests must cover the consequences: creating a volume that exists succeeds, and so does removing a
// thing that does not exist.

#include "docker/fake/fake_world.h"

#include <algorithm>
#include <cstdio>

#include "base/stream.h"
#include "docker/answers.h"

namespace bottle::docker {
namespace {

using Json = nlohmann::json;

std::unexpected<Error> says(Code code, const std::string& what) { return fail(code, "the engine says: " + what); }

Labels labels_in(const Json& config) {
  Labels labels;
  for (const auto& [key, value] : member(config, "Labels").items()) labels[key] = value.get<std::string>();
  return labels;
}

// An empty label fits everything. One without a value only asks for the key.
bool carries(const Labels& labels, const std::string& label) {
  size_t equals = label.find('=');
  auto found = labels.find(label.substr(0, equals));
  return label.empty() ||
         (found != labels.end() && (equals == std::string::npos || found->second == label.substr(equals + 1)));
}

bool is_below(const std::string& path, const std::string& directory) {
  return directory == "/" || path == directory || path.starts_with(directory + "/");
}

}  // namespace

std::string FakeWorld::new_id() {
  char text[65];
  // An engine's ids have 64 hexadecimal digits.
  std::snprintf(text, sizeof text, "%064llx", static_cast<unsigned long long>(++made));
  return text;
}

Result<FakeContainer*> FakeWorld::container(const std::string& reference) {
  for (auto& [name, each] : containers)
    if (name == reference || each.id == reference) return &each;
  return says(Code::not_found, "No such container: " + reference);
}

Result<FakeNetwork*> FakeWorld::network(const std::string& reference) {
  for (auto& [name, each] : networks)
    if (name == reference || each.id == reference) return &each;
  return says(Code::not_found, "network " + reference + " not found");
}

Result<FakeImage*> FakeWorld::image(const std::string& reference) {
  for (auto& [id, each] : images)
    if (id == reference || each.tags.contains(reference) || each.digests.contains(reference)) return &each;
  return says(Code::not_found, "No such image: " + reference);
}

FakeImage& FakeWorld::add_image(const std::string& tag, const Labels& labels) {
  // A tag names one image only.
  for (auto& [id, each] : images) each.tags.erase(tag);
  std::string id = "sha256:" + new_id();
  return images[id] = {.id = id, .tags = {tag}, .labels = labels};
}

Result<std::string> FakeWorld::create_container(const std::string& name, const Json& config) {
  if (containers.contains(name)) return says(Code::conflict, "The container name \"/" + name + "\" is already in use");
  FakeImage* from = TRY(image(text_of(config, "Image")));
  // The image's labels come first, and those of the request replace them, which is why a session sets all of its
  // labels on everything.
  FakeContainer made{.id = new_id(), .name = name, .image = from->id, .labels = from->labels, .config = config};
  for (const auto& [key, value] : labels_in(config)) made.labels[key] = value;
  const Json& host = member(config, "HostConfig");
  std::string mode = text_of(host, "NetworkMode", "bridge");
  if (mode != "none") made.networks.insert(mode);
  if (needs_network_first && mode != "none") (void)TRY(network(mode));
  for (const auto& mount : member(host, "Mounts")) {
    if (text_of(mount, "Type") != "volume") continue;
    std::string volume = text_of(mount, "Source");
    // A volume that a container names is made if it does not exist.
    (void)TRY(create_volume(volume, labels_in(member(mount, "VolumeOptions"))));
    made.mounts[text_of(mount, "Target")] = volume;
  }
  for (const auto& path : from->volumes) {
    if (made.mounts.contains(path)) continue;
    std::string volume = new_id();
    (void)TRY(create_volume(volume, {}));
    made.anonymous.insert(volume);
    made.mounts[path] = volume;
  }
  made.files = from->files;
  return (containers[name] = std::move(made)).id;
}

Result<> FakeWorld::remove_container(const std::string& reference) {
  auto found = container(reference);
  if (!found) return {};
  auto anonymous = (*found)->anonymous;
  // The name is copied, because erasing destroys the one that is passed.
  containers.erase(std::string((*found)->name));
  // An engine silently keeps one that another container uses.
  for (const auto& volume : anonymous) (void)remove_volume(volume);
  return {};
}

Result<std::string> FakeWorld::create_network(const std::string& name, const Json& config) {
  if (networks.contains(name)) return says(Code::conflict, "network with name " + name + " already exists");
  FakeNetwork made{.id = new_id(), .name = name, .subnet = {}, .gateway = {}, .labels = labels_in(config)};
  made.config = config;
  for (const auto& range : member(member(config, "IPAM"), "Config")) {
    made.subnet = text_of(range, "Subnet");
    made.gateway = text_of(range, "Gateway");
  }
  for (const auto& [unused, each] : networks)
    if (!made.subnet.empty() && each.subnet == made.subnet)
      // An engine answers with 403, as for a network in use.
      return says(Code::denied, "Pool overlaps with other one on this address space");
  return (networks[name] = std::move(made)).id;
}

Result<> FakeWorld::remove_network(const std::string& reference) {
  auto found = network(reference);
  if (!found) return {};
  for (const auto& [name, each] : containers)
    // Only a container that runs has an endpoint in the network.
    if (each.state == FakeContainer::State::running && each.networks.contains((*found)->name))
      return says(Code::denied, "network " + (*found)->name + " has active endpoints");
  networks.erase(std::string((*found)->name));
  return {};
}

// If the volume exists, an engine answers with it, no matter which client made it.
Result<std::string> FakeWorld::create_volume(const std::string& name, const Labels& labels) {
  volumes.try_emplace(name, FakeVolume{.name = name, .labels = labels});
  return name;
}

Result<> FakeWorld::remove_volume(const std::string& name) {
  for (const auto& [container, each] : containers)
    for (const auto& [path, volume] : each.mounts)
      if (volume == name) return says(Code::conflict, "remove " + name + ": volume is in use - [" + each.id + "]");
  volumes.erase(name);
  return {};
}

Result<> FakeWorld::remove_image(const std::string& reference) {
  auto found = image(reference);
  if (!found) return {};
  FakeImage& it = **found;
  // An image with several names only loses this one.
  if (reference != it.id && it.tags.size() > 1) return it.tags.erase(reference), Result<>();
  for (const auto& [name, each] : containers)
    if (each.image == it.id) return says(Code::conflict, "conflict: container " + name + " is using this image");
  images.erase(std::string(it.id));
  return {};
}

namespace {

const char* status_of(const FakeContainer& c) {
  if (c.state == FakeContainer::State::running) return "running";
  return c.state == FakeContainer::State::created ? "created" : "exited";
}

}  // namespace

Json FakeWorld::describe(const FakeContainer& c) const {
  bool runs = c.state == FakeContainer::State::running;
  Json config = c.config;
  config["Labels"] = c.labels;
  Json mounts = Json::array();
  for (const auto& [at, volume] : c.mounts)
    mounts.push_back({{"Type", "volume"}, {"Name", volume}, {"Destination", at}});
  return {{"Id", c.id},
          {"Mounts", mounts},
          {"Name", "/" + c.name},
          {"Image", c.image},
          {"Config", config},
          {"State", {{"Status", status_of(c)}, {"Running", runs}, {"OOMKilled", false}, {"ExitCode", c.exit}}}};
}

Json FakeWorld::describe(const FakeNetwork& n) const {
  Json json = n.config.is_object() ? n.config : Json::object();
  json.update({{"Id", n.id},
               {"Name", n.name},
               {"Labels", n.labels},
               {"IPAM", {{"Config", Json::array({{{"Subnet", n.subnet}, {"Gateway", n.gateway}}})}}}});
  return json;
}

Json FakeWorld::describe(const FakeImage& i) const {
  return {{"Id", i.id},
          {"RepoTags", i.tags},
          {"RepoDigests", i.digests},
          {"Labels", i.labels},
          {"Config", {{"Labels", i.labels}}},
          {"Size", 1000},
          {"Created", i.created},
          {"RootFS", {{"Layers", Json::array({i.id})}}}};
}

Json FakeWorld::list(const std::string& kind, const std::string& label) const {
  Json all = Json::array();
  auto add = [&](const auto& things, const auto& to_json) {
    for (const auto& [name, each] : things)
      if (carries(each.labels, label)) all.push_back(to_json(each));
  };
  if (kind == "containers")
    add(containers, [&](const FakeContainer& c) -> Json {
      return {
          {"Id", c.id}, {"Names", {"/" + c.name}}, {"ImageID", c.image}, {"Labels", c.labels}, {"State", status_of(c)}};
    });
  else if (kind == "networks") add(networks, [&](const FakeNetwork& n) { return describe(n); });
  else if (kind == "images") add(images, [&](const FakeImage& i) { return describe(i); });
  else add(volumes, [](const FakeVolume& v) -> Json { return {{"Name", v.name}, {"Labels", v.labels}}; });
  return all;
}

namespace {

// Returns the volume that is mounted at or above a path, and the path below it.
std::pair<std::string, std::string> volume_of(const FakeContainer& container, const std::string& path) {
  for (const auto& [at, volume] : container.mounts)
    if (is_below(path, at)) return {volume, path == at ? "/" : path.substr(at.size())};
  return {"", path};
}

}  // namespace

void FakeWorld::put(FakeContainer& container, const std::string& path, FakeFile file) {
  auto [volume, below] = volume_of(container, path);
  (volume.empty() ? container.files : volumes[volume].files)[below] = std::move(file);
}

const FakeFile* FakeWorld::file(const FakeContainer& container, const std::string& path) const {
  auto [volume, below] = volume_of(container, path);
  if (!volume.empty() && !volumes.contains(volume)) return nullptr;
  const auto& files = volume.empty() ? container.files : volumes.at(volume).files;
  auto found = files.find(below);
  return found == files.end() ? nullptr : &found->second;
}

Result<> FakeWorld::unpack(FakeContainer& container, const std::string& path, std::string_view archive) {
  std::string at;
  FakeFile next;
  std::string text;
  // A file is complete only when the next entry begins, or at the end.
  auto keep = [&] {
    // There is no entry before the first one.
    if (at.empty()) return;
    next.text = std::make_shared<const std::string>(std::exchange(text, {}));
    put(container, std::exchange(at, {}), std::exchange(next, {}));
  };
  TarReader reader({.entry = [&](const TarEntry& entry) -> Result<> {
                      keep();
                      at = (path == "/" ? "" : path) + "/" + entry.path;
                      next = {.type = entry.type, .mode = entry.mode, .text = {}, .target = entry.linkname};
                      return {};
                    },
                    .data = sink_to(text)});
  TRY(reader.feed(archive));
  TRY(reader.finish());
  keep();
  return {};
}

Result<std::string> FakeWorld::pack(const FakeContainer& container, const std::string& path) const {
  FakeFiles all = container.files;
  for (const auto& [at, volume] : container.mounts)
    if (auto it = volumes.find(volume); it != volumes.end())
      for (const auto& [below, file] : it->second.files) all[below == "/" ? at : at + below] = file;
  // An engine's archive begins with the last component of the path.
  std::string archive, above = path.substr(0, path.rfind('/'));
  TarWriter tar(sink_to(archive));
  // An empty volume has no file here, but an engine's archive has an entry for it.
  bool any = container.mounts.contains(path) && !all.contains(path);
  if (any) TRY(tar.directory(path.substr(above.size() + 1), 0755, 0, 0));
  for (const auto& [at, file] : all) {
    if (!is_below(at, path)) continue;
    any = true;
    std::string name = at.substr(above.size() + 1);
    if (file.type == TarEntry::Type::directory) TRY(tar.directory(name, file.mode, 0, 0));
    else if (file.type == TarEntry::Type::symlink) TRY(tar.symlink(name, file.target, 0, 0));
    else TRY(tar.file(name, file.mode, 0, 0, *file.text));
  }
  TRY(tar.finish());
  if (!any) return says(Code::not_found, "Could not find the file " + path + " in container " + container.name);
  return archive;
}

std::set<std::string> FakeWorld::names() const {
  std::set<std::string> all;
  for (const auto& [name, unused] : containers) all.insert("container " + name);
  for (const auto& [name, unused] : networks) all.insert("network " + name);
  for (const auto& [name, unused] : volumes) all.insert("volume " + name);
  for (const auto& [id, each] : images)
    for (const auto& tag : each.tags) all.insert("image " + tag);
  return all;
}

}  // namespace bottle::docker
