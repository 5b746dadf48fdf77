#include "remote/near/transfers/image_layers.h"

#include <gtest/gtest.h>

#include "base/os/descriptors.h"
#include "docker/tar/tar.h"
#include "ssh/stand_in_test.h"

namespace bottle::remote {
namespace {

// Returns the archive of an image with one layer and this index.
std::string archive(const std::string& index) {
  std::string bytes;
  docker::TarWriter tar(sink_to(bytes));
  EXPECT_TRUE(tar.file("layer.tar", 0644, 0, 0, "layer") && tar.file("manifest.json", 0644, 0, 0, index) &&
              tar.finish());
  return bytes;
}

// The engine's archive comes from whatever listens on its socket.
TEST(ImageLayers, AnIndexOfAnyFormIsReadOrRefused) {
  ssh::StandIn ssh;
  ssh.does("exit 0", "cat >/dev/null; echo ok");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  auto send = [&](const std::string& index) {
    auto file = make_memory_file("image", archive(index));
    EXPECT_TRUE(file);
    return send_image(file->get(), "image sha256:0", {"sha256:1"}, *side, [](const std::string&) {});
  };
  auto sent = send(R"([{"Layers":["layer.tar"]}])");
  EXPECT_TRUE(sent) << sent.error().what;
  for (const char* index :
       {R"([{"Layers":[1]}])", R"([{"Layers":"layer.tar"}])", R"([{"Layers":{"a":"b"}}])", R"([{"Layers":null}])",
        R"([{}])", R"(["Layers"])", R"({"Layers":["layer.tar"]})", "[]", ""}) {
    auto refused = send(index);
    ASSERT_FALSE(refused) << index;
    EXPECT_EQ(refused.error().code, Code::protocol) << index;
  }
}

// The image store of containerd may have a layer in another form than the archive.
TEST(ImageLayers, AllLayersAreSentIfTheEngineCannotUseThoseThatItHas) {
  auto file = make_memory_file("image", archive(R"([{"Layers":["layer.tar"]}])"));
  ASSERT_TRUE(file);
  // Returns what was said about sending the image to a machine that has its layer and loads it in this way.
  auto sent_to = [&](const std::string& load) {
    ssh::StandIn ssh;
    ssh.does("exit 0", R"(case "$*" in *layers*) echo '{"images":[{"layers":["sha256:1"]}]}';; *load*) )" + load +
                           ";; *) cat >/dev/null; echo ok;; esac");
    auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
    EXPECT_TRUE(side) << side.error().what;
    std::string said;
    auto sent = send_image(file->get(), "image sha256:0", {"sha256:1"}, *side,
                           [&](const std::string& text) { said += text.substr(text.find("once")) + "\n"; });
    return said + (sent ? "sent" : "failed");
  };
  EXPECT_EQ(sent_to("cat >/dev/null; echo ok"), "once; 0 of 1 layers)\nsent");
  const std::string needs_it = "if tar -tzf - | grep -qx layer.tar; then echo ok; else echo again; fi";
  EXPECT_EQ(sent_to(needs_it), "once; 0 of 1 layers)\nonce; 1 of 1 layers)\nsent");
  EXPECT_EQ(sent_to("cat >/dev/null; echo again"), "once; 0 of 1 layers)\nonce; 1 of 1 layers)\nfailed");
  // A full disk, for example, does not get better with more bytes.
  EXPECT_EQ(sent_to("cat >/dev/null; echo 'No space left on device' >&2; exit 1"), "once; 0 of 1 layers)\nfailed");
}

}  // namespace
}  // namespace bottle::remote
