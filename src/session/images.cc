#include "session/images.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/defer.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "docker/tar.h"


extern "C" {
extern const char bottle_guard_begin[], bottle_guard_end[], bottle_inside_begin[], bottle_inside_end[];
extern const char bottle_bootstrap_begin[], bottle_bootstrap_end[];
}

namespace bottle::session {
namespace {

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<size_t>(end - begin)}; }

}  // namespace

std::string_view guard_program() { return between(bottle_guard_begin, bottle_guard_end); }
std::string_view inside_program() { return between(bottle_inside_begin, bottle_inside_end); }

Result<std::string> ensure_guard_image(docker::Engine& engine) {
  static const std::string reference = "bottle-guard:" + content_hash(guard_program());
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
  TRY(engine.import_image(reference, reader, {"ENTRYPOINT [\"/guard\"]"}));
  return reference;
}

Result<> ensure_agent_image(docker::Engine& engine, const plan::Image& image, const std::function<void(const std::string&)>& progress) {
  if (TRY(engine.image_exists(image.reference))) return {};
  if (image.recipe.empty())
    return fail(Code::not_found, "the engine has no image " + image.reference, "pull or build it, or leave `image:` out of the bottle");
  if (image.recipe == "dockerfile") {
    progress("building " + image.reference + " from " + image.dockerfile);
    std::string directory = image.dockerfile.substr(0, image.dockerfile.rfind('/'));
    int status = TRY(run({"docker", "build", "-t", image.reference, "-f", image.dockerfile, "--", directory}));
    if (status != 0) return fail(Code::unavailable, "building " + image.dockerfile + " failed", "its own messages are above");
    return {};
  }
  progress("building the image " + image.reference + " (once; a minute or two)");
  const char* base = std::getenv("TMPDIR");
  std::string work = std::string(base ? base : "/var/tmp") + "/bottle-image-" + random_hex(4);
  TRY(make_directories(work));
  std::string script = work + "/bootstrap.sh", archive = work + "/rootfs.tar";
  Defer clean([&] {
    ::unlink(script.c_str());
    ::unlink(archive.c_str());
    ::rmdir(work.c_str());
  });
  TRY(write_file_atomically(script, between(bottle_bootstrap_begin, bottle_bootstrap_end), 0700));
  std::vector<std::string> argv = {"/bin/bash", script, image.provider, archive};
  argv.insert(argv.end(), image.packages.begin(), image.packages.end());
  if (int status = TRY(run(argv)); status != 0)
    return fail(Code::unavailable, "making the image for " + image.provider + " failed", "its own messages are above; it needs mmdebstrap and npm");
  progress("importing it into the engine");
  UniqueFd fd(::open(archive.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + archive);
  auto reader = [&](char* buffer, size_t size) -> Result<size_t> {
    ssize_t n = ::read(fd.get(), buffer, size);
    if (n < 0) return fail_errno("reading " + archive);
    return static_cast<size_t>(n);
  };
  return engine.import_image(image.reference, reader, {});
}

}  // namespace bottle::session
