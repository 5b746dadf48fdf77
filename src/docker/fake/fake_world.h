// Holds the containers, networks, volumes and images of a fake engine as plain values, so that a test can copy a world
// at any moment and continue from the copy.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "docker/engine.h"
#include "docker/tar/tar.h"

namespace bottle::docker {

using Labels = std::map<std::string, std::string>;

// Stands for one file, directory or link in a container, a volume or an image.
struct FakeFile {
  TarEntry::Type type = TarEntry::Type::file;
  int mode = 0644;
  std::shared_ptr<const std::string> text = std::make_shared<std::string>();  // shared by copies of a world
  std::string target = {};                                                    // of a symbolic link
};
using FakeFiles = std::map<std::string, FakeFile>;  // by absolute path

// These structs hold the things of the engine. All are plain values; a copy is independent, apart from the texts of
// files, which never change.
struct FakeContainer {
  enum class State { created, running, exited };
  std::string id, name, image;
  Labels labels = {};
  nlohmann::json config = {};
  State state = State::created;
  int exit = 0;
  std::set<std::string> networks = {};             // by name
  std::map<std::string, std::string> mounts = {};  // from path to volume
  std::set<std::string> anonymous = {};            // the volumes that were made because the image declares them
  FakeFiles files = {};                            // without those in volumes
  std::string log = {};
};
// `config` is the request that created it, with which describe() answers.
struct FakeNetwork {
  std::string id, name, subnet, gateway;
  Labels labels = {};
  nlohmann::json config = {};
};
// A volume has no id; its name is unique.
struct FakeVolume {
  std::string name;
  Labels labels = {};
  FakeFiles files = {};  // by path below the volume, beginning with a slash
};
// An image without tags still exists, as long as nothing removes it by its id.
struct FakeImage {
  std::string id;
  std::set<std::string> tags = {};
  Labels labels = {};
  FakeFiles files = {};
  std::set<std::string> volumes = {};  // the paths for which it declares volumes
  std::set<std::string> digests = {};  // names with digests of a registry
  int64_t created = 1;                 // in seconds since 1970
};

// Holds everything that a fake engine has. Functions that change it are called with the engine's lock held.
struct FakeWorld {
  using Json = nlohmann::json;

  std::map<std::string, FakeContainer> containers;  // by name
  std::map<std::string, FakeNetwork> networks;      // by name
  std::map<std::string, FakeVolume> volumes;        // by name
  std::map<std::string, FakeImage> images;          // by id
  uint64_t made = 0;                                // number of ids made so far
  bool needs_network_first = false;                 // like Podman, refuses a container whose network does not exist

  // These find a thing by name or id, and fail as an engine does if there is none.
  Result<FakeContainer*> container(const std::string& reference);
  Result<FakeNetwork*> network(const std::string& reference);
  Result<FakeImage*> image(const std::string& reference);
  // Adds an image without files under this tag, which another image loses.
  FakeImage& add_image(const std::string& tag, const Labels& labels = {});

  // These perform an engine's calls immediately.
  Result<std::string> create_container(const std::string& name, const Json& config);
  Result<> remove_container(const std::string& reference);
  Result<std::string> create_network(const std::string& name, const Json& config);
  Result<> remove_network(const std::string& reference);
  Result<std::string> create_volume(const std::string& name, const Labels& labels);
  Result<> remove_volume(const std::string& name);
  Result<> remove_image(const std::string& reference);

  // Return the answers of GET /containers/NAME/json and of the same request for networks and images.
  Json describe(const FakeContainer& container) const;
  Json describe(const FakeNetwork& network) const;
  Json describe(const FakeImage& image) const;
  // `kind` is containers, networks, volumes or images. An empty `label` lists all.
  Json list(const std::string& kind, const std::string& label) const;

  // unpack() unpacks an archive below `path` in a container, and pack() packs `path` into one.
  Result<> unpack(FakeContainer& container, const std::string& path, std::string_view archive);
  Result<std::string> pack(const FakeContainer& container, const std::string& path) const;
  // Returns the file at an absolute path, even if it is in a volume, or null if there is none.
  const FakeFile* file(const FakeContainer& container, const std::string& path) const;
  // Writes a file at an absolute path, into the volume that is mounted there if there is one.
  void put(FakeContainer& container, const std::string& path, FakeFile file);

  // Returns all names in the form "container x", "volume y" and so on, for comparisons in tests.
  std::set<std::string> names() const;

  // Returns an id that is unique in this world, with 64 hexadecimal digits. It is counted up, so that all runs are
  // the same.
  std::string new_id();
};

}  // namespace bottle::docker
