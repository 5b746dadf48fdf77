// Tests that the owner of a guard can read every line that the guard can write.
#include "guard/audit/audit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "wire/guard/control.h"

namespace bottle::guard {
namespace {

using Limits = wire::DecisionLimits;

// Writes the line, and returns what a reader of the guard's messages gets.
wire::Decision read_back(const AuditLine& line) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  Audit audit;
  audit.open(in.get());
  audit.write(line);
  audit.drain();
  in.reset();
  std::string text(64 << 10, '\0');
  ssize_t size = ::read(out.get(), text.data(), text.size());
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  EXPECT_TRUE(text.ends_with("\n")) << text;
  auto message = wire::decode<wire::FromGuard>(text, wire::From::ours);
  EXPECT_TRUE(message) << message.error().what << ": " << text;
  const auto* decision = message ? std::get_if<wire::Decision>(&*message) : nullptr;
  EXPECT_NE(decision, nullptr) << text;
  return decision ? *decision : wire::Decision();
}

// Returns the text as it is read: cut, and with each byte as the character of that number.
std::string as_read(std::string_view text, size_t limit) {
  std::string out;
  for (unsigned char c : text.substr(0, limit)) {
    if (c >= 0x80) out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(c < 0x80 ? c : 0x80 | (c & 0x3f));
  }
  return out;
}

// Checks that a line arrives with the same numbers and words, and with each text as far as its limit.
void check(const AuditLine& line) {
  wire::Decision read = read_back(line);
  EXPECT_EQ(read.time.size(), Limits::kTime) << read.time;
  EXPECT_EQ(read.id, line.id);
  EXPECT_EQ(read.action, line.action);
  EXPECT_EQ(read.kind, line.kind);
  EXPECT_EQ(read.host, as_read(line.host, Limits::kHost));
  EXPECT_EQ(read.port, line.port);
  EXPECT_EQ(read.method, as_read(line.method, Limits::kMethod));
  EXPECT_EQ(read.path, as_read(line.path, Limits::kPath));
  EXPECT_EQ(read.code, as_read(line.code, Limits::kCode));
  EXPECT_EQ(read.reason, as_read(line.reason, Limits::kReason));
  EXPECT_EQ(read.lacks, line.lacks);
  EXPECT_EQ(read.secret, as_read(line.secret, Limits::kSecret));
  EXPECT_EQ(read.rule, as_read(line.rule, Limits::kRule));
  EXPECT_EQ(read.fingerprint, as_read(line.fingerprint, Limits::kFingerprint));
  ASSERT_EQ(read.bytes.has_value(), line.totals);
  if (line.totals) EXPECT_TRUE(read.bytes->out == line.bytes_out && read.bytes->in == line.bytes_in);
  EXPECT_EQ(read.count, line.count);
  EXPECT_EQ(read.first, line.count > 1 ? as_read(line.first, Limits::kTime) : "");
  EXPECT_FALSE(read.near);
  EXPECT_EQ(read.trail, "");
}

AuditLine with_text(std::string_view text) {
  return {.id = "7f3a",
          .action = Action::deny,
          .kind = Kind::http,
          .host = text,
          .port = UINT16_MAX,
          .method = text,
          .path = text,
          .code = text,
          .reason = text,
          .secret = text,
          .rule = text,
          .fingerprint = text,
          .bytes_out = UINT64_MAX,
          .bytes_in = UINT64_MAX - 1,
          .first = text};
}

TEST(Audit, EachWordIsRead) {
  for (size_t action = 0; action < wire::kDecisionActions.size(); ++action)
    for (size_t kind = 0; kind < wire::kDecisionKinds.size(); ++kind)
      for (bool totals : {false, true})
        for (uint64_t count : {uint64_t{1}, uint64_t{2}, UINT64_MAX}) {
          AuditLine line = with_text("a \xc3\xa9\"\\\x7f");
          line.action = static_cast<Action>(action);
          line.kind = static_cast<Kind>(kind);
          line.totals = totals;
          line.count = count;
          check(line);
        }
}

TEST(Audit, WhatARefusalLacksIsRead) {
  for (size_t each = 0; each < policy::kLacks.size(); ++each) {
    AuditLine line = with_text("a");
    line.lacks = static_cast<policy::Lacks>(each);
    check(line);
  }
}

TEST(Audit, EachByteIsReadInEachText) {
  for (int byte = 0; byte < 256; ++byte) check(with_text(std::string(2 * Limits::kPath, static_cast<char>(byte))));
}

TEST(Audit, TextsAreReadUpToTheirLimits) {
  check({.id = "1", .action = Action::allow, .kind = Kind::connect});
  for (size_t limit : {Limits::kHost, Limits::kMethod, Limits::kPath, Limits::kCode, Limits::kReason, Limits::kSecret,
                       Limits::kRule, Limits::kFingerprint, Limits::kTime})
    for (size_t size : {limit - 1, limit, limit + 1})
      for (char each : {'a', '\xff'}) check(with_text(std::string(size, each)));
}

}  // namespace
}  // namespace bottle::guard
