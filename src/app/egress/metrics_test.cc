#include "app/egress/metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "session/audit/egress_counters.h"

namespace bottle::app {
namespace {

// Parses text in the exposition format 0.0.4, more strictly than Prometheus does. Returns the value of each sample by
// its name and labels.
std::map<std::string, uint64_t> read_strictly(const std::string& text) {
  static const std::regex help("# HELP ([a-z_]+) [^\\\\\n]+"), type("# TYPE ([a-z_]+) (counter|gauge)");
  static const std::regex sample("([a-z_]+)(\\{[^\n]*\\}) ([0-9]+)");
  static const std::regex labels(
      "\\{[a-z_]+=\"([^\"\\\\\n]|\\\\[\\\\\"n])*\"(,[a-z_]+=\"([^\"\\\\\n]|\\\\[\\\\\"n])*\")*\\}");
  std::map<std::string, uint64_t> values;
  std::set<std::string> families;
  std::string family, described, kind;
  EXPECT_TRUE(text.ends_with("\n")) << "the last line needs a line end";
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::smatch m;
    if (std::regex_match(line, m, help)) {
      described = m[1];
    } else if (std::regex_match(line, m, type)) {
      family = m[1];
      kind = m[2];
      EXPECT_EQ(family, described) << "HELP and TYPE belong together";
      EXPECT_TRUE(families.insert(family).second) << family << " twice: its samples must be in one group";
      EXPECT_EQ(kind == "counter", family.ends_with("_total")) << family;
    } else if (std::regex_match(line, m, sample)) {
      EXPECT_EQ(m[1], family) << line;
      EXPECT_TRUE(std::regex_match(m[2].str(), labels)) << line;
      EXPECT_TRUE(values.emplace(m[1].str() + m[2].str(), std::stoull(m[3])).second) << "twice: " << line;
    } else {
      ADD_FAILURE() << "not a line of the format: " << line;
    }
  }
  return values;
}

wire::Metrics counted(const std::vector<wire::Decision>& decisions) {
  session::EgressCounters counters;
  for (const auto& decision : decisions) counters.add(decision);
  wire::Metrics metrics{.guard_up = true, .guard_restarts = 2, .record_lines = 7};
  counters.fill(metrics);
  return metrics;
}

TEST(Metrics, CountDecisionsHostsAndBytes) {
  auto values = read_strictly(exposition("s1", counted({{.action = wire::DecisionAction::allow,
                                                         .kind = wire::DecisionKind::connect,
                                                         .host = "a.example.org",
                                                         .code = "allowed"},
                                                        {.action = wire::DecisionAction::close,
                                                         .kind = wire::DecisionKind::connect,
                                                         .host = "a.example.org",
                                                         .bytes = wire::Decision::Totals{100, 2000}},
                                                        {.action = wire::DecisionAction::deny,
                                                         .kind = wire::DecisionKind::connect,
                                                         .host = "b.example.org",
                                                         .code = "not_allowed",
                                                         .count = 3}})));
  EXPECT_EQ(values["bottle_guard_up{session=\"s1\"}"], 1u);
  EXPECT_EQ(values["bottle_guard_restarts_total{session=\"s1\"}"], 2u);
  EXPECT_EQ(values["bottle_record_lines{session=\"s1\"}"], 7u);
  EXPECT_EQ(values["bottle_record_full{session=\"s1\"}"], 0u);
  EXPECT_EQ(values["bottle_decisions_total{session=\"s1\",action=\"deny\",kind=\"connect\",code=\"not_allowed\"}"], 3u);
  EXPECT_EQ(values["bottle_host_decisions_total{session=\"s1\",host=\"b.example.org\",action=\"deny\"}"], 3u);
  EXPECT_EQ(values["bottle_host_bytes_total{session=\"s1\",host=\"a.example.org\",direction=\"in\"}"], 2000u);
}

TEST(Metrics, AreInTheFormatWhateverNamesTheAgentChose) {
  auto values = read_strictly(exposition(
      "s1", counted({{.action = wire::DecisionAction::deny,
                      .kind = wire::DecisionKind::dns,
                      .host = "a\"} 1\nbottle_guard_up{x=\"\\"},
                     {.action = wire::DecisionAction::deny, .kind = wire::DecisionKind::dns, .host = "\xff\xfe"},
                     {.action = wire::DecisionAction::deny, .kind = wire::DecisionKind::dns, .host = "\x1b[2J{},="}})));
  EXPECT_EQ(values["bottle_guard_up{session=\"s1\"}"], 1u);
  EXPECT_EQ(values["bottle_decisions_total{session=\"s1\",action=\"deny\",kind=\"dns\",code=\"\"}"], 3u);
}

// A remote machine can send anything, and if a series appears twice in one text, the collector loses all sessions.
TEST(Metrics, HaveEachSeriesOnce) {
  wire::Metrics metrics{.decisions = {{"deny", "dns", "x", UINT64_MAX}, {"deny", "dns", "x", 2}},
                        .hosts = {{"a", 1, 2, 3, 4}, {"b", 1, 0, 0, 0}, {"a", 10, 20, 30, 40}}};
  auto values = read_strictly(exposition("s1", metrics));
  EXPECT_EQ(values["bottle_host_decisions_total{session=\"s1\",host=\"a\",action=\"deny\"}"], 22u);
  EXPECT_EQ(values["bottle_decisions_total{session=\"s1\",action=\"deny\",kind=\"dns\",code=\"x\"}"], UINT64_MAX);
}

TEST(Metrics, HaveALimitAndLoseNoCount) {
  std::vector<wire::Decision> decisions;
  for (int i = 0; i < 5000; ++i)
    decisions.push_back({.action = wire::DecisionAction::deny,
                         .kind = wire::DecisionKind::dns,
                         .host = "h" + std::to_string(i),
                         .code = "nxdomain"});
  auto metrics = counted(decisions);
  EXPECT_LE(metrics.hosts.size(), session::EgressCounters::kMostHosts + 1);
  uint64_t denied = 0;
  for (const auto& host : metrics.hosts) denied += host.denied;
  EXPECT_EQ(denied, 5000u);
  EXPECT_TRUE(wire::encode_exactly(metrics));
}

TEST(Metrics, ReportUsage) {
  wire::Metrics metrics{.used = {{"model.org", 3, 4096, 2112, 345, 0.126}, {"a.org", 1, 9, 0, 0, 0}}};
  auto values = read_strictly(exposition("s1", metrics));
  EXPECT_EQ(values["bottle_host_requests_total{session=\"s1\",host=\"a.org\"}"], 1u);
  EXPECT_EQ(values["bottle_host_bytes_up_total{session=\"s1\",host=\"model.org\"}"], 4096u);
  EXPECT_EQ(values["bottle_model_tokens_total{session=\"s1\",host=\"model.org\",direction=\"out\"}"], 345u);
  EXPECT_EQ(values["bottle_model_cost_millionths_total{session=\"s1\",host=\"model.org\"}"], 126'000u);
  EXPECT_FALSE(values.contains("bottle_model_tokens_total{session=\"s1\",host=\"a.org\",direction=\"out\"}"));
}

}  // namespace
}  // namespace bottle::app
