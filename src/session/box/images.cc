#include "session/box/images.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <filesystem>
#include <map>

#include "base/defer.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/line.h"
#include "base/os/process.h"
#include "base/unique_fd.h"
#include "docker/call.h"
#include "docker/tar.h"

extern "C" {
extern const char bottle_guard_begin[], bottle_guard_end[], bottle_inside_begin[], bottle_inside_end[];
extern const char bottle_bootstrap_begin[], bottle_bootstrap_end[];
}

namespace bottle::session {
namespace {

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<size_t>(end - begin)}; }

using Progress = std::function<void(const std::string&)>;

// A program that makes an image. What it says is progress, and the end of it the reason where it fails.
struct Builder {
  const Progress& progress;
  std::deque<std::string> last = {};

  Result<int> run(const std::vector<std::string>& argv) {
    return run_in_lines(argv, [&](const Line& line) {
      progress(line.text());
      last.push_back(line.text());
      if (last.size() > 3) last.pop_front();
    });
  }

  std::string why() const {
    std::string all;
    for (const auto& line : last) all += (all.empty() ? ": " : " | ") + line;
    return all;
  }
};

Result<> build_dockerfile(docker::Engine& engine, const plan::Image& image, bool refresh, const Progress& progress) {
  std::string directory = image.dockerfile.substr(0, image.dockerfile.rfind('/'));
  std::vector<std::string> argv = {"docker",
                                   "-H",
                                   "unix://" + engine.socket(),
                                   "build",
                                   "--label",
                                   "bottle.image=agent",
                                   "-t",
                                   image.reference,
                                   "-f",
                                   image.dockerfile};
  if (refresh) argv.insert(argv.end(), {"--pull", "--no-cache"});
  argv.insert(argv.end(), {"--", directory.empty() ? "/" : directory});
  Builder builder{progress};
  auto status = builder.run(argv);
  if (!status && status.error().code == Code::not_found)
    return fail(
        Code::not_found,
        "building " + image.dockerfile + ": the docker command is missing, and bottle needs it to build Dockerfiles",
        "install it (Debian: docker.io), or build the image elsewhere and name it with `image:`");
  if (TRY(std::move(status)) != 0)
    return fail(Code::unavailable, "building " + image.dockerfile + " failed" + builder.why());
  return {};
}

// bottle-agent-claude:0123abcd → bottle-agent-claude:replaced-<id>
std::string replaced_name(const std::string& reference, const std::string& id) {
  size_t digest = id.find(':');
  return reference.substr(0, reference.rfind(':')) + ":replaced-" +
         id.substr(digest == std::string::npos ? 0 : digest + 1).substr(0, 12);
}

constexpr const char* kWorkPrefix = "bottle-image-";

// What builders left that were killed: each holds a lock on its directory while it lives.
void remove_abandoned(const std::string& base) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    struct stat st{};
    std::string path = entry.path().string();
    if (!entry.path().filename().string().starts_with(kWorkPrefix)) continue;
    UniqueFd claim(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!claim || ::fstat(claim.get(), &st) != 0 || st.st_uid != ::getuid() || ::time(nullptr) - st.st_mtime < 60)
      continue;  // or is about to lock it
    if (std::error_code ignored; ::flock(claim.get(), LOCK_EX | LOCK_NB) == 0)
      std::filesystem::remove_all(path, ignored);
  }
}

Result<> bootstrap(docker::Engine& engine, const plan::Image& image, const Progress& progress) {
  const char* temporary = std::getenv("TMPDIR");
  std::string base = temporary && *temporary == '/' ? temporary : "/var/tmp",
              work = base + "/" + kWorkPrefix + random_hex(4);
  remove_abandoned(base);
  TRY(make_directories(work));
  UniqueFd claim(::open(work.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!claim || ::flock(claim.get(), LOCK_EX | LOCK_NB) != 0) return fail_errno("locking " + work);
  std::string script = work + "/bootstrap.sh", archive = work + "/rootfs.tar", agent = archive + ".agent";
  Defer clean([&] {
    for (const auto& file : {script, archive, agent}) ::unlink(file.c_str());
    ::rmdir(work.c_str());
  });
  TRY(write_file_atomically(script, bootstrap_script(), 0700));
  std::vector<std::string> argv = {"/bin/bash", script, image.provider, archive};
  argv.insert(argv.end(), image.packages.begin(), image.packages.end());
  Builder builder{progress};
  if (int status = TRY(builder.run(argv)); status != 0)
    return fail(Code::unavailable, "building the image for " + image.provider + " failed" + builder.why(),
                "it needs mmdebstrap and npm");
  progress("importing the image into the engine");
  UniqueFd fd(::open(archive.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + archive);
  auto reader = [&](char* buffer, size_t size) -> Result<size_t> {
    ssize_t n = ::read(fd.get(), buffer, size);
    if (n < 0) return fail_errno("reading " + archive);
    return static_cast<size_t>(n);
  };
  // The agent's own words about itself go into a Dockerfile instruction: only what cannot end its quotes.
  std::string version;
  for (char c : read_file(agent, 4096).value_or(""))
    if (std::isalnum(static_cast<unsigned char>(c)) || std::strchr(" .-_+()", c)) version += c;
  return engine.import_image(image.reference, reader,
                             {"LABEL bottle.image=agent", "LABEL bottle.agent=\"" + version + "\""});
}

}  // namespace

std::string_view guard_program() { return between(bottle_guard_begin, bottle_guard_end); }
std::string_view inside_program() { return between(bottle_inside_begin, bottle_inside_end); }

std::string_view bootstrap_script() { return between(bottle_bootstrap_begin, bottle_bootstrap_end); }

std::string guard_reference() {
  static const std::string reference = "bottle-guard:" + content_hash(guard_program());
  return reference;
}

Result<std::string> ensure_guard_image(docker::Engine& engine) {
  std::string reference = guard_reference();
  if (TRY(engine.image_exists(reference))) return reference;
  std::string archive;
  docker::TarWriter tar([&](std::string_view bytes) -> Result<> {
    archive.append(bytes);
    return {};
  });
  TRY(tar.file("guard", 0755, 0, 0, guard_program()));
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
  constexpr std::string_view kOfImages[] = {"bottle.image", "bottle.agent"};
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

Result<> ensure_agent_image(docker::Engine& engine, const plan::Image& image, const Progress& progress, bool refresh) {
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
  if (image.recipe == "dockerfile") {
    progress("building " + image.reference + " from " + image.dockerfile);
    TRY(build_dockerfile(engine, image, refresh, progress));
  } else {
    progress("building the image " + image.reference + " (once; takes a minute or two)");
    TRY(bootstrap(engine, image, progress));
  }
  auto made = TRY(engine.inspect_image(image.reference));
  // The name is the new image's now. The old one goes, unless a session still runs on it: then it has another name of
  // ours, by which `image prune` knows it later.
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

}  // namespace bottle::session
