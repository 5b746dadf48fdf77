// Checks what happens to requests that name a host in their target.
#include "base/text/base64.h"
#include "guard/program/secrets_test.h"

namespace bottle::guard {
namespace {

class NamedHostsTest : public SecretsTest {
 protected:
  static std::string get(const std::string& host, const std::string& target, const std::string& headers = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "\r\n";
  }
};

TEST_F(NamedHostsTest, AQuestionInDnsOverHttpsIsJudged) {
  auto resolver = origin("dns.test");
  start();
  auto message = [](const std::string& name, const std::string& after = "") {
    std::string bytes("\0\0\1\0\0\1\0\0\0\0\0\0", 12);
    for (size_t at = 0; at < name.size();) {
      size_t dot = std::min(name.find('.', at), name.size());
      bytes += static_cast<char>(dot - at);
      bytes += name.substr(at, dot - at);
      at = dot + 1;
    }
    std::string text = base64(bytes + std::string("\0\0\1\0\1", 5) + after);
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    return text.substr(0, text.find('='));
  };
  auto carries = [&](const std::string& request) {
    return ask("dns.test", request).find("X-Bottle-Deny: name_carries_data\r\n") != std::string::npos;
  };
  std::string data = "4d5f3a9b2c8e7f1a0b6d4c3e.t.example.net";
  EXPECT_TRUE(carries(get("dns.test", "/dns-query?dns=" + message(data))));
  EXPECT_TRUE(carries(get("dns.test", "/any?dns=" + message(data)))) << "whatever the path is";
  EXPECT_TRUE(carries(get("dns.test", "/resolve?type=A&name=" + data)));
  EXPECT_TRUE(carries(get("dns.test", "/x?name=" + data, "Accept: application/dns-json\r\n")));
  EXPECT_TRUE(carries(get("dns.test", "/dns-query?dns=" + message("www.example.net", std::string(100, 'x')))));
  EXPECT_TRUE(carries(get("dns.test", "/dns-query?dns=AAAA"))) << "it cannot be read";
  auto counted = [&](size_t at, char count) {
    std::string bytes = *from_base64("AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA25ldAAAAQAB");
    bytes[at] = count;
    return base64(bytes);
  };
  EXPECT_TRUE(carries(get("dns.test", "/abcdef?dns=" + counted(5, 2)))) << "two questions";
  EXPECT_TRUE(carries(get("dns.test", "/abcdef?dns=" + counted(7, 1)))) << "one answer";
  EXPECT_TRUE(ask("dns.test", get("dns.test", "/abcdef?dns=" + counted(5, 1))).ends_with("fine"));
  EXPECT_TRUE(
      carries("POST /dns-query HTTP/1.1\r\nHost: dns.test\r\nContent-Type: application/dns-message\r\n"
              "Content-Length: 2\r\n\r\nxx"));
  for (const std::string& target :
       {"/dns-query/.?dns=" + message(data), "/dns-query;x?name=" + data, "/resolve?a=1;name=" + data,
        "/resolve?name=" + data + "%20", "/resolve/?name=" + data, "/%72esolve?name=" + data, "/resolve?%6eame=" + data,
        "/Resolve?Name=" + data, "/any?name=" + data + "&ct=application/dns-json", "/any?%64ns=" + message(data),
        "/dns-query/?dns=" + message(data)})
    EXPECT_TRUE(carries(get("dns.test", target))) << target;
  EXPECT_TRUE(carries(get("dns.test", "/x?name=" + data, "Accept: text/html\r\nAccept: application/dns-json\r\n")));
  for (const std::string& type : {"application/oblivious-dns-message", "application/octet-stream"})
    EXPECT_TRUE(carries("POST /dns-query HTTP/1.1\r\nHost: dns.test\r\nContent-Type: " + type +
                        "\r\nContent-Length: 2\r\n\r\nxx"))
        << type;
  EXPECT_TRUE(ask("dns.test", get("dns.test", "/dns-query?dns=" + message("www.example.net"))).ends_with("fine"));
  EXPECT_TRUE(ask("dns.test", get("dns.test", "/resolve?name=www.example.net&type=A")).ends_with("fine"));
  EXPECT_TRUE(ask("dns.test", get("dns.test", "/x?dns=on&name=a+b")).ends_with("fine")) << "another service";
  int refusals = 0;
  for (int i = 0; i < 60; ++i)
    refusals += carries(get("dns.test", "/resolve?name=n" + std::to_string(i) + ".example.com"));
  EXPECT_GE(refusals, 10) << "many names below one domain";
}

// A proxy for Go modules looks up the host of a module that it does not have, and requests the module from there.
TEST_F(NamedHostsTest, TheHostOfAGoModuleIsJudged) {
  auto proxy = origin("modules.test");
  start();
  auto carries = [&](const std::string& target) {
    return ask("modules.test", get("modules.test", target)).find("X-Bottle-Deny: name_carries_data\r\n") !=
           std::string::npos;
  };
  const std::string data = "4d5f3a9b2c8e7f1a0b6d4c3e.t.example.net";
  for (const std::string& target :
       {"/" + data + "/x/@latest", "/" + data + "/@v/list", "/" + data + "/@v/v1.0.0.zip",
        "/lookup/" + data + "/x@v1.0.0", "/lookup/" + data + "@v1.0.0", "/sumdb/sum.test/lookup/" + data + "/x@v1.0.0",
        "/%34" + data.substr(1) + "/@latest", "/" + data + "/%40v/list", "/a@b/" + data + "/@v/list"})
    EXPECT_TRUE(carries(target)) << target;
  for (const std::string target :
       {"/github.com/!owner/name.go/v2/@v/v2.0.1-0.20240102030405-4d5f3a9b2c8e.info", "/golang.org/x/net/@latest",
        "/gopkg.in/yaml.v3/@v/list", "/sumdb/sum.golang.org/lookup/k8s.io/api@v0.31.0",
        "/sumdb/sum.golang.org/tile/8/0/x001", "/@types/node/-/node-20.1.0.tgz", "/4d5f3a9b2c8e7f1a0b6d4c3e.js",
        "/a@1.2.3/4d5f3a9b2c8e7f1a0b6d4c3e.min.js"})
    EXPECT_TRUE(ask("modules.test", get("modules.test", target)).ends_with("fine")) << target;
  // No path takes long.
  auto begun = std::chrono::steady_clock::now();
  for (const char* sign : {"@", "@v", "/@"}) {
    std::string many = "/x";
    for (int i = 0; i < 15000; ++i) many += sign;
    EXPECT_FALSE(carries(many + std::string(15000, 'l')));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  int refusals = 0;
  for (int i = 0; i < 60; ++i) refusals += carries("/n" + std::to_string(i) + ".example.com/x/@latest");
  EXPECT_GE(refusals, 10) << "many names below one domain";
}

TEST_F(NamedHostsTest, AProgramMayBeNamedAfterDnsOverHttps) {
  auto resolver = origin("dns.test");
  start();
  auto posted = [&](const std::string& path, const std::string& headers = "") {
    return ask("dns.test",
               "POST " + path + " HTTP/1.1\r\nHost: dns.test\r\n" + headers + "Content-Length: 2\r\n\r\nxx");
  };
  for (const char* path : {"/owner/dns-query.git/git-upload-pack", "/repos/owner/dns-query/issues", "/dns-query/x?a=1",
                           "/my-dns-query", "/dns-query.git"})
    EXPECT_TRUE(posted(path).ends_with("fine")) << path;
  auto refused = [](const std::string& answer) {
    return answer.find("X-Bottle-Deny: name_carries_data\r\n") != answer.npos;
  };
  for (const char* path : {"/dns-query", "/x/DNS-query/", "/dns-query//", "/dns-query/.", "/dns-query;x",
                           "/dns-query/;x", "/dns-query;x/./?a=1", "/dns%2dquery", "/dns-query%00", "/dns-query.",
                           "/dns-query/x/..", "/dns-query/./x/;/../"})
    EXPECT_TRUE(refused(posted(path))) << path;
  EXPECT_TRUE(refused(posted("/x", "Content-Type: application/dns-message\r\n")));
  EXPECT_TRUE(refused(posted("/x", "Accept: application/dns-message\r\n")));
}

TEST_F(NamedHostsTest, AddressRulesApplyToAUrlInAParameter) {
  auto fetcher = origin("fetch.test");
  allow("internal.corp");
  allow("*.wiki.internal");
  allow({{"host", "denied.local"}, {"deny", true}});
  start();
  auto refused_address = [&](const std::string& target) {
    return ask("fetch.test", get("fetch.test", target)).find("X-Bottle-Deny: address\r\n") != std::string::npos;
  };
  for (const char* url : {"http://169.254.169.254/latest",
                          "http%3A%2F%2F169.254.169.254%2F",
                          "http%253A%252F%252F10.0.0.1",
                          "http://127.1/",
                          "http://2130706433/",
                          "https://user:word@192.168.0.1:8443/x",
                          "http://[::1]/",
                          "http://localhost:6379/",
                          "gopher://10.1.2.3:70/",
                          "http://metadata.google.internal/computeMetadata",
                          "http://printer.local/",
                          "http://denied.local/",
                          "http://a%40169.254.169.254/",
                          "http://%31%36%39.254.169.254/",
                          "%20http://10.0.0.1/",
                          "+http://10.0.0.1/",
                          "ht%0Atp://10.0.0.1/",
                          "http:%5C%5C10.0.0.1",
                          "http:///10.0.0.1/",
                          "//10.0.0.1/x",
                          "http://%EF%BC%91%EF%BC%90.0.0.1/",
                          "http://%E2%91%AF%E2%91%A8.254.%E2%91%AF%E2%91%A8.254/",  // 16 and 9 in circles
                          "http://%E3%89%95%E2%91%A3.1/",                           // 25 and 4
                          "http://localho%EF%AC%86/",                               // a ligature for "st"
                          "%E2%91%AF%E2%91%A8.254.%E2%91%AF%E2%91%A8.254/latest",
                          "http://010.0.0.1/",
                          "http://0xa.0.0.1/",
                          "http://167772161/",
                          "http://[::ffff:10.0.0.1]/",
                          "http://[64:ff9b::a9fe:a9fe]/",
                          "http://localhost./",
                          "http://a.example%5C@10.0.0.1/",
                          "http://a.example%23@10.0.0.1/",
                          "169.254.169.254/latest",
                          "localhost:6379",
                          "http%25253A%25252F%25252F10.0.0.1",
                          "http://[169.254.169.254]/x",
                          "http://[localhost]/",
                          "http://169.254.169.254%20/",
                          "http://169.254.169.254%00/",
                          "http://169.254.169.254;x/",
                          "http://..169.254.169.254/",
                          "169.254.169.254%20/",
                          "//http://169.254.169.254/"})
    EXPECT_TRUE(refused_address("/fetch?url=" + std::string(url))) << url;
  for (const char* target :
       {"/fetch?http://169.254.169.254/x", "/fetch?a=1;url=http://169.254.169.254/",
        "/search?q=http://169.254.169.254+x", "/proxy/ftp://127.0.0.1/", "/proxy/http://169.254.169.254/latest",
        "/fetch/http%3A%2F%2F10.0.0.1%2F", "/login?redirect_uri=http://169.254.169.254/",
        "/login?origin=+http://169.254.169.254/", "/login?origin=view-source:http://169.254.169.254/",
        "/login?redirect_uri=169.254.169.254:80/", "/fetch?a;http://10.0.0.1/", "/search?q=1;http://169.254.169.254/",
        "/search?q=1;url=x;http://localhost/", "/login?resource=http://10.0.0.1/", "/search?q=http://169.254.169.254/",
        "/search?q=http://2852039166/", "/search?q=http://%E2%91%AF%E2%91%A8.254.%E2%91%AF%E2%91%A8.254/",
        "/proxy/http/http/http/http/http/http/http/http/http://169.254.169.254/"})
    EXPECT_TRUE(refused_address(target)) << target;
  json line = audited("address");
  EXPECT_EQ(line["action"], "deny");
  EXPECT_NE(line.value("reason", "").find("the parameter \"url\" has a URL to 169.254.169.254"), std::string::npos)
      << line;
  for (const char* target : {"/fetch?url=https://www.example.org/a",
                             "/fetch?url=http://internal.corp/",
                             "/fetch?url=http://a.wiki.internal/",
                             "/fetch?text=see+http://10.0.0.1/",
                             "/login?redirect_uri=http%3A%2F%2Flocalhost%3A8080%2Fcallback",
                             "/login?redirect_uri=http://127.0.0.1:9/",
                             "/login?redirect_uri=http://app.localhost:3000/",
                             "/login?redirect_uri=myapp%3A%2F%2Fcallback%2Fdone",
                             "/logout?logout_uri=http://localhost:3000/",
                             "/x?origin=chrome-extension://abcdefghijklmnop",
                             "/fetch?url=http://93.184.216.34/",
                             "/fetch?url=http://xn--bcher-kva.example/",
                             "/fetch?url=http://b%C3%BCcher.example/",
                             "/fetch?url=http://%E4%BE%8B%E3%81%88.example/",
                             "/search?q=http://localhost:3000",
                             "/search?q=error;http://localhost:3000/",
                             "/search?q=http://192.168.1.1+login",
                             "/search?query=http://printer.local/",
                             "/authorize?resource=http://localhost:3000/mcp",
                             "/cas/login?service=http%3A%2F%2Flocalhost%3A8080%2F",
                             "/authorize?client_id=http://localhost",
                             "/authorize?redirect_uri=http://%5B::1%5D:5000/callback",
                             "/login?redirect_uri=http://0.0.0.0:8000/",
                             "/collect?dl=http%3A%2F%2Flocalhost%3A3000%2Fhome",
                             "/build?target=//src/app:main",
                             "/get?uri=s3://bucket/key",
                             "/fetch?url=http://%7Bhost%7D/",
                             "/fetch?url=http://www.example.org;v=1/",
                             "/ws/ftp/files",
                             "/web/https://www.example.org/"})
    EXPECT_FALSE(refused_address(target)) << target;
}

// The self-test recognizes the guard by this answer.
TEST_F(NamedHostsTest, NamesOfTheSelfTestHaveTheAddressOfTheNameServer) {
  uint16_t port;
  listen_on_loopback(port).reset();
  config_["dns"] = "127.0.0.1:" + std::to_string(port);
  start();
  const std::string query("\0\1\1\0\0\1\0\0\0\0\0\0\4abcd\5probe\7invalid\0\0\1\0\1", 36);
  UniqueFd client(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  ASSERT_EQ(::send(client.get(), query.data(), query.size(), 0), static_cast<ssize_t>(query.size()));
  char buffer[512];
  ssize_t n = ::recv(client.get(), buffer, sizeof buffer, 0);
  ASSERT_GT(n, 0);
  EXPECT_TRUE(std::string_view(buffer, static_cast<size_t>(n)).ends_with(std::string_view("\0\4\x7f\0\0\1", 6)));
}

// A resolver may send its queries together. The guard answers a few in each turn, and the rest must not be forgotten.
TEST_F(NamedHostsTest, QueriesThatComeTogetherOverTcpAreAllAnswered) {
  uint16_t port;
  listen_on_loopback(port).reset();
  config_["dns"] = "127.0.0.1:" + std::to_string(port);
  start();
  const std::string query("\0\34\0\1\1\0\0\1\0\0\0\0\0\0\5guard\4test\0\0\1\0\1", 30);
  std::string all, answers;
  for (int i = 0; i < 500; ++i) all += query;
  UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  ASSERT_TRUE(write_all(client.get(), all));
  ::shutdown(client.get(), SHUT_WR);
  char buffer[4096];
  for (ssize_t n; (n = ::recv(client.get(), buffer, sizeof buffer, 0)) > 0;)
    answers.append(buffer, static_cast<size_t>(n));
  size_t count = 0;
  for (size_t at = 0; at + 2 <= answers.size(); ++count)
    at += 2 + (static_cast<unsigned char>(answers[at]) << 8 | static_cast<unsigned char>(answers[at + 1]));
  EXPECT_EQ(count, 500);
}

}  // namespace
}  // namespace bottle::guard
