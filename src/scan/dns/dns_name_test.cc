// These tests have names that carry data and names that do not.
#include "scan/dns/dns_name.h"

#include <gtest/gtest.h>

namespace bottle::scan {
namespace {

TEST(DnsName, NamesThatCarryData) {
  EXPECT_EQ(carries_data("4d5f3a9b2c8e7f1a0b6d4c3e.t.example.net"), "has a label of hexadecimal digits");
  EXPECT_EQ(carries_data("313732353639383134.example.net"), "has a label of digits");
  EXPECT_EQ(carries_data("nbswy3dpeb3w64tmmqqho2lu.example.net"), "has a label of Base32");
  EXPECT_EQ(carries_data("U2VjcmV0S2V5MTIzNDU2Nzg.example.net"), "has a label of random characters");
  EXPECT_EQ(carries_data("QUJDREVGR0hJSktMTU5PUFFSU1Q.example.net"), "has a label of random characters");
  EXPECT_EQ(carries_data("xn--4d5f3a9b2c8e7f1a0b6d4c3e4d5f3a9b2c8e7f1a0b6d4c3e99.example.net"),
            "has a label of Punycode that decodes to an unlikely name");
  EXPECT_EQ(carries_data("xa--4d5f3a9b2c8e7f1a0b6d4c3e.example.net"), "has a label of hexadecimal digits");
  EXPECT_EQ(carries_data("a.b.c.d.e.f.g.example.net"), "has a long chain of labels");
  EXPECT_EQ(carries_data(std::string(60, 'a') + "." + std::string(60, 'b') + ".example.net"),
            "is longer than usual names");
  EXPECT_EQ(carries_data("a1b2c3d4e5.f6a7b8c9d0.a9b8c7d6e5.f4a3b2c1d0.example.net"),
            "has several labels of random characters");
}

TEST(DnsName, NamesThatCarryNoData) {
  for (std::string_view name : {"example.org",
                                "api.github.com",
                                "objects.githubusercontent.com",
                                "registry.npmjs.org",
                                "files.pythonhosted.org",
                                "d1a2b3c4e5f6g7.cloudfront.net",
                                "my-bucket-2024.s3.eu-central-1.amazonaws.com",
                                "ec2-203-0-113-25.compute-1.amazonaws.com",
                                "production-us-east-1.api.internal-tools.example.co.uk",
                                "xn--bcher-kva.example",
                                "xn--fiqs8s.xn--fiqz9s",
                                "storage.googleapis.com",
                                "a248.e.akamai.net",
                                "www.verylongbutquitereadabledomainname.com",
                                "localhost",
                                "deb.debian.org.",
                                "westeurope.data.mcr.microsoft.com",
                                "static.crates.io",
                                "kubernetes-docs-cn.translations.example.org",
                                "stackoverflow.blog",
                                "oauth2.googleapis.com",
                                "acme-staging-v02.api.letsencrypt.org",
                                "xmlrpc.pypi.org",
                                "pkg-containers.githubusercontent.com"})
    EXPECT_EQ(carries_data(name), "") << name;
}

TEST(DnsName, ShortNamesCarryNoData) {
  EXPECT_EQ(carries_data("x.example.net"), "");
  EXPECT_EQ(carries_data("x.y.example.net."), "");
}

TEST(DnsName, FindsTheRegisteredDomain) {
  EXPECT_EQ(registered_domain("a.b.example.org"), "example.org");
  EXPECT_EQ(registered_domain("a.example.co.uk."), "example.co.uk");
  EXPECT_EQ(registered_domain("example.org"), "example.org");
  EXPECT_EQ(registered_domain("localhost"), "localhost");
  EXPECT_EQ(registered_domain(""), "");
  EXPECT_EQ(registered_domain("..."), ".");
}

TEST(NameHistory, ManyDifferentNamesOfOneDomainAreTooMany) {
  NameHistory history;
  std::chrono::steady_clock::time_point now{};
  for (size_t i = 0; i < NameHistory::kMostOfDomain; ++i)
    EXPECT_FALSE(history.too_many("w" + std::to_string(i) + ".example.net", now));
  EXPECT_TRUE(history.too_many("one-more.example.net", now));
  EXPECT_FALSE(history.too_many("W7.example.net", now)) << "that one was asked for before";
  EXPECT_FALSE(history.too_many("w1.example.org", now)) << "another domain";
  EXPECT_FALSE(history.too_many("one-more.example.net", now + NameHistory::kWithin * 2));
}

}  // namespace
}  // namespace bottle::scan
