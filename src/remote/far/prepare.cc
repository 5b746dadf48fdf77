// Prepares this machine for sessions, so that the first one does not have to wait.
#include "base/files/file.h"
#include "docker/answers.h"
#include "docker/engine.h"
#include "remote/far/verbs.h"
#include "session/box/network.h"
#include "session/box/runtime_trial.h"
#include "session/images/agent_image.h"
#include "session/images/guard_image.h"

namespace bottle::remote {

using session::ensure_egress_network, session::ensure_guard_image, session::ensure_runtime;

namespace {

constexpr size_t kMostImages = 200;  // the most images whose layers a new one may share

}  // namespace

std::string runtimes_path(const FarWorld& world) { return roots_path(world) + ".runtimes"; }

Result<> layers(const FarWorld& world) {
  auto engine = TRY(engine_of(world));
  wire::ImageLayers all;
  for (const auto& image : TRY(engine->images()))
    // An image that is removed meanwhile has no layers to report.
    if (auto layers = engine->layers(docker::text_of(image, "Id")); layers && all.images.size() < kMostImages)
      all.images.push_back({*layers});
  return write_all(1, wire::encode(all) + "\n");
}

Result<> warm(const FarWorld& world, bool offline) {
  std::string roots = TRY(read_file("/dev/stdin", 8 << 20));
  TRY(write_file_atomically(roots_path(world), roots));
  auto engine = TRY(engine_of(world));
  TRY(ensure_guard_image(*engine));
  if (!offline) TRY(ensure_egress_network(*engine));
  TRY(ensure_runtime(*engine, world.directories, TRY(engine->info()), runtimes_path(world), "auto"));
  return write_all(1, "ok\n");
}

Result<> load(const FarWorld& world) {
  auto engine = TRY(engine_of(world));
  TRY(session::load_agent_image(*engine, source_of(0, "reading the image")));
  return write_all(1, "ok\n");
}

}  // namespace bottle::remote
