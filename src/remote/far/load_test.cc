// Checks which images the far side takes, and what its hello says about them.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/defer.h"
#include "base/os/descriptors.h"
#include "remote/far/far_world_test.h"
#include "remote/far/verbs.h"
#include "session/images/own_images.h"
#include "wire/start/hello.h"

namespace bottle::remote {
namespace {

class Loads : public Far {
 protected:
  Loads() {
    use_engine();
    world_.path_to_self = scratch_.directories.sessions + "/bottle";
    EXPECT_TRUE(make_directories(scratch_.directories.sessions));
  }
  // Loads the archive of an image that the near side has by this id, with one layer. Returns the exit status.
  int load(const std::string& name, const std::string& id, const std::string& layers = "1",
           const std::string& sent = "whole") {
    auto archive = make_memory_file("image", id + " " + name);
    EXPECT_TRUE(archive);
    UniqueFd stdin_before(::dup(0));
    Defer back([&] { ::dup2(stdin_before.get(), 0); });
    ::dup2(archive->get(), 0);
    ::lseek(0, 0, SEEK_SET);
    testing::internal::CaptureStdout();
    int status = far({"load", name, id, layers, sent});
    said_ = testing::internal::GetCapturedStdout();
    return status;
  }
  // Returns whether this machine's hello names the image.
  bool says_it_has(const std::string& identity) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(far({"hello"}), 0);
    auto hello = wire::decode<wire::Hello>(testing::internal::GetCapturedStdout(), wire::From::foreign);
    EXPECT_TRUE(hello) << hello.error().what;
    return hello && session::has_identity(hello->images, identity);
  }
  std::string said_;
};

// An engine gives an image another id than an engine that stores images in another way.
TEST_F(Loads, AnImageIsKnownByTheIdThatItHasOnTheNearSide) {
  EXPECT_FALSE(says_it_has("own:1 sha256:near"));
  ASSERT_EQ(load("own:1", "sha256:near"), 0);
  EXPECT_EQ(said_, "ok\n");
  EXPECT_TRUE(says_it_has("own:1 sha256:near"));
  EXPECT_FALSE(says_it_has("own:1 sha256:newer"));
  EXPECT_FALSE(says_it_has("other:1 sha256:near"));
  ASSERT_EQ(load("own:1", "sha256:newer"), 0);
  EXPECT_TRUE(says_it_has("own:1 sha256:newer"));
  EXPECT_FALSE(says_it_has("own:1 sha256:near")) << "the name belongs to another image now";
}

TEST_F(Loads, AnImageWithoutAllItsLayersIsRemoved) {
  EXPECT_NE(load("own:1", "sha256:near", "2"), 0) << "it should have two layers, and has one";
  EXPECT_EQ(said_, "");
  EXPECT_FALSE(says_it_has("own:1")) << "a start would take it";
}

// Only the far side knows why a part was refused, and the whole image can have gigabytes.
TEST_F(Loads, TheWholeImageIsAskedForOnlyIfItMayHelp) {
  EXPECT_EQ(load("own:1", "sha256:near", "2", "part"), 0) << "the engine has one layer of two";
  EXPECT_EQ(said_, "again\n");
  EXPECT_FALSE(says_it_has("own:1"));
  auto fault = docker::Fault::refused;
  docker_.set_fault(
      [&](const docker::FakeCall& call) { return call.method == "load image" ? fault : docker::Fault::none; });
  EXPECT_EQ(load("own:1", "sha256:near", "1", "part"), 0);
  EXPECT_EQ(said_, "again\n");
  EXPECT_EQ(load("own:1", "sha256:near", "1", "whole"), 1);
  EXPECT_EQ(said_, "");
  fault = docker::Fault::silent;
  EXPECT_EQ(load("own:1", "sha256:near", "1", "part"), 1) << "the engine does not answer";
  EXPECT_EQ(said_, "");
  for (const char* full : {"loading an image: the engine says: write /layer: no space left on device",
                           "loading an image: the engine says: write /layer: Disk quota exceeded"})
    EXPECT_FALSE(all_layers_may_help({Code::internal, full, ""})) << full;
  EXPECT_FALSE(all_layers_may_help({Code::conflict, "the engine gives the image another id", ""}));
}

TEST_F(Loads, TheRecordOfIdsDropsItsOldestLines) {
  std::string path = scratch_.directories.sessions + "/roots.pem.images", lines;
  for (int i = 0; i < 600; ++i) lines += "own:" + std::to_string(i) + " sha256:here sha256:there\n";
  ASSERT_TRUE(write_file_atomically(path, lines));
  ASSERT_EQ(load("own:1", "sha256:near"), 0);
  EXPECT_TRUE(says_it_has("own:1 sha256:near"));
  auto record = read_file(path, 1 << 20);
  ASSERT_TRUE(record);
  EXPECT_EQ(std::ranges::count(*record, '\n'), 500);
  EXPECT_TRUE(record->starts_with("own:101 ")) << record->substr(0, 40);
}

}  // namespace
}  // namespace bottle::remote
