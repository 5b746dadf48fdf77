// Tests finding and making images on an engine in memory, and the choice of the programs in them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/defer.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/process.h"
#include "docker/fake/fake_engine.h"
#include "docker/tar/tar.h"
#include "session/images/agent_image.h"
#include "session/images/build_place.h"
#include "session/images/build_scratch.h"
#include "session/images/guard_image.h"
#include "session/images/own_images.h"
#include "session/images/programs.h"
#include "session/ledger/graves.h"
#include "session/ledger/ledger.h"
#include "session/ledger/scratch_test.h"

namespace bottle::session {
namespace {

using docker::Fault, docker::FakeCall, docker::FakeDocker, docker::FakeWorld;

class ImagesOfAnEngine : public ::testing::Test {
 protected:
  FakeDocker docker;
  std::unique_ptr<docker::Engine> engine = docker.connect();
  Scratch scratch;
};

TEST_F(ImagesOfAnEngine, TheGuardsImageIsImportedOnceAndContainsTheProgram) {
  std::string reference = *ensure_guard_image(*engine);
  EXPECT_EQ(*ensure_guard_image(*engine), reference);
  auto world = docker.world();
  ASSERT_EQ(world.images.size(), 1u);
  const auto& image = world.images.begin()->second;
  EXPECT_EQ(image.labels.at("bottle.image"), "guard");
  EXPECT_EQ(*image.files.at("/guard").text, *program_for(Program::guard, own_architecture(), ""));
  docker.set_fault([](const FakeCall&) { return Fault::silent; });
  EXPECT_EQ(ensure_guard_image(*engine).error().code, Code::timed_out);
}

TEST_F(ImagesOfAnEngine, AnImageThatIsMissingIsNotBuiltWithoutARecipe) {
  plan::Image image{.reference = "mine:1"};
  Making making{.directories = scratch.directories, .progress = [](const std::string&) {}};
  EXPECT_EQ(ensure_agent_image(*engine, image, making).error().code, Code::not_found);
  docker.with_world([](FakeWorld& world) { world.add_image("mine:1"); });
  EXPECT_TRUE(ensure_agent_image(*engine, image, making));
  docker.with_world([](FakeWorld& world) { (*world.image("mine:1"))->labels = {{"bottle.role", "agent"}}; });
  EXPECT_EQ(ensure_agent_image(*engine, image, making).error().code, Code::denied);
}

TEST_F(ImagesOfAnEngine, OurImagesAreListedWithTheContainersThatUseThem) {
  docker.with_world([](FakeWorld& world) {
    world.add_image("bottle-agent-claude:1",
                    {{"bottle.image", "agent"}, {"bottle.agent", "claude 2"}, {"bottle.package", "p"}});
    world.add_image("bottle-guard:1", {{"bottle.image", "guard"}});
    world.add_image("debian:12", {{"bottle.image", "agent"}});
    world.add_image("bottle-ready:a-b", {{"bottle.image", "agent"}});
    (void)world.create_container("bottle-x1-agent", {{"Image", "bottle-agent-claude:1"}});
  });
  auto images = own_images(*engine, {"bottle-agent-claude:1"});
  ASSERT_TRUE(images);
  ASSERT_EQ(images->size(), 3u);
  auto named = [&](const char* reference) { return *std::ranges::find(*images, reference, &OwnImage::reference); };
  OwnImage agent = named("bottle-agent-claude:1");
  EXPECT_EQ(agent.agent, "claude 2");
  EXPECT_EQ(agent.used_by, std::vector<std::string>({"bottle-x1-agent"}));
  EXPECT_TRUE(agent.current);
  EXPECT_FALSE(named("bottle-ready:a-b").current) << "so that prune removes it";
}

// `bottle image build` may take minutes, and each local start removes what builds left.
TEST_F(ImagesOfAnEngine, ABuildIsAbandonedOnlyIfNothingHasItsLocks) {
  const char* before = ::getenv("TMPDIR");
  std::string old = before ? before : "", root = ::testing::TempDir() + "/builds-" + random_hex(4);
  ASSERT_TRUE(make_directories(root));
  ::setenv("TMPDIR", root.c_str(), 1);
  Defer clean([&] {
    std::filesystem::remove_all(root);
    if (before) ::setenv("TMPDIR", old.c_str(), 1);
    else ::unsetenv("TMPDIR");
  });
  auto abandoned = [&] {
    auto all = abandoned_builds();
    std::erase_if(all, [&](const std::string& path) { return !path.starts_with(root); });
    return all;
  };
  {
    auto place = BuildPlace::make();
    ASSERT_TRUE(place) << place.error().what;
    EXPECT_TRUE(abandoned().empty());
    EXPECT_TRUE(remove_abandoned_build(place->path()));
    EXPECT_TRUE(std::filesystem::exists(place->path()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(root));
  std::string killed = root + "/bottle-image-0011";
  ASSERT_TRUE(make_directories(killed));
  {
    auto earlier = FileLock::try_take(killed, {O_RDONLY | O_DIRECTORY});  // as earlier versions lock
    ASSERT_TRUE(earlier);
    EXPECT_TRUE(abandoned().empty());
  }
  EXPECT_EQ(abandoned(), std::vector<std::string>({killed}));
  EXPECT_TRUE(remove_abandoned_build(killed));
  EXPECT_TRUE(std::filesystem::is_empty(root));
}

// Another engine has loaded the archive of an image, which has its tags at most.
TEST_F(ImagesOfAnEngine, AreKnownAgainOnAnotherEngine) {
  docker.with_world([](FakeWorld& world) {
    world.images["sha256:aa"] = {.id = "sha256:aa", .tags = {"own:1", "own:latest"}, .digests = {"own@sha256:da"}};
    world.images["sha256:bb"] = {.id = "sha256:bb", .digests = {"other@sha256:db"}};
    world.images["sha256:cc"] = {.id = "sha256:cc"};
  });
  auto here = image_identities(*engine->images());
  for (const auto& [reference, identity] :
       std::vector<std::pair<std::string, std::string>>{{"own:1", "own:1 sha256:aa"},
                                                        {"sha256:aa", "sha256:aa"},
                                                        {"own@sha256:da", "sha256:aa"},
                                                        {"other@sha256:db", "sha256:bb"},
                                                        {"sha256:cc", "sha256:cc"}}) {
    EXPECT_EQ(*image_identity(*engine, reference), identity);
    EXPECT_TRUE(has_identity(here, identity)) << identity;
    EXPECT_TRUE(has_identity({"other:1 sha256:ee", identity}, identity)) << identity;
  }
  EXPECT_EQ(reference_of("sha256:cc"), "sha256:cc");
  EXPECT_EQ(id_in("sha256:cc"), "sha256:cc");
  EXPECT_EQ(id_in("own:1 sha256:aa"), "sha256:aa");
  EXPECT_EQ(id_in("own:1"), "");
  // Without an engine on this machine, only the name is known.
  for (const char* name : {"own:1", "own:latest", "other@sha256:db"}) EXPECT_TRUE(has_identity(here, name)) << name;
  EXPECT_FALSE(has_identity(here, "own:1 sha256:ee")) << "another image of the same name";
  for (const char* other : {"sha256:ee", "own:2", "own", "debian:12 sha256:aa"})
    EXPECT_FALSE(has_identity(here, other)) << other;
  EXPECT_FALSE(has_identity({"", "own:1", " ", "sha256:aa"}, "own:1 sha256:aa")) << "the name would not be found there";
  EXPECT_EQ(image_identity(*engine, "none:1").error().code, Code::not_found);
}

// A machine that builds images has many without a name, and its hello would be refused.
TEST_F(ImagesOfAnEngine, UnnamedImagesAreLeftOutIfThereAreTooMany) {
  nlohmann::json images = nlohmann::json::array();
  for (size_t i = 0; i < kMostIdentities + 10; ++i) images.push_back({{"Id", "sha256:" + std::to_string(i)}});
  images.push_back({{"Id", "sha256:aa"}, {"RepoTags", {"a:1"}}});
  auto all = image_identities(images);
  EXPECT_EQ(all.size(), kMostIdentities);
  EXPECT_TRUE(has_identity(all, "a:1 sha256:aa"));
}

TEST_F(ImagesOfAnEngine, ALaterImageOfOursReplacesAnOlderOne) {
  constexpr auto kName = "bottle-agent-claude:1";
  docker.with_world([&](FakeWorld& world) { world.add_image(kName).created = 20; });
  std::string id = (*docker.world().image(kName))->id, later = *image_identity(*engine, kName);
  EXPECT_EQ(later, std::string(kName) + " " + id + " 20");
  EXPECT_EQ(image_identities(*engine->images()), std::vector{later});
  EXPECT_EQ(reference_of(later), kName);
  auto there = [&](const std::string& rest) { return has_identity({kName + rest}, later); };
  EXPECT_TRUE(there(" " + id + " 20") && there(" sha256:ee 21") && there(" sha256:ee 20"));
  EXPECT_FALSE(there(" sha256:ee 19"));
  EXPECT_FALSE(there(" sha256:ee")) << "its time is unknown";
  EXPECT_TRUE(has_identity({later}, kName)) << "nothing more is known here";
  EXPECT_EQ(image_identity(*engine, "bottle-agent-claude:2").error().code, Code::not_found);
  // The fake gives an image that it loads a new id.
  std::string archive;
  ASSERT_TRUE(engine->save_image(kName, sink_to(archive)));
  for (bool used : {false, true}) {
    std::string before = (*docker.world().image(kName))->id;
    if (used) ASSERT_TRUE(engine->create_container("user", {{"Image", kName}}));
    ASSERT_TRUE(load_agent_image(*engine, source_of(archive)));
    auto world = docker.world();
    EXPECT_NE((*world.image(kName))->id, before);
    EXPECT_EQ(world.images.contains(before), used);
    if (used) EXPECT_EQ(world.images.at(before).tags.size(), 1u) << "so that `image prune` finds it";
  }
}

TEST(Images, HaveOneNameForAllSpellings) {
  for (const char* spelling : {"debian", "debian:latest", "docker.io/debian", "docker.io/library/debian",
                               "index.docker.io/library/debian:latest", "library/debian"})
    EXPECT_EQ(image_name(spelling), "debian:latest") << spelling;
  for (const char* other : {"localhost:5000/own:1", "docker.example/library/debian:1", "library/a/b:1", "team/own:1",
                            "own@sha256:da", "sha256:aa"})
    EXPECT_EQ(image_name(other), other);
  EXPECT_EQ(image_name("docker.io/team/own"), "team/own:latest");
  EXPECT_EQ(image_name("localhost:5000/own"), "localhost:5000/own:latest");
}

// The engine is slow: it finds nothing to remove, and makes the image or the container a moment later.
TEST_F(ImagesOfAnEngine, WhatABuildMayStillMakeStaysOnRecord) {
  std::string archive = scratch.path + "/rootfs.tar", graves = graves_in(scratch.directories);
  docker::TarWriter tar([text = std::string(), archive](std::string_view bytes) mutable {
    return write_file_atomically(archive, text += bytes);
  });
  ASSERT_TRUE(tar.finish());
  for (const char* method : {"import image", "create container"})
    for (Fault fault : {Fault::none, Fault::refused, Fault::late}) {
      docker.set_fault([&](const FakeCall& call) {
        if (call.method != method) return Fault::none;
        age_graves(graves);
        return fault;
      });
      {
        BuildScratch build(*engine, scratch.directories);
        EXPECT_EQ(build.take(archive) && build.finish(), fault == Fault::none);
        EXPECT_FALSE(std::filesystem::is_empty(graves));
      }
      docker.catch_up();
      auto world = docker.world();
      // A container is not made once its image is gone.
      bool appears = fault == Fault::late && std::string(method) == "import image";
      EXPECT_EQ(world.images.size() + world.containers.size(), appears ? 1u : 0u) << method;
      EXPECT_EQ(std::filesystem::is_empty(graves), fault != Fault::late) << method;
      EXPECT_TRUE(are_graves_new(graves)) << "otherwise, the next sweep drops it while the engine still works";
      for (const auto& grave : *names_in(graves))
        EXPECT_EQ(read_grave(scratch.directories, grave)->engine_id, "fake") << "another engine may get the socket";
      docker.with_world([](FakeWorld& left) { left = {}; });
      std::filesystem::remove_all(graves);
    }
}

TEST(Images, MustNotHaveLabelsThatBottleSetsOnSessions) {
  auto with = [](const nlohmann::json& labels) {
    return refuse_forged_labels({{"Id", "sha256:1"}, {"Config", {{"Labels", labels}}}}, "some:image").has_value();
  };
  EXPECT_TRUE(with(nullptr));
  EXPECT_TRUE(with({{"maintainer", "x"}, {"bottle.image", "agent"}, {"bottle.agent", "claude"}, {"bottles", "x"}}));
  for (const char* key : {"bottle.session", "bottle.owner", "bottle.ledger", "bottle.role", "bottle.x"})
    EXPECT_FALSE(with({{key, ""}})) << key;
  EXPECT_TRUE(refuse_forged_labels(nlohmann::json(), "some:image"));
}

TEST(Images, AreOldIfTheirAgentsAreOld) {
  constexpr int64_t kNow = 1'800'000'000, kDay = 86400;
  auto is_old = [&](int64_t days, bool current, const std::string& package) {
    OwnImage image;
    image.created = kNow - days * kDay;
    image.current = current;
    image.package = package;
    return with_old_agents({image}, kNow).size() == 1;
  };
  EXPECT_TRUE(is_old(31, true, "@openai/codex"));
  EXPECT_FALSE(is_old(30, true, "@openai/codex"));
  EXPECT_FALSE(is_old(-1, true, "@openai/codex")) << "made on a machine whose clock is ahead";
  EXPECT_FALSE(is_old(400, false, "@openai/codex")) << "no start would use it";
  EXPECT_FALSE(is_old(400, true, "")) << "it holds no agent of npm's, or an older bottle made it";
}

TEST(Programs, MatchTheEnginesProcessor) {
  std::string other = own_architecture() == "x86_64" ? "aarch64" : "x86_64";
  std::string directory = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(make_directories(directory));
  Defer clean([&] { std::filesystem::remove_all(directory); });
  EXPECT_TRUE(program_for(Program::guard, own_architecture(), directory)
                  ->starts_with("\x7f"
                                "ELF"));
  EXPECT_NE(*program_for(Program::guard, own_architecture(), directory),
            *program_for(Program::inside, own_architecture(), directory));

  auto missing = program_for(Program::guard, other, directory);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().what.find(directory + "/bottle-guard-" + other), std::string::npos) << missing.error().what;
  EXPECT_NE(missing.error().todo.find("bottle-inside-" + other), std::string::npos) << missing.error().todo;

  ASSERT_TRUE(write_file_atomically(directory + "/bottle-guard-" + other, "for the other processor"));
  EXPECT_EQ(*program_for(Program::guard, other == "aarch64" ? "arm64" : "amd64", directory), "for the other processor");
  EXPECT_EQ(program_for(Program::inside, other, directory).error().code, Code::not_found);
}

TEST(Programs, HaveTheirDigestFromTheBuild) {
  auto guard = *program_for(Program::guard, own_architecture(), "");
  EXPECT_EQ(digest_of(guard), digest_of(std::string(guard)));
  EXPECT_NE(digest_of(*program_for(Program::inside, own_architecture(), "")), digest_of(guard));
}

// In a directory such as /tmp, another user can put a file beside bottle's.
TEST(Programs, OfOtherUsersAreRefused) {
  std::string other = own_architecture() == "x86_64" ? "aarch64" : "x86_64";
  std::string directory = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(make_directories(directory));
  Defer clean([&] { std::filesystem::remove_all(directory); });
  std::string path = directory + "/bottle-guard-" + other;
  ASSERT_TRUE(write_file_atomically(path, "anybody's"));
  for (mode_t mode : {0646, 0664}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    auto refused = program_for(Program::guard, other, directory);
    EXPECT_EQ(refused.error().code, Code::denied) << mode;
    const std::string& todo = refused.error().todo;
    size_t command = todo.find("`chmod go-w "), end = todo.rfind('`');
    ASSERT_NE(command, std::string::npos) << todo;
    EXPECT_EQ(capture({.argv = {"/bin/sh", "-c", todo.substr(command + 1, end - command - 1)}})->status, 0) << todo;
  }
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
    EXPECT_EQ(program_for(Program::guard, other, directory).error().code, Code::denied);
    ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
  }
  EXPECT_TRUE(program_for(Program::guard, other, directory));
}

TEST(Programs, HaveOneNameForAnArchitecture) {
  for (const char* name : {"aarch64", "arm64"}) EXPECT_EQ(architecture_named(name), "aarch64");
  for (const char* name : {"x86_64", "amd64"}) EXPECT_EQ(architecture_named(name), "x86_64");
  for (const char* name : {"", "riscv64", "../x86_64", "x86_64/.."}) {
    EXPECT_EQ(architecture_named(name), "");
    EXPECT_EQ(program_for(Program::guard, name, "/").error().code, Code::invalid) << name;
  }
}

}  // namespace
}  // namespace bottle::session
