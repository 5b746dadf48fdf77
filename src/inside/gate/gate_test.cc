#include "inside/gate/gate.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle::inside {
namespace {

using nlohmann::json;

Result<Go> go_from(const std::string& bytes, bool close_after = true) {
  int p[2];
  EXPECT_EQ(::pipe2(p, O_CLOEXEC), 0);
  UniqueFd in(p[0]), out(p[1]);
  EXPECT_TRUE(write_all(out.get(), bytes));
  if (close_after) out.reset();
  return read_go(in.get(), 100);
}

std::string framed(const std::string& body) {
  char length[9];
  std::snprintf(length, sizeof length, "%08zx", body.size());
  return length + body;
}
TEST(Gate, ReportIsOneFramedObject) {
  std::string r = frame_report(wire::report_of({{"a", true, "x\x1b\x07\xff"}}));
  EXPECT_TRUE(r.starts_with("\x1b]bottle;{"));
  EXPECT_EQ(r.find('\x07'), r.size() - 1);
  EXPECT_EQ(r.find('\x1b', 1), std::string::npos);
  auto j = json::parse(r.substr(9, r.size() - 10));
  EXPECT_EQ(j["ok"], true);
  EXPECT_FALSE(wire::report_of({}).ok);
  EXPECT_FALSE(wire::report_of({{"a", true, ""}, {"b", false, ""}}).ok);
}

TEST(Gate, ReadsExactlyTheGoMessage) {
  int p[2];
  ASSERT_EQ(::pipe2(p, O_CLOEXEC), 0);
  UniqueFd in(p[0]), out(p[1]);
  ASSERT_TRUE(write_all(out.get(), framed(R"({"argv":["a","b"],"env":{"K":"v=1"},"cwd":"/w","ca":"","stdin":"",)"
                                          R"("files":[{"path":"/x/y","mode":384,"text":"t"}]})") +
                                       "rest"));
  auto go = read_go(in.get(), 100);
  ASSERT_TRUE(go) << go.error().what;
  EXPECT_EQ(go->argv, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(go->env.at("K"), "v=1");
  EXPECT_EQ(go->stdin_text, "");
  EXPECT_EQ(go->files[0].mode, 0600);
  char rest[8];
  EXPECT_EQ(::read(in.get(), rest, sizeof rest), 4);
}

// Returns a go message that is valid except for one field, so that each case shows that its own check works.
std::string go_with(const std::string& key, const json& value) {
  json go = {{"argv", {"sh"}}, {"env", json::object()}, {"cwd", ""}, {"ca", ""}, {"files", json::array()}};
  if (!key.empty()) go[key] = value;
  return go.dump();
}

TEST(Gate, RefusesMalformedGo) {
  ASSERT_TRUE(go_from(framed(go_with("", {}))));
  auto file = [](const char* path, int mode) { return json{{{"path", path}, {"mode", mode}, {"text", ""}}}; };
  for (const std::string& body :
       {std::string("[]"), std::string("{}"), go_with("argv", json::array()), go_with("argv", {""}),
        go_with("argv", "sh"), go_with("argv", {std::string("a\0b", 3)}), go_with("env", {{"A=B", "c"}}),
        go_with("env", {{"A", 1}}), go_with("env", {{"", "c"}}), go_with("cwd", "rel"), go_with("surprise", true),
        go_with("files", file("rel", 420)), go_with("files", file("/a/", 420)), go_with("files", file("/a", 2541))}) {
    auto go = go_from(framed(body));
    ASSERT_FALSE(go) << body;
    EXPECT_EQ(go.error().code, Code::protocol) << body;
  }
  EXPECT_EQ(go_from(framed("")).error().code, Code::invalid);
  EXPECT_EQ(go_from("zzzzzzzz{}").error().code, Code::protocol);
  EXPECT_EQ(go_from("-0000002{}").error().code, Code::protocol);
  EXPECT_EQ(go_from("ffffffff").error().code, Code::limit);
  EXPECT_EQ(go_from("000000ff{").error().code, Code::closed);
  EXPECT_EQ(go_from("0000", false).error().code, Code::timed_out);
}

}  // namespace
}  // namespace bottle::inside
