#include "app/world/world.h"

#include "app/commands/command_test.h"

namespace bottle::app {
namespace {

class World : public Commands {};

// Old bundles have names of authorities in Latin-1 as comments.
TEST_F(World, ABundleOfCertificatesMayHaveCommentsInAnyEncoding) {
  std::string file = write("roots.pem",
                           "# F\xe1"
                           "brica\n-----BEGIN CERTIFICATE-----\n");
  EXPECT_EQ(concatenated({file}).value(), "# F?brica\n-----BEGIN CERTIFICATE-----\n\n");
  set("SSL_CERT_FILE", file);
  EXPECT_EQ(public_roots(), "# F?brica\n-----BEGIN CERTIFICATE-----\n");
}

}  // namespace
}  // namespace bottle::app
