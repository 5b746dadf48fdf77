#include "session/agent/gate.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bottle::session {
namespace {

TEST(SelfTest, OutputOfAContainerThatEndsBeforeItIsReported) {
  for (const auto& [said, error] :
       {std::pair("", "the agent's container ended before its self-test"),
        std::pair("exec /.bottle/inside: no such file\n",
                  "the agent's container ended before its self-test: exec /.bottle/inside: no such file")}) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    Gate gate(docker::Attached(UniqueFd(ends[0]), said), true);
    ::close(ends[1]);
    auto report = gate.await_report(10000);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().what, error);
  }
}

}  // namespace
}  // namespace bottle::session
