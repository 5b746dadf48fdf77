// Sends the requests of real tools through a guard whose rules are presets.
#include "manifest/presets.h"
#include "guard/program/guard_test.h"

namespace bottle::guard {
namespace {

class PresetsTest : public GuardTest {
 protected:
  void start_with(const std::string& preset, const std::vector<std::string>& hosts) {
    for (const auto& rule : *manifest::preset_rules(preset))
      allow({{"host", rule.host}, {"methods", rule.methods}, {"paths", rule.paths}, {"inspect", rule.inspect}});
    for (const auto& host : hosts) {
      origins_.push_back(
          std::make_unique<Origin>(ca_.get(), host, [](const std::string&) { return ok("from the origin"); }));
      route(host, origins_.back()->port);
    }
    start();
  }
  // Sends a request on a new connection, and returns the status of the answer.
  std::string ask(const std::string& host, const std::string& line, const std::string& body = "") {
    TestPeer wire = secure(host);
    if (!wire.ssl) return answer_.substr(9, 3);
    wire.write(line + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
               body);
    return wire.message().substr(9, 3);
  }
  std::vector<std::unique_ptr<Origin>> origins_;
};

TEST_F(PresetsTest, NpmInstallsAndDoesNotPublish) {
  start_with("npm", {"registry.npmjs.org"});
  EXPECT_EQ(ask("registry.npmjs.org", "GET /@scope%2fname"), "200");
  EXPECT_EQ(ask("registry.npmjs.org", "POST /-/npm/v1/security/advisories/bulk", "{}"), "200");
  EXPECT_EQ(ask("registry.npmjs.org", "PUT /left-pad", "{}"), "403");
  EXPECT_EQ(ask("registry.npmjs.org", "POST /-/npm/v1/tokens", "{}"), "403");
}

TEST_F(PresetsTest, PypiInstallsAndDoesNotUpload) {
  start_with("pypi", {"pypi.org", "files.pythonhosted.org", "upload.pypi.org"});
  EXPECT_EQ(ask("pypi.org", "GET /simple/requests/"), "200");
  EXPECT_EQ(ask("files.pythonhosted.org", "GET /packages/ab/requests-2.0.0-py3-none-any.whl"), "200");
  EXPECT_EQ(ask("upload.pypi.org", "POST /legacy/", "x"), "403");
  EXPECT_EQ(ask("pypi.org", "GET /manage/account/"), "403");
}

TEST_F(PresetsTest, GithubReadFetchesAndDoesNotPush) {
  start_with("github-read", {"github.com", "api.github.com"});
  EXPECT_EQ(ask("github.com", "GET /acme/tool.git/info/refs?service=git-upload-pack"), "200");
  EXPECT_EQ(ask("github.com", "POST /acme/tool.git/git-upload-pack", "0000"), "200");
  EXPECT_EQ(ask("api.github.com", "GET /repos/acme/tool"), "200");
  EXPECT_EQ(ask("github.com", "POST /acme/tool.git/git-receive-pack", "0000"), "403");
  EXPECT_EQ(ask("github.com", "POST /acme/tool.git/git-upload-pack/../git-receive-pack", "0000"), "403");
  EXPECT_EQ(ask("api.github.com", "POST /repos/acme/tool/issues", "{}"), "403");
  EXPECT_EQ(ask("api.github.com", "DELETE /repos/acme/tool"), "403");
}

}  // namespace
}  // namespace bottle::guard
