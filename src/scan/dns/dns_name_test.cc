// Tests names that carry data and names that do not.
#include "scan/dns/dns_name.h"

#include <gtest/gtest.h>

#include <functional>
#include "scan/dns/punycode.h"

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

TEST(DnsName, DataIsFoundInEveryForm) {
  for (std::string_view name :
       {"ghaipdlmbkcnefojghaipdlmbkcnefojghaipdlmbkcnefoj.example.net",  // hexadecimal digits as letters from a to p
        "ghai-pdlm-bkcn-efoj-ghai-pdlm-bkcn-efoj-ghai.example.net",      // with hyphens
        "qxzvkjwpfg.bdtmhcqxzv.kjwpfgbdtm.example.net",                  // in short labels
        "xn--mfrggzdfmztwq2lknnwg23tpobyxe43u.example.net",              // Base32 as Punycode
        "xn--4d5f3a9b2c8e7f1a0b6d4c3e4d5f-3ya.example.net",              // hexadecimal digits before the umlaut
        "4d5f3a9b2c8e7f1a0b6d4c3e.x7q.io", "4d5f3a9b2c8e7f1a0b6d4c3e.abc.de",  // below a short domain
        "data-4d5f3a9b2c8e7f1a0b6d4c3e-cdn.example.net", "4D5F3A9B2C8E7F1A0B6D4C3E.example.net.",
        "_4d5f3a9b2c8e7f1a0b6d4c3e._tcp.example.net", "www.4d5f3a9b2c8e7f1a0b6d4c3e.static.example.co.uk"})
    EXPECT_NE(carries_data(name), "") << name;
}

TEST(DnsName, PunycodeIsDecoded) {
  EXPECT_EQ(punycode_decoded("mnchen-3ya"), U"m\u00fcnchen");
  EXPECT_EQ(punycode_decoded("fiqs8s"), U"\u4e2d\u56fd");
  EXPECT_EQ(punycode_decoded("ihqwcrb4cv8a8dqg056pqjye"), U"\u4ed6\u4eec\u4e3a\u4ec0\u4e48\u4e0d\u8bf4\u4e2d\u6587");
  for (std::string_view bad : {"99999999", "a-", "!", "zzzzzzzzzzzzzzzzzzzz"})
    EXPECT_FALSE(punycode_decoded(bad) && is_likely_name(*punycode_decoded(bad))) << bad;
}

TEST(DnsName, NamesThatProvidersMakeAreHarmless) {
  for (std::string_view name : {"123456789012.dkr.ecr.us-east-1.amazonaws.com",
                                "0123456789abcdef0123456789abcdef.gr7.us-east-1.eks.amazonaws.com",
                                "cdk-hnb659fds-assets-123456789012-eu-west-1.s3.eu-west-1.amazonaws.com",
                                "prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com",
                                "d36cz9buwru1tt.cloudfront.net",
                                "eusmanaged134.blob.core.windows.net",
                                "productionresultssa12.blob.core.windows.net",
                                "a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5.r2.cloudflarestorage.com",
                                "65f1c2a3b4d5e6f7a8b9c0d1--my-site.netlify.app",
                                "deploy-preview-123--my-site.netlify.app",
                                "my-app-9kl2jm3n4-acme-team.vercel.app",
                                "my-app-git-fix-the-login-page-acme-team.vercel.app",
                                "a1b2-203-0-113-5.ngrok-free.app",
                                "service-ab12cd34ef-uc.a.run.app",
                                "5d2f8a3b.project.pages.dev",
                                "fantastic-space-carnival-7v5x9q4j6w3r8p2m-8080.app.github.dev",
                                "pipelinesghubeus13.actions.githubusercontent.com",
                                "cdn-lfs-us-1.hf.co",
                                "github-production-release-asset-2e65be.s3.amazonaws.com",
                                "xn--80akhbyknj4f.example",
                                "xn--wgv71a119e.example",
                                "gitlab-registry-production-europe.storage.example.com",
                                "kubernetesdashboardinternaldevelopment.example.com"})
    EXPECT_EQ(carries_data(name), "") << name;
  EXPECT_NE(carries_data(std::string(60, 'a') + "." + std::string(60, 'b') + ".amazonaws.com"), "");
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
  EXPECT_EQ(registered_domain("a.abc.io"), "abc.io");
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

TEST(NameHistory, OtherDomainsMakeNoRoomForMoreNames) {
  NameHistory history;
  std::chrono::steady_clock::time_point now{};
  for (size_t i = 0; i < NameHistory::kMostOfDomain; ++i) history.too_many("w" + std::to_string(i) + ".x7q.io", now);
  for (size_t i = 0; i < 2 * NameHistory::kMostDomains; ++i) history.too_many("a.b" + std::to_string(i) + ".net", now);
  EXPECT_TRUE(history.too_many("one-more.x7q.io", now));
}

// An agent chooses the names, so it must not be able to make one that passes for another. These two have the same
// std::hash in libstdc++, which has no key.
TEST(NameHistory, TellsNamesWithEqualHashesApart) {
  const std::string known = "blueriver.meadow.example.net", made = "imvaabaarvbchqvm.example.net";
  ASSERT_EQ(std::hash<std::string>()(known), std::hash<std::string>()(made)) << "another library";
  NameHistory history;
  std::chrono::steady_clock::time_point now{};
  EXPECT_FALSE(history.too_many(known, now));
  for (size_t i = 1; i < NameHistory::kMostOfDomain; ++i)
    history.too_many("w" + std::to_string(i) + ".example.net", now);
  EXPECT_TRUE(history.too_many(made, now));
}

}  // namespace
}  // namespace bottle::scan
