#include "remote/near/services/near_services.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "base/files/file.h"
#include "base/text/base64.h"
#include "policy/rules.h"
#include "session/guard_link/guard_link.h"

namespace bottle::remote {
namespace {

using nlohmann::json;

// This program can run as the broker, like bottle.
std::string broker_program() { return GUARD_PROGRAM; }

class NearServicesTest : public ::testing::Test {
 protected:
  ~NearServicesTest() override { std::filesystem::remove_all(directory_); }
  NearServicesTest() : service_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    EXPECT_EQ(::bind(service_.get(), reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    socklen_t size = sizeof a;
    ::getsockname(service_.get(), reinterpret_cast<sockaddr*>(&a), &size);
    ::listen(service_.get(), 4);
    char path[] = "/tmp/near_services_test_XXXXXX";
    directory_ = ::mkdtemp(path);
    job_.plan.session = "test";
    job_.path_to_self = "/nonexistent/bottle";  // an upgrade has removed the file since the session began
    job_.plan.egress.lan.push_back(
        {"tracker.bottle", "127.0.0.1:" + std::to_string(ntohs(a.sin_port)), {"GET"}, {"/issues/**"}});
    make();
  }

  // Makes the services for the job as it is now.
  void make() {
    there_ = job_;
    auto made = NearServices::make(
        job_, there_, directory_,
        [this](const wire::ToFarGuard& message) { told_.push_back(json::parse(wire::encode(message))); },
        [this](const wire::Decision& decision) { audit_.push_back(decision); }, broker_program);
    EXPECT_TRUE(made) << made.error().what;
    services_ = std::move(*made);
  }

  void turn(int ms = 200, bool behind = false) {
    Poller poller;
    services_->add_to(poller, behind);
    poller.wait(ms);
    services_->handle(poller, behind);
  }
  // Returns what the far guard would have received on a stream until the stream ended.
  std::string answer(uint64_t stream) {
    std::string bytes;
    for (int i = 0; i < 1000; ++i) {
      for (; next_ < told_.size(); ++next_) {
        const json& line = told_[next_];
        if (line["stream"] != stream) continue;
        if (line.contains("data")) bytes += from_base64(line["data"].get<std::string>()).value_or("");
        if (line.contains("closed")) return bytes;
      }
      turn();
    }
    return bytes + " (it did not end)";
  }
  void take(const json& line) { services_->take(line.dump()); }  // in the form that comes over the wire
  void ask(uint64_t stream, const std::string& request) {
    take({{"type", "stream"}, {"stream", stream}, {"open", true}});
    take({{"type", "stream"}, {"stream", stream}, {"data", base64(request)}});
  }

  UniqueFd service_;
  std::string directory_;
  Job job_, there_;
  std::vector<json> told_;
  std::vector<wire::Decision> audit_;
  size_t next_ = 0;
  std::unique_ptr<NearServices> services_;
};

class BrokerTest : public ::testing::Test {
 protected:
  BrokerTest() {
    char path[] = "/tmp/broker_test_XXXXXX";
    root_ = ::mkdtemp(path);
  }
  ~BrokerTest() override { std::filesystem::remove_all(root_); }

  // Starts a broker whose program runs these commands, and returns the error with which the start fails.
  Code failure(const std::string& script, size_t bytes, int patience_ms) {
    std::string program = root_ + "/broker";
    EXPECT_TRUE(write_file_atomically(program, "#!/bin/sh\n" + script + "\n", 0700));
    wire::GuardConfig config;
    config.ca_bundle = std::string(bytes, 'x');
    auto started = Broker::start(program, config, **pki::Root::make("test"), patience_ms);
    EXPECT_FALSE(started);
    return started ? Code::internal : started.error().code;
  }

  std::string root_;
};

TEST_F(BrokerTest, FailsInTimeIfItDoesNotRead) { EXPECT_EQ(failure("exec sleep 1000", 4 << 20, 50), Code::timed_out); }

TEST_F(BrokerTest, CannotFillTheMemoryWithALine) {
  EXPECT_EQ(failure("exec head -c 4000000 /dev/zero", 1, 60000), Code::limit);
}

std::string get(const std::string& method, const std::string& url) {
  std::string host = url.substr(7, url.find('/', 7) - 7);
  return method + " " + url + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
}

TEST_F(NearServicesTest, TheRulesAreCheckedOnThisSideToo) {
  EXPECT_EQ(there_.plan.egress.lan[0].to.find("127.0.0.1"), std::string::npos)
      << "the other machine does not need the address";
  std::thread service([&] {
    UniqueFd client(::accept4(service_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char buffer[4096];
    ssize_t n = ::read(client.get(), buffer, sizeof buffer);
    EXPECT_TRUE(std::string_view(buffer, static_cast<size_t>(std::max<ssize_t>(n, 0))).starts_with("GET /issues/1 "));
    (void)write_all(client.get(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nissue");
  });
  ask(1, get("GET", "http://tracker.bottle/issues/1"));
  EXPECT_TRUE(answer(1).ends_with("issue"));
  service.join();
  // These are requests that a far guard could make after the agent has taken over its machine.
  uint64_t stream = 2;
  for (const std::string& request :
       {get("POST", "http://tracker.bottle/issues/1"), get("GET", "http://tracker.bottle/admin"),
        get("GET", "http://tracker.bottle:22/issues/1"),
        get("GET", "http://" + job_.plan.egress.lan[0].to + "/issues/1"), get("GET", "http://localhost/issues/1"),
        std::string("CONNECT tracker.bottle:22 HTTP/1.1\r\nHost: tracker.bottle:22\r\n\r\n"),
        std::string("CONNECT 169.254.169.254:443 HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"),
        std::string("GET /ssh-agent HTTP/1.1\r\nHost: guard\r\n\r\n")}) {
    ask(stream, request);
    EXPECT_TRUE(answer(stream++).starts_with("HTTP/1.1 40")) << request;
  }
  for (int i = 0; i < 1000 && audit_.empty(); ++i) turn();
  EXPECT_FALSE(audit_.empty());
}

// The far guard must stop the value of an exposed secret, which the agent has, on the way to other hosts.
TEST_F(NearServicesTest, OnlyValuesThatTheAgentHasGoToTheOtherMachine) {
  using Kind = plan::Source::Kind;
  auto& plan = job_.plan;
  plan.env = {{"OPEN", {Kind::env, "OPEN"}}, {"LOGIN", {Kind::env, "LOGIN"}}};
  plan.secrets = {{.name = "open", .source = {Kind::env, "OPEN"}, .hosts = {"open.test"}, .placeholder = "p1"},
                  {.name = "closed", .source = {Kind::env, "CLOSED"}, .hosts = {"closed.test"}, .placeholder = "p2"},
                  {.name = std::string(plan::kParentLogin), .source = {Kind::env, "LOGIN"}}};
  job_.near_share.secrets_stay = true;
  job_.values.secrets = {{"open", "open-value"},
                         {"closed", "closed-value"},
                         {plan.secrets[2].name, "user:password"},
                         {"of no secret", "value"}};
  make();
  EXPECT_EQ(there_.values.secrets, (std::map<std::string, std::string>{{"open", "open-value"}}));
  auto config = session::guard_config(
      there_.plan, {.secrets = there_.values.secrets, .side = wire::Side::far, .near_share = {.secrets_stay = true}});
  ASSERT_EQ(config.secrets.size(), 2u);
  EXPECT_EQ(config.secrets[0].value, "open-value");
  EXPECT_EQ(config.secrets[1].value, "");
  EXPECT_TRUE(config.secrets[0].relayed && config.secrets[1].relayed);
  EXPECT_NE(std::ranges::find(config.relay, "open.test"), config.relay.end());
  EXPECT_EQ(config.egress.parent_login, "");
}

// A broker that cannot look for what must not leave must not serve anything.
TEST_F(NearServicesTest, WithoutABrokerOnlyKeysAreServed) {
  job_.remote = wire::RemoteJob{.may_broker = false};
  make();
  EXPECT_FALSE(services_);
  job_.ssh_keys = {{.holder = wire::SshKey::Holder::other, .file = "/home/me/.ssh/id", .socket = "/run/agent"}};
  make();
  ASSERT_TRUE(services_);
  EXPECT_EQ(services_->root_pem(), "");
  ask(1, get("GET", "http://tracker.bottle/issues/1"));
  EXPECT_EQ(answer(1), "");
}

// The broker writes a flood of refusals as counts, at the latest when it ends.
TEST_F(NearServicesTest, TheBrokersLastCountsAreRecorded) {
  constexpr uint64_t kRequests = 260;
  for (uint64_t stream = 1; stream <= kRequests; ++stream) {
    ask(stream, get("GET", "http://tracker.bottle/admin"));
    EXPECT_NE(answer(stream).find("X-Bottle-Deny"), std::string::npos);
  }
  services_.reset();
  uint64_t refused = 0;
  for (const auto& each : audit_) refused += each.is_deny() ? each.count : 0;
  EXPECT_EQ(refused, kRequests);
}

// A far side that was taken over may claim to have taken what it has not read, to fill this machine's memory.
TEST_F(NearServicesTest, WhileTheConnectionIsBehindNothingMoreIsSentOnAStream) {
  const std::string body(1 << 20, 'x');
  std::thread service([&] {
    UniqueFd client(::accept4(service_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char buffer[4096];
    EXPECT_GT(::read(client.get(), buffer, sizeof buffer), 0);
    (void)write_all(client.get(), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                                      std::to_string(body.size()) + "\r\n\r\n" + body);
  });
  ask(1, get("GET", "http://tracker.bottle/issues/1"));
  auto sent = [&] { return std::ranges::count_if(told_, [](const json& line) { return line.contains("data"); }); };
  // The broker has more than one piece, and the window ends its sending.
  for (int i = 0; i < 1000 && sent() < 8; ++i) turn();
  auto before = sent();
  ASSERT_GE(before, 8);
  for (int i = 0; i < 100; ++i) {
    take({{"type", "stream"}, {"stream", 1}, {"taken", wire::kStreamWindow}});
    turn(0, true);
  }
  EXPECT_EQ(sent(), before);
  for (int i = 0; i < 1000 && (told_.empty() || !told_.back().contains("closed")); ++i) {
    take({{"type", "stream"}, {"stream", 1}, {"taken", wire::kStreamWindow}});
    turn();
  }
  EXPECT_TRUE(answer(1).ends_with(body)) << "the rest comes later";
  service.join();
}

// Returns the id of the broker, which is a child of this process.
pid_t broker_process() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    pid_t process = std::atoi(entry.path().filename().c_str());
    if (process <= 0) continue;
    std::ifstream stat(entry.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    size_t end = text.rfind(") ");  // of the name; the state and the parent follow
    if (end == text.npos || std::atoi(text.c_str() + std::min(end + 4, text.size())) != ::getpid()) continue;
    return process;
  }
  return -1;
}

// The broker's limits hold even if the other machine is taken over, so its death must not reset what was used.
TEST_F(NearServicesTest, UsageCountsSurviveTheBrokersDeath) {
  std::thread service([&] {
    for (int i = 0; i < 2; ++i) {
      UniqueFd client(::accept4(service_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      char buffer[4096];
      EXPECT_GT(::read(client.get(), buffer, sizeof buffer), 0);
      (void)write_all(client.get(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nissue");
    }
  });
  services_->change_policy({"1", wire::LimitChange{"", {2}}});
  const std::string request = get("GET", "http://tracker.bottle/issues/1");
  for (uint64_t stream : {1, 2}) {
    ask(stream, request);
    EXPECT_TRUE(answer(stream).ends_with("issue")) << stream;
  }
  service.join();
  ask(3, request);
  EXPECT_NE(answer(3).find("limit_reached"), std::string::npos);
  auto used = [&] { return services_->usage().all(); };
  for (int i = 0; i < 1000 && (used().empty() || used().front().requests < 2); ++i) turn();
  pid_t before = broker_process(), now = before;
  ASSERT_GT(before, 0);
  ASSERT_EQ(::kill(before, SIGKILL), 0);
  for (int i = 0; i < 1000 && (now == before || now < 0); ++i) {
    turn();
    now = broker_process();
  }
  ASSERT_NE(now, before);
  ask(4, request);
  EXPECT_NE(answer(4).find("limit_reached"), std::string::npos);
}

// After a near side has died, `bottle attach` starts another one. Its broker must not begin to count from zero.
TEST_F(NearServicesTest, UsageCountsSurviveTheDeathOfTheNearSide) {
  std::thread service([&] {
    UniqueFd client(::accept4(service_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char buffer[4096];
    EXPECT_GT(::read(client.get(), buffer, sizeof buffer), 0);
    (void)write_all(client.get(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nissue");
  });
  const std::string request = get("GET", "http://tracker.bottle/issues/1"), kept = directory_ + "/usage.json";
  ask(1, request);
  EXPECT_TRUE(answer(1).ends_with("issue"));
  service.join();
  for (int i = 0; i < 1000 && !read_file(kept).value_or("").contains("\"requests\":1"); ++i) turn();
  job_.plan.egress.limit.requests = 1;
  make();
  ask(2, request);
  EXPECT_NE(answer(2).find("limit_reached"), std::string::npos);
  ASSERT_TRUE(write_file_atomically(kept, "{"));
  there_ = job_;
  EXPECT_FALSE(NearServices::make(
      job_, there_, directory_, [](const wire::ToFarGuard&) {}, [](const wire::Decision&) {}, broker_program));
}

// `bottle deny` applies on this side whether or not the other machine obeys. `bottle allow` affects only what is served
// from this side.
TEST_F(NearServicesTest, ChangesOfThePolicyApplyOnThisSideToo) {
  uint64_t stream = 1;
  auto becomes = [&](const std::string& url, const std::string& expected) {
    for (int i = 0; i < 50; ++i) {
      ask(stream, get("GET", url));
      if (answer(stream++).find(expected) != std::string::npos) return true;
    }
    return false;
  };
  ::shutdown(service_.get(), SHUT_RDWR);  // the service is gone, and nobody else gets its port
  EXPECT_TRUE(becomes("http://tracker.bottle/issues/1", "X-Bottle-Error"));
  services_->change_policy(
      {"1", wire::PolicyChange::Allow{{.host = "tracker.bottle", .methods = {"GET"}, .paths = {"/admin"}}}});
  EXPECT_TRUE(becomes("http://tracker.bottle/admin", "X-Bottle-Error"));
  services_->change_policy({"2", wire::PolicyChange::Allow{{.host = "localhost"}}});
  services_->change_policy({"3", wire::PolicyChange::Deny{"tracker.bottle"}});
  EXPECT_TRUE(becomes("http://tracker.bottle/issues/1", "X-Bottle-Deny"));
  EXPECT_TRUE(becomes("http://localhost/issues/1", "X-Bottle-Deny"))
      << "nothing of this side's that the plan does not name";
  // The service gets its own rule, and not one for everything that it has.
  services_->change_policy({"4", wire::PolicyChange::Allow{{.host = "tracker.bottle"}}});
  EXPECT_TRUE(becomes("http://tracker.bottle/issues/1", "X-Bottle-Error"));
  EXPECT_TRUE(becomes("http://tracker.bottle/secret", "X-Bottle-Deny"));
  services_->change_policy({"5", wire::LimitChange{"tracker.bottle", {1}}});
  EXPECT_TRUE(becomes("http://tracker.bottle/issues/1", "limit_reached"));
}

// Both rules cover the host to which the secret is bound, but the plan lets only the more specific one apply to it.
TEST_F(NearServicesTest, OfTheRulesForAHostWithASecretOnlyTheMostSpecificApply) {
  job_.plan.egress.lan.clear();
  job_.plan.egress.allow = {
      {.host = "*.example.org"}, {.host = "api.example.org", .methods = {"GET"}, .paths = {"/mine/**"}}, {.host = "*"}};
  job_.plan.egress.hosts = {{"api.example.org", {"127.0.0.1:1"}}, {"other.example.org", {"127.0.0.1:1"}}};
  plan::Secret secret;
  secret.name = "key";
  secret.hosts = {"api.example.org", "*.example.org"};
  secret.placeholder = "placeholder-0123456789";
  job_.plan.secrets = {secret};
  job_.values.secrets = {{"key", "value-0123456789"}};
  job_.near_share.secrets_stay = true;
  make();
  uint64_t stream = 1;
  auto fetch = [&](const std::string& method, const std::string& url) {
    ask(stream, get(method, url));
    return answer(stream++);
  };
  auto becomes = [&](const std::string& url, const std::string& expected) {
    for (int i = 0; i < 50; ++i)
      if (fetch("GET", url).find(expected) != std::string::npos) return true;
    return false;
  };
  const std::string mine = "http://api.example.org/mine/1", others = "http://other.example.org/";
  EXPECT_NE(fetch("GET", mine).find("X-Bottle-Error"), std::string::npos) << "dialed, and nobody is there";
  EXPECT_NE(fetch("POST", mine).find("X-Bottle-Deny"), std::string::npos);
  EXPECT_NE(fetch("GET", "http://api.example.org/theirs").find("X-Bottle-Deny"), std::string::npos);
  EXPECT_NE(fetch("POST", others).find("X-Bottle-Error"), std::string::npos);
  // A change may name a wider pattern than the broker's rules do.
  services_->change_policy({"1", wire::PolicyChange::Deny{"*.example.org"}});
  EXPECT_TRUE(becomes(others, "X-Bottle-Deny"));
  EXPECT_NE(fetch("GET", mine).find("X-Bottle-Error"), std::string::npos) << "its own rule is more specific";
  services_->change_policy({"2", wire::PolicyChange::Deny{"api.example.org"}});
  EXPECT_TRUE(becomes(mine, "X-Bottle-Deny"));
}

// `bottle deny` of a pattern reaches the hosts with a secret that only a rule with this pattern allows.
TEST_F(BrokerTest, ADeniedPatternAppliesToAHostWithASecret) {
  plan::Plan plan;
  plan.session = "test";
  plan.egress.allow = {{.host = "*.example.org"}};
  plan::Secret secret;
  secret.name = "key";
  secret.hosts = {"api.example.org"};
  plan.secrets = {secret};
  BrokerRules rules = broker_rules(plan, {.secrets = {{"key", "value-0123456789"}}});
  auto hosts = [&] {
    std::vector<std::string> names;
    for (const auto& rule : rules.narrowed()) names.push_back((rule.deny ? "-" : "") + rule.host);
    return names;
  };
  EXPECT_EQ(hosts(), std::vector<std::string>{"api.example.org"});
  rules.session.push_back({.host = "*.example.org", .deny = true});
  EXPECT_EQ(hosts(), (std::vector<std::string>{"api.example.org", "-api.example.org"}));
}

// If several limits cover a host, all of them apply, each to all hosts of its pattern together.
TEST_F(BrokerTest, ALimitOfAPatternCountsAllItsHostsTogether) {
  plan::Plan plan;
  plan.session = "test";
  plan.egress.allow = {{.host = "*.example.org", .limit = {.requests = 5}},
                       {.host = "api.example.org", .limit = {.requests = 9}},
                       {.host = "*", .limit = {.bytes_up = 7}},
                       {.host = "*.other.org", .limit = {.requests = 3}}};
  plan::Secret secret;
  secret.name = "key";
  secret.hosts = {"api.example.org", "b.example.org", "c.example.org"};
  plan.secrets = {secret};
  const BrokerRules rules = broker_rules(plan, {.secrets = {{"key", "value-0123456789"}}});
  std::map<std::string, uint64_t> requests, bytes;
  std::vector<policy::RuleSpec> specs;
  for (const auto& rule : rules.narrowed()) {
    requests[rule.host] += rule.limit.of(wire::Quantity::requests);
    bytes[rule.host] += rule.limit.of(wire::Quantity::bytes_up);
    specs.push_back({.host = rule.host, .deny = rule.deny});
  }
  EXPECT_EQ(requests,
            (std::map<std::string, uint64_t>{
                {"*", 0}, {"*.example.org", 5}, {"api.example.org", 9}, {"b.example.org", 0}, {"c.example.org", 0}}));
  EXPECT_EQ(bytes["*"], 7u);
  auto compiled = policy::Rules::compile(specs);
  ASSERT_TRUE(compiled);
  for (const char* host : {"api.example.org", "b.example.org", "c.example.org"})
    EXPECT_TRUE(compiled->connect({host}, 443).allowed) << host;
  for (const char* host : {"d.example.org", "example.net"})
    EXPECT_FALSE(compiled->connect({host}, 443).allowed) << host;
}

// With a VM without a network, this side decides again about everything that the far guard asks for.
TEST_F(NearServicesTest, WithoutAFarNetworkTheWholePolicyIsCheckedAgain) {
  job_.plan.egress.lan.clear();
  job_.plan.egress.allow = {{.host = "allowed.example.org", .ports = {443}}};
  job_.plan.egress.hosts = {{"allowed.example.org", {"127.0.0.1:1"}}, {"later.example.org", {"127.0.0.1:1"}}};
  job_.plan.egress.resolver = "127.0.0.1:1";
  there_ = job_;
  there_.near_share.offline = true;
  auto made = NearServices::make(
      job_, there_, "/nonexistent",
      [this](const wire::ToFarGuard& message) { told_.push_back(json::parse(wire::encode(message))); },
      [this](const wire::Decision& decision) { audit_.push_back(decision); }, broker_program);
  ASSERT_TRUE(made) << made.error().what;
  services_ = std::move(*made);
  uint64_t stream = 1;
  auto connect = [&](const std::string& to) {
    ask(stream, "CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n");
    return answer(stream++);
  };
  // New rules and a new connection reach the broker in two different ways, so the test repeats.
  auto becomes = [&](const std::string& to, const std::string& answer) {
    for (int i = 0; i < 50; ++i)
      if (connect(to).find(answer) != std::string::npos) return true;
    return false;
  };
  EXPECT_NE(connect("allowed.example.org:443").find("X-Bottle-Error: unreachable"), std::string::npos)
      << "dialed, and nobody is there";
  for (const char* to : {"allowed.example.org:22", "later.example.org:443", "192.168.1.1:443", "127.0.0.1:443",
                         "169.254.169.254:80", "localhost:443"})
    EXPECT_NE(connect(to).find("X-Bottle-Deny"), std::string::npos) << to;
  // `bottle allow` and `bottle deny` apply on this side too. Rules that only the other machine could have written do
  // not.
  services_->change_policy({"1", wire::PolicyChange::Allow{{.host = "later.example.org"}}});
  EXPECT_TRUE(becomes("later.example.org:443", "X-Bottle-Error: unreachable"));
  services_->change_policy({"2", wire::PolicyChange::Deny{"allowed.example.org"}});
  EXPECT_TRUE(becomes("allowed.example.org:443", "X-Bottle-Deny"));
  services_->change_policy({"3", wire::PolicyChange::Allow{{.host = "*"}}});
  EXPECT_NE(connect("192.168.1.1:443").find("X-Bottle-Deny"), std::string::npos);
}

TEST_F(NearServicesTest, InvalidMessagesEndOnlyTheirStreams) {
  for (const char* text :
       {"null", "[]", "7", "{}", R"({"type":7})", R"({"type":"stream"})",
        R"({"type":"stream","stream":-1,"open":true})", R"({"type":"stream","stream":"1","open":true})",
        R"({"type":"stream","stream":4294967296,"open":true})", R"({"type":"stream","stream":5,"data":"eA=="})",
        R"({"type":"stream","stream":5,"data":"%%"})", R"({"type":"stream","stream":5,"open":true,"closed":true})",
        R"({"type":"stream","stream":5,"taken":1})", R"({"type":"ssh-agent","connection":1,"request":"AA=="})"}) {
    services_->take(text);
    turn(0);
  }
  EXPECT_TRUE(told_.empty());
  auto closed = [&](const json& line) {
    take({{"type", "stream"}, {"stream", 1}, {"open", true}});
    take(line);
    turn(0);
    bool told = !told_.empty() && told_.back().contains("closed") && told_.back()["stream"] == 1;
    told_.clear();
    return told;
  };
  EXPECT_TRUE(closed({{"type", "stream"}, {"stream", 1}, {"data", base64(std::string(200000, 'x'))}}));
  EXPECT_TRUE(closed({{"type", "stream"}, {"stream", 1}, {"open", true}}));  // the stream is already open
  take({{"type", "stream"}, {"stream", 1}, {"taken", 18446744073709551615ull}});
  take({{"type", "relay"}});
  // The number of open streams is limited.
  for (int i = 100; i < 356; ++i) take({{"type", "stream"}, {"stream", i}, {"open", true}});
  EXPECT_TRUE(told_.empty());
  take({{"type", "stream"}, {"stream", 356}, {"open", true}});
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0]["closed"], true);
}

}  // namespace
}  // namespace bottle::remote
