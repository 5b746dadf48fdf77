// Prepares this machine for sessions, so that the first one does not have to wait.
#include <algorithm>
#include <sstream>

#include "base/files/file.h"
#include "base/text/words.h"
#include "docker/answers.h"
#include "docker/engine.h"
#include "remote/far/verbs.h"
#include "session/box/network.h"
#include "session/box/runtime_trial.h"
#include "session/images/agent_image.h"
#include "session/images/guard_image.h"
#include "session/images/own_images.h"

namespace bottle::remote {

using session::ensure_egress_network, session::ensure_guard_image, session::ensure_runtime;

namespace {

constexpr size_t kMostImages = 200;  // the most images whose layers a new one may share
constexpr size_t kMostRenumbered = 500;
constexpr size_t kLongestRecord = 1 << 20;  // in bytes

// An engine's id of an image depends on how it stores images: it is the digest of the configuration, or that of the
// manifest with the image store of containerd. So an image that came from an engine of the other kind has another id on
// this engine. A line of this record has the image's name, its id on this engine, and its id on the other one.
std::string renumbered_path(const FarWorld& world) { return roots_path(world) + ".images"; }

std::string record_of_renumbered(const FarWorld& world) {
  return read_file(renumbered_path(world), kLongestRecord).value_or("");
}

// Adds a line to the record, and drops the oldest lines. If two write at the same time, one line is lost, and that
// image is sent once more.
Result<> note_renumbered(const FarWorld& world, const std::string& line) {
  std::string before = record_of_renumbered(world);
  std::vector<std::string> kept;
  for (std::string_view each : each_line(before))
    if (each != line) kept.emplace_back(each);
  kept.push_back(line);
  std::string record;
  for (size_t i = kept.size() > kMostRenumbered ? kept.size() - kMostRenumbered : 0; i < kept.size(); ++i)
    record += kept[i] + "\n";
  return write_file_atomically(renumbered_path(world), record);
}

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

static Result<> load_whole(const FarWorld& world, const SentImage& sent) {
  auto engine = TRY(engine_of(world));
  TRY(session::load_agent_image(*engine, source_of(0, "reading the image")));
  auto image = engine->inspect_image(sent.name);
  if (!image && image.error().code == Code::not_found && sent.name == sent.id)
    return fail(Code::conflict, "the engine gives the image another id than the engine that it comes from",
                "give the image a name with `docker tag`, and use that");
  if (!image) return std::unexpected(std::move(image.error()));
  // The image store of containerd accepts an archive that lacks layers, whether or not it has them.
  auto layers = engine->layers(sent.name);
  for (Code code : {Code::unavailable, Code::timed_out, Code::closed})
    if (!layers && layers.error().code == code) return std::unexpected(std::move(layers.error()));
  if (sent.layers > 0 && (!layers || layers->size() != sent.layers)) {
    (void)engine->remove_image(sent.name);  // the next start must not mistake it for the whole image
    return fail(Code::protocol, "the engine has only a part of the image " + sent.name);
  }
  if (std::string id = docker::text_of(*image, "Id"); !sent.id.empty() && id != sent.id)
    TRY(note_renumbered(world, sent.name + " " + id + " " + sent.id));
  return {};
}

bool all_layers_may_help(const Error& why) {
  // An engine may have a layer in another form than the archive, such as compressed, and not recognize it. It then
  // refuses the archive (Code::internal), has only a part (Code::protocol) or no such image (Code::not_found). An
  // engine has no code for a full disk, only these texts of the system.
  std::string what = lower(why.what);
  bool engine_refuses = why.code == Code::internal || why.code == Code::protocol || why.code == Code::not_found;
  return engine_refuses && !what.contains("no space left") && !what.contains("quota exceeded");
}

Result<> load(const FarWorld& world, const SentImage& sent) {
  auto loaded = load_whole(world, sent);
  bool again = !loaded && sent.is_part && all_layers_may_help(loaded.error());
  return loaded || again ? write_all(1, again ? "again\n" : "ok\n") : loaded;
}

void add_ids_elsewhere(const FarWorld& world, std::vector<std::string>& identities) {
  std::string record = record_of_renumbered(world);
  for (std::string_view line : each_line(record)) {
    std::istringstream words{std::string(line)};
    std::string name, here, there;
    words >> name >> here >> there;
    bool is_there = std::ranges::any_of(identities, [own = name + " " + here](const std::string& identity) {
      return identity == own || identity.starts_with(own + " ");  // the time may follow
    });
    if (is_there && !there.empty() && identities.size() < session::kMostIdentities)
      identities.push_back(name + " " + there);
  }
}

}  // namespace bottle::remote
