#include "remote/near/clients/kept_frames.h"

#include <gtest/gtest.h>

#include "wire/request.h"

namespace bottle::remote {
namespace {

TEST(KeptFrames, AChangeIsKeptUntilItIsAnswered) {
  KeptFrames kept;
  auto ask = [&](const std::string& id) {
    kept.take({wire::FrameType::policy, wire::encode(wire::PolicyChange{id, wire::PolicyChange::Deny{"host-" + id}})},
              true);
  };
  auto ids = [&] {
    std::string all;
    for (const auto& frame : kept.to_send()) all += wire::decode<wire::PolicyChange>(frame.bytes, wire::From::ours)->id;
    return all;
  };
  for (const char* id : {"a", "b", "c", "d"}) ask(id);
  EXPECT_EQ(ids(), "abcd");
  kept.take({.id = "x", .ok = true});
  kept.take({.id = "b", .ok = false});
  EXPECT_EQ(ids(), "acd") << "a refusal may come before the answers to earlier changes";
  kept.take({.id = "c", .ok = true});
  EXPECT_EQ(ids(), "d");
  for (size_t i = 0; i < 2 * KeptFrames::kMost; ++i) ask("e");
  EXPECT_EQ(kept.to_send().size(), KeptFrames::kMost);
}

}  // namespace
}  // namespace bottle::remote
