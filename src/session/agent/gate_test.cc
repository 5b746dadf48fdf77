#include "session/agent/gate.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <optional>

#include "base/files/file.h"

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

// The image may come from any source.
TEST(SelfTest, AContainerThatPrintsWithoutEndCannotFillTheMemory) {
  (void)::signal(SIGPIPE, SIG_IGN);  // as in main()
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  std::optional<Gate> gate(std::in_place, docker::Attached(UniqueFd(ends[0]), ""), false);
  UniqueFd container(ends[1]);
  auto prints = std::async(std::launch::async, [&] {
    const std::string frame = std::string("\2\0\0\0\0\1\0\0", 8) + std::string(65536, 'x');  // to stderr
    size_t written = 0;
    while (written < 4 * wire::Report::kMost && write_all(container.get(), frame)) written += frame.size();
    return written;
  });
  auto report = gate->await_report(60000);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::limit);
  EXPECT_NE(report.error().what.find("printed more than 1 MB"), std::string::npos) << report.error().what;
  gate.reset();
  EXPECT_LT(prints.get(), 4 * wire::Report::kMost);
}

TEST(SelfTest, ADocumentedRemedyBelongsToEachProbe) {
  std::string page = read_file("SECURITY.md").value_or("");
  for (const char* name : {"guard", "forbidden_connect", "dns_udp_127.0.0.11:53", "dns_tcp_10.0.0.2:53", "unreachable",
                           "metadata", "raw_address", "interfaces", "engine_socket", "ipv6", "privileges", "vsock",
                           "kernel_crypto", "io_uring", "key_rings"}) {
    std::string remedy = remedy_for({.probes = {{"other", true, ""}, {name, false, "x"}}});
    EXPECT_EQ(remedy.find("bottle doctor`, and try"), remedy.npos) << name << " has only general advice";
    std::string listed = std::string(name).starts_with("dns_") ? "`dns_…`" : "`" + std::string(name) + "`";
    EXPECT_NE(page.find(listed), page.npos) << name;
  }
  EXPECT_EQ(remedy_for({.probes = {{"new", false, "x"}}}), "run `bottle doctor`, and try another --runtime");
  EXPECT_EQ(remedy_for({}), "run `bottle doctor`, and try another --runtime");
}

}  // namespace
}  // namespace bottle::session
