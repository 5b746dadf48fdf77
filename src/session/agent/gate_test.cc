#include "session/agent/gate.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <future>

#include "base/files/file.h"

namespace bottle::session {
namespace {

TEST(SelfTest, OutputOfAContainerThatEndsBeforeItIsReported) {
  for (const auto& [said, error] :
       {std::pair("", "the agent's container ended before its self-test"),
        std::pair("exec /.bottle/inside: no such file\n",
                  "the agent's container ended before its self-test: exec /.bottle/inside: no such file"),
        std::pair("\x1b]bottle-at-gate\x07\n"
                  "bottle: no guard\n",
                  "the agent's container ended before its self-test: bottle: no guard")}) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    Gate gate(docker::Attached(UniqueFd(ends[0]), said), true);
    ::close(ends[1]);
    auto report = gate.await_report(10000);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().what, error);
  }
}

// Holds both ends of the stream of a container without a terminal.
struct Ends {
  Ends() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near.reset(ends[0]);
    far.reset(ends[1]);
  }
  Gate gate(bool terminal) { return Gate(docker::Attached(std::move(near), ""), terminal); }
  bool has_input() const { return wait_readable(far.get(), 0); }
  std::string read(size_t size) const {
    std::string bytes(size, '\0');
    EXPECT_EQ(::recv(far.get(), bytes.data(), size, MSG_WAITALL), static_cast<ssize_t>(size));
    return bytes;
  }
  UniqueFd near, far;
};

// Before the mark, a terminal would echo the bytes and take some of them for keys.
TEST(Files, GoToTheHelperOnlyAfterItsMark) {
  Ends ends;
  Gate gate = ends.gate(true);
  std::string archive("a\0\3\xff", 4);
  ASSERT_TRUE(write_all(ends.far.get(), "the image says hello\r\n"));
  EXPECT_EQ(gate.send_files(archive, 50).error().code, Code::timed_out);
  EXPECT_FALSE(ends.has_input());
  // The mark may come in pieces.
  auto sending = std::async(std::launch::async, [&] { return gate.send_files(archive, 60000); });
  ASSERT_TRUE(write_all(ends.far.get(), wire::kAtGate.substr(0, 5)));
  ASSERT_TRUE(write_all(ends.far.get(), wire::kAtGate.substr(5)));
  EXPECT_EQ(ends.read(9 + archive.size()), "f00000004" + archive);
  EXPECT_TRUE(sending.get());
  ASSERT_TRUE(gate.ask());
  EXPECT_EQ(ends.read(1), "\n");
  wire::Report report{true, {{"a", true, ""}}, "no space"};
  ASSERT_TRUE(write_all(ends.far.get(), std::string(wire::kReportBegins) + wire::encode(report) + "\x07\r\nagent"));
  auto got = gate.await_report(60000);
  ASSERT_TRUE(got) << got.error().what;
  EXPECT_EQ(got->files, "no space");
  EXPECT_EQ(gate.take_early(), "agent");
}

TEST(Files, NothingWaitsForAHelperThatCannotTakeThem) {
  using Act = std::function<void(Ends&, Gate&, std::stop_source&)>;
  for (const auto& [act, code] : std::vector<std::pair<Act, Code>>{
           {[](Ends&, Gate&, std::stop_source& stop) { stop.request_stop(); }, Code::canceled},
           {[](Ends&, Gate& gate, std::stop_source&) { gate.abandon(); }, Code::closed},
           {[](Ends& ends, Gate&, std::stop_source&) { ends.far.reset(); }, Code::closed}}) {
    Ends ends;
    Gate gate = ends.gate(false);
    std::stop_source stop;
    auto sending = std::async(std::launch::async, [&] { return gate.send_files("archive", 600000, stop.get_token()); });
    act(ends, gate, stop);
    auto sent = sending.get();
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, code);
  }
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
