// These commands treat the images of agents like a cache: `build` fills it ahead of a start, `list` shows it, and
// `prune` empties it, except for the images that a start would use now or that a container uses. The manifest decides
// which images a start would use.
#include <ctime>
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/interruption.h"
#include "app/world/world.h"
#include "base/text/shell_word.h"
#include "base/units.h"
#include "manifest/format/kinds.h"
#include "session/images/agent_image.h"
#include "session/images/guard_image.h"
#include "session/images/own_images.h"

namespace bottle::app {
namespace {

using nlohmann::json;

// Holds the images that bottle made, and the engine that has them.
struct Known {
  std::unique_ptr<docker::Engine> engine;
  std::vector<session::OwnImage> images;
};

// Returns the existing images, and says which of them a start in any repository would use now, according to the
// operator's policy.
Result<Known> known_images() {
  auto engine = TRY(connect_engine());
  // Without a repository, only the operator's own agents count.
  auto manifest = TRY(load_own_manifest());
  auto facts = image_facts(manifest, TRY(engine->info()).architecture);
  std::set<std::string> current = {session::guard_reference()};
  for (auto& reference : plan::current_images(manifest, facts)) current.insert(std::move(reference));
  auto images = TRY(session::own_images(*engine, current));
  return Known{std::move(engine), std::move(images)};
}

json as_json(const session::OwnImage& image) {
  return {{"reference", image.reference}, {"id", image.id},           {"agent", image.agent},
          {"size", image.size},           {"created", image.created}, {"used_by", image.used_by},
          {"current", image.current},     {"package", image.package}, {"integrity", image.integrity}};
}

struct ImageOptions {
  std::string provider;
  std::vector<std::string> packages;
  manifest::Pin pin;
  bool refresh = false, everything = false, dry_run = false;
  Output output;
};

// Checks the options like those of a manifest.
Result<> check(const ImageOptions& o) {
  using manifest::Type;
  const std::vector<std::string> known = {"claude", "codex", "shell", "command"};
  if (std::ranges::find(known, o.provider) == known.end())
    return fail(Code::invalid, "there is no provider '" + o.provider + "' to build an image for",
                manifest::suggest(o.provider, known));
  if (!o.pin.version.empty() && o.provider != "claude" && o.provider != "codex")
    return fail(Code::invalid, "--agent-version is for the programs of claude and codex", "leave it out");
  if (o.pin.version.empty() && !o.pin.integrity.empty())
    return fail(Code::invalid, "--integrity needs --agent-version", "add --agent-version VERSION");
  for (auto [type, value, option] : {std::tuple(Type::version, &o.pin.version, "--agent-version "),
                                     std::tuple(Type::integrity, &o.pin.integrity, "--integrity ")})
    if (!value->empty() && !manifest::valid(type, *value))
      return fail(Code::invalid, option + *value + ": expected " + std::string(manifest::kind(type).expect));
  return {};
}

Result<int> build_until(const ImageOptions& o, const std::stop_token& stop) {
  TRY(check(o));
  auto engine = TRY(connect_engine(stop));
  plan::Image image =
      plan::bootstrap_image(o.provider, o.packages, o.pin, image_facts({}, TRY(engine->info()).architecture));
  auto tell = [](const std::string& line) { say(dim("· " + line)); };
  TRY(session::ensure_agent_image(
      *engine, image, {.directories = directories(), .progress = tell, .refresh = o.refresh, .stop = stop}));
  if (o.output.json) print_json({{"image", image.reference}}, -1);
  else print(image.reference);
  return 0;
}

// A signal ends the build, which removes what it has made so far.
Result<int> build(const ImageOptions& o) {
  Interruption interruption("the build was stopped");
  auto built = build_until(o, interruption.stop());
  if (built || !interruption.signal()) return built;
  report({Code::canceled, "the build was stopped"}, o.output.json);
  return 128 + interruption.signal();
}

Result<int> list(const ImageOptions& o) {
  auto known = TRY(known_images());
  json all = json::array();
  std::vector<std::vector<Line>> rows = {{"IMAGE", "AGENT", "SIZE", "AGE", "USE"}};
  for (const auto& image : known.images) {
    all.push_back(as_json(image));
    std::string use = image.current ? "current" : "old";
    if (!image.used_by.empty()) use += ", used by " + std::to_string(image.used_by.size());
    rows.push_back(
        {image.reference, image.agent, decimal_size(image.size), age(std::time(nullptr) - image.created), use});
  }
  if (o.output.json) print_json(all);
  else print(table(rows));
  // The advice below is for people.
  if (o.output.json) return 0;
  for (const auto& image : session::with_old_agents(known.images, std::time(nullptr)))
    say("bottle: " + image.agent + " in " + image.reference + " was installed " +
        age(std::time(nullptr) - image.created) + " ago. Run `bottle image build " +
        shell_word(image.agent.substr(0, image.agent.find(' '))) + " --refresh`, or change `version` in the manifest");
  return 0;
}

Result<int> prune(const ImageOptions& o) {
  auto known = TRY(known_images());
  json removed = json::array(), left = json::array();
  for (const auto& image : known.images) {
    // An image that a container uses could not be removed anyway.
    if (!image.used_by.empty() || (image.current && !o.everything)) continue;
    auto gone = o.dry_run ? Result<>{} : known.engine->remove_image(image.reference);
    if (!gone) left.push_back({{"image", image.reference}, {"why", gone.error().what}});
    else removed.push_back(as_json(image));
    if (o.output.json) continue;
    if (!gone) say("bottle: " + gone.error().what);
    else print((o.dry_run ? "would remove " : "removed ") + image.reference + "  " + decimal_size(image.size));
  }
  if (o.output.json) print_json({{"removed", removed}, {"left", left}});
  else if (removed.empty() && left.empty()) print("nothing to remove");
  return left.empty() ? 0 : 125;
}

}  // namespace

void add_image(Command app) {
  auto o = std::make_shared<ImageOptions>();
  Command group = app.group("image");
  auto does = [o](Result<int> (*what)(const ImageOptions&)) {
    return [o, what] {
      leave_directory();
      return exit_status(what(*o), o->output.json);
    };
  };
  Command build_command = group.command("build");
  build_command.option("provider", o->provider).required();
  build_command.option("--package", o->packages);
  build_command.option("--agent-version", o->pin.version);
  build_command.option("--integrity", o->pin.integrity);
  build_command.flag("--refresh", o->refresh);
  build_command.flag("--json", o->output.json);
  build_command.runs(does(build));
  Command list_command = group.command("list");
  list_command.flag("--json", o->output.json);
  list_command.runs(does(list));
  Command prune_command = group.command("prune");
  prune_command.flag("--all", o->everything);
  prune_command.flag("--dry-run", o->dry_run);
  prune_command.flag("--json", o->output.json);
  prune_command.runs(does(prune));
}

}  // namespace bottle::app
