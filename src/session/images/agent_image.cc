// The reference of an image that bottle builds contains a hash of its recipe. An image with that name is therefore
// used without contacting a registry or npm. Only `refresh` builds it again, to get a newer agent.
#include "session/images/agent_image.h"

#include <algorithm>

#include "base/text/line.h"
#include "docker/answers.h"
#include "session/images/agent_image_build.h"
#include "session/images/own_images.h"

extern "C" {
extern const char bottle_bootstrap_begin[], bottle_bootstrap_end[];
}

namespace bottle::session {
namespace {

// Turns bottle-agent-claude:0123abcd into bottle-agent-claude:replaced-<id>.
std::string replaced_name(const std::string& reference, const std::string& id) {
  size_t digest = id.find(':');
  return reference.substr(0, reference.rfind(':')) + ":replaced-" +
         id.substr(digest == std::string::npos ? 0 : digest + 1).substr(0, 12);
}

// Removes an image of bottle that has lost its name to a newer one.
void remove_replaced(docker::Engine& engine, const std::string& reference, const std::string& id) {
  // If a session still runs on the image, it stays under another name, so that a later `image prune` finds it.
  std::string replaced = replaced_name(reference, id);
  if (auto named = engine.tag_image(id, replaced)) (void)engine.remove_image(replaced);
  else (void)engine.remove_image(id);
}

}  // namespace

std::string_view bootstrap_script() { return {bottle_bootstrap_begin, bottle_bootstrap_end}; }

Result<> refuse_forged_labels(const nlohmann::json& image, const std::string& reference) {
  // An engine copies the labels of an image to each container of it. These four describe the image itself.
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

Result<> ensure_agent_image(docker::Engine& engine, const plan::Image& image, const Making& making) {
  std::string before;
  if (auto old = engine.inspect_image(image.reference)) {
    // An image that the operator chose is checked as well, because the agent's container would get its labels.
    if (!making.refresh) return refuse_forged_labels(*old, image.reference);
    before = docker::text_of(*old, "Id");
  } else if (old.error().code != Code::not_found) {
    return std::unexpected(std::move(old.error()));
  }
  if (image.recipe == plan::Image::Recipe::none)
    return fail(Code::not_found, "the engine has no image " + image.reference,
                "pull or build it, or remove `image:` from the bottle");
  TRY(build_agent_image(engine, image, making));
  auto made = TRY(engine.inspect_image(image.reference));
  if (!before.empty() && docker::text_of(made, "Id") != before) remove_replaced(engine, image.reference, before);
  // A Dockerfile may begin with any image, and inherits its labels.
  return refuse_forged_labels(made, image.reference);
}

Result<> load_agent_image(docker::Engine& engine, const docker::Engine::Reader& reader) {
  auto before = own_images(engine, {});
  TRY(engine.load_image(reader));
  auto after = own_images(engine, {});
  if (!before || !after) return {};  // what was replaced only takes room
  for (const auto& old : *before)
    if (is_ours(old.reference) && std::ranges::any_of(*after, [&](const OwnImage& now) {
          return now.reference == old.reference && now.id != old.id;
        }))
      remove_replaced(engine, old.reference, old.id);
  return {};
}

}  // namespace bottle::session
