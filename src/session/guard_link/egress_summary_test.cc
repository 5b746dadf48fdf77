#include "session/guard_link/egress_summary.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace bottle::session {
namespace {

// The result of a remote session is one frame. An agent that asks for many long names must not make it too long to
// send.
TEST(EgressSummary, IsNotLargerThanAFrame) {
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  EgressSummary summary;
  std::string label(60, 'a'), name = label + "." + label + "." + label + ".n";
  for (int i = 0; i < 20000; ++i) {
    std::string host = name + std::to_string(i) + ".example.org";
    summary.add({{"action", "deny"},
                 {"kind", "connect"},
                 {"host", host},
                 {"port", 8443},
                 {"code", "not_allowed"},
                 {"method", "GET"},
                 {"path", "/" + std::string(199, 'p')},
                 {"reason", "no rule allows this path"}},
                clients);
    summary.add({{"action", "allow"}, {"kind", "connect"}, {"host", host}}, clients);
  }
  EXPECT_FALSE(summary.denied().empty());
  EXPECT_FALSE(summary.recorded({}).empty());
  EXPECT_LT(summary.denied().dump().size() + summary.recorded({}).dump().size(), 700u << 10);
}

}  // namespace
}  // namespace bottle::session
