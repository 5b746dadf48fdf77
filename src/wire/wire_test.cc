// Tests every message against its golden file (tests/golden/wire), and against every change that a foreign sender may
// make to it.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <functional>

#include <nlohmann/json.hpp>

#include "base/files/file.h"
#include "base/text/line.h"
#include "wire/codec/failure.h"
#include "wire/event.h"
#include "wire/gate/gate.h"
#include "wire/guard/control.h"
#include "wire/machine/vm_record.h"
#include "wire/repositories/repositories.h"
#include "wire/request.h"
#include "wire/samples_test.h"
#include "wire/start/hello.h"
#include "wire/start/job.h"

namespace bottle::wire {

void PrintTo(const Sample& sample, std::ostream* out) { *out << sample.name; }

namespace {

using nlohmann::json;

class Messages : public ::testing::TestWithParam<Sample> {
 protected:
  // Returns the error, or an empty string if the message was read and encodes to the same text.
  static std::string read(const json& message) { return read(message.dump()); }
  static std::string read(const std::string& text) { return read(std::string_view(text)); }
  static std::string read(std::string_view text) {
    auto again = GetParam().read_and_write(text);
    return again ? "" : again.error().what;
  }
  static json golden() { return json::parse(GetParam().write()); }
};

TEST_P(Messages, MatchTheirGoldenFile) {
  std::string path = std::string("tests/golden/wire/") + GetParam().name + ".json", text = GetParam().write();
  if (std::getenv("BOTTLE_UPDATE_GOLDEN")) {
    ASSERT_TRUE(make_directories("tests/golden/wire", 0755) && write_file_atomically(path, text, 0644));
  }
  auto expected = read_file(path);
  ASSERT_TRUE(expected) << "BOTTLE_UPDATE_GOLDEN=1 " << path;
  EXPECT_EQ(text, *expected);
  auto again = GetParam().read_and_write(*expected);
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(*again, *expected);
}

// The fuzzer starts with each message: a byte that selects the type, then the message (messages_fuzz.cc).
TEST_P(Messages, AreInTheFuzzersCorpus) {
  auto all = samples();
  auto at = std::ranges::find(all, GetParam().name, &Sample::name);
  ASSERT_NE(at, all.end());
  std::string entry = static_cast<char>(at - all.begin()) + golden().dump();
  std::string path = "src/wire/corpus/messages/" + GetParam().name;
  if (std::getenv("BOTTLE_UPDATE_GOLDEN")) ASSERT_TRUE(write_file_atomically(path, entry, 0644));
  auto kept = read_file(path);
  ASSERT_TRUE(kept) << "BOTTLE_UPDATE_GOLDEN=1 " << path;
  EXPECT_EQ(*kept, entry);
}

// Calls `change` for the message with each of its values, and with a text that identifies the value in an error.
void for_each_value(const json& message, const std::function<void(const json::json_pointer&, const json&)>& see,
                    const json::json_pointer& at = json::json_pointer()) {
  if (!at.empty()) see(at, message);
  if (message.is_object())
    for (const auto& [key, value] : message.items()) for_each_value(value, see, at / key);
  if (message.is_array())
    for (size_t i = 0; i < message.size(); ++i) for_each_value(message[i], see, at / i);
}

TEST_P(Messages, RefuseUnknownKeys) {
  json message = golden();
  auto with_key_in = [&](const json::json_pointer& at) {
    json changed = message;
    changed[at]["odd"] = 1;
    return read(changed);
  };
  if (GetParam().passes_over_unknown_keys) EXPECT_EQ(with_key_in(json::json_pointer()), "");
  else EXPECT_NE(with_key_in(json::json_pointer()).find("odd is not a key"), std::string::npos);
  for_each_value(message, [&](const json::json_pointer& at, const json& value) {
    if (!value.is_object() || GetParam().tables.contains(at.back())) return;
    const std::string& open = GetParam().open;
    if (!open.empty() && (at.to_string() + "/").starts_with(open + "/")) {
      EXPECT_EQ(with_key_in(at), "") << at;
      return;
    }
    EXPECT_NE(with_key_in(at).find("odd is not a key"), std::string::npos) << at << ": " << with_key_in(at);
  });
}

TEST_P(Messages, RefuseValuesOfAnotherType) {
  json message = golden();
  for_each_value(message, [&](const json::json_pointer& at, const json& value) {
    for (const json& other :
         {json("7"), json(7), json(true), json(nullptr), json::array({json::array()}), json{{"odd", 1}}}) {
      if (other.type() == value.type() || (other.is_number() && value.is_number())) continue;
      // The number of commits may be unknown.
      if (other.is_null() && (at.to_string() == GetParam().may_be_null || at.back() == "commits")) continue;
      json changed = message;
      changed[at] = other;
      std::string error = read(changed);
      EXPECT_FALSE(error.empty()) << at << " became " << other;
      std::string name = at.back();
      if (name.find_first_not_of("0123456789") != std::string::npos)
        EXPECT_NE(error.find(name), std::string::npos) << at << " became " << other << ": " << error;
    }
  });
}

TEST(Result, AnUnknownNumberOfCommitsIsNull) {
  SessionResult result{.session = "s1", .back = WorkResult{.sorted = ReceivedWork{.files = 2}}};
  std::string text = encode(result);
  EXPECT_TRUE(json::parse(text)["back"]["commits"].is_null()) << text;
  auto read = decode<SessionResult>(text, From::ours);
  ASSERT_TRUE(read && read->back && read->back->sorted) << text;
  EXPECT_FALSE(read->back->sorted->commits);
  result.back->sorted->commits = 0;
  EXPECT_EQ(json::parse(encode(result))["back"]["commits"], 0);
}

// Earlier versions could write a text that does not belong to the VM's end.
TEST(Result, AVmHasOneEnd) {
  auto end_of = [](const std::string& vm) {
    auto read = decode<Receipt>(
        R"({"session":"s","removed":[],"left":[],"confirmed":true,"vm":{"name":"v",)" + vm + "}}", From::ours);
    EXPECT_TRUE(read && read->vm) << vm;
    return read && read->vm ? read->vm->end : VmReceipt().end;
  };
  auto gone = end_of(R"("confirmed":true,"confirmed_by":"status","error":"slow")");
  ASSERT_TRUE(std::holds_alternative<VmGone>(gone));
  EXPECT_EQ(std::get<VmGone>(gone).confirmed_by, "status");
  auto uncertain = end_of(R"("confirmed":false,"confirmed_by":"status","error":"slow")");
  ASSERT_TRUE(std::holds_alternative<VmUncertain>(uncertain));
  EXPECT_EQ(std::get<VmUncertain>(uncertain).error, "slow");
}

// Returns whether one of these sizes is refused. It is the smallest that must be, so that the test is fast.
bool is_bounded(const std::vector<size_t>& sizes, const std::function<bool(size_t)>& accepts) {
  return std::ranges::any_of(sizes, [&](size_t size) { return !accepts(size); });
}

TEST_P(Messages, RefuseLongTextAndLongLists) {
  json message = golden();
  size_t room = GetParam().most - message.dump().size() - 100;
  for_each_value(message, [&](const json::json_pointer& at, const json& value) {
    if (!GetParam().elsewhere.empty() && at.to_string().starts_with(GetParam().elsewhere)) return;
    json changed = message;
    changed[at] = "HERE";
    std::string text = changed.dump();
    auto accepts = [&](const std::string& instead) {
      std::string whole = text;
      return read(whole.replace(whole.find("\"HERE\""), 6, instead)).empty();
    };
    if (value.is_string())
      EXPECT_TRUE(is_bounded({400, 5000, 300'000, kValue + 1, kLongText + 1}, [&](size_t size) {
        return accepts("\"" + std::string(std::min(size, room), 'x') + "\"");
      })) << at;
    if (value.is_array())
      EXPECT_TRUE(is_bounded({1001, 5001, 100'001}, [&](size_t size) {
        std::string one = value[0].dump(), many = "[" + one;
        for (size_t i = 1; i < size && many.size() < room - one.size(); ++i) many += "," + one;
        return accepts(many + "]");
      })) << at;
  });
}

TEST_P(Messages, RefuseWhatIsTooLongWithoutReadingIt) {
  size_t size = GetParam().most + 1;
  void* unreadable = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(unreadable, MAP_FAILED);
  EXPECT_NE(read(std::string_view(static_cast<char*>(unreadable), size)).find("it is longer than"), std::string::npos);
  ::munmap(unreadable, size);
}

TEST_P(Messages, RefuseNonObjectsDeepNestingAndDuplicateKeys) {
  for (const char* text : {"", "{", "[]", "7", "null", "\"x\"", "{} {}"})
    EXPECT_FALSE(read(std::string_view(text)).empty()) << text;
  std::string deep = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  if (deep.size() < GetParam().most) EXPECT_NE(read(deep).find("too deeply"), std::string::npos) << read(deep);
  json message = golden();
  std::string key = json(message.begin().key()).dump(), text = message.dump();
  EXPECT_NE(read("{" + key + ":7," + text.substr(1)).find("twice"), std::string::npos);
}

// Text that is not refused for its content must have no effect on a terminal.
TEST_P(Messages, HaveNoEffectOnATerminal) {
  if (GetParam().from == From::ours) GTEST_SKIP() << "only our own processes send it";
  json message = golden();
  for_each_value(message, [&](const json::json_pointer& at, const json& value) {
    if (!value.is_string()) return;
    json changed = message;
    changed[at] =
        "\x1b]0;x\x07\xc2\x9b"
        "31m\n";
    auto again = GetParam().read_and_write(changed.dump());
    if (!again) return;
    for_each_value(json::parse(*again), [&](const json::json_pointer& where, const json& text) {
      if (text.is_string()) EXPECT_EQ(text, one_line(text.get<std::string>())) << at << " in " << where;
    });
  });
}

INSTANTIATE_TEST_SUITE_P(All, Messages, ::testing::ValuesIn(samples()), [](const auto& info) {
  std::string name = info.param.name;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(StreamPart, IsOneThing) {
  auto error = [](const char* rest) {
    auto part = decode<ToNearSide>(R"({"type":"stream","stream":7)" + std::string(rest) + "}", From::foreign);
    return part ? "" : part.error().what;
  };
  EXPECT_EQ(error(R"(,"data":"")"), "") << "a part may have no bytes";
  for (const char* rest : {"", R"(,"open":true,"closed":true)", R"(,"data":"AAAA","taken":3)"})
    EXPECT_NE(error(rest).find("exactly one of the keys open, data, taken, end, closed"), std::string::npos) << rest;
  EXPECT_NE(error(R"(,"end":false)").find("end is not true"), std::string::npos);
  for (const char* digits : {"%%", "AAA", "AA==AA=="})
    EXPECT_NE(error((",\"data\":\"" + std::string(digits) + "\"").c_str()).find("data is not Base64"),
              std::string::npos);
}

TEST(AgentAnswer, MayHaveNoBytes) {
  for (const std::optional<std::string>& answer : {std::optional<std::string>(), std::optional<std::string>("")}) {
    auto read = decode<ToGuard>(encode(ToGuard(AgentAnswer{7, answer})), From::ours);
    ASSERT_TRUE(read);
    EXPECT_EQ(std::get<AgentAnswer>(*read).answer, answer);
  }
}

// The configuration that ARCHITECTURE.md shows must be valid for a guard.
TEST(GuardConfig, AcceptsTheExampleInTheArchitecturePage) {
  auto page = read_file("ARCHITECTURE.md");
  ASSERT_TRUE(page);
  size_t begin = page->find("`config`:\n\n```json\n");
  ASSERT_NE(begin, std::string::npos);
  begin = page->find('{', begin);
  auto config =
      decode<GuardConfig>(std::string_view(*page).substr(begin, page->find("```", begin) - begin), From::ours);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->secrets.at(0).in.size(), 3u);
  EXPECT_TRUE(config->egress.allow.at(1).deny);
}

// A report that claims to be clean counts only if it has probes and all of them passed.
TEST(Report, ItsClaimToBeCleanIsChecked) {
  EXPECT_TRUE(is_clean({true, {{"a", true, ""}}}));
  Report leaky{true, {{"a", true, ""}, {"b", false, "way out"}}};
  for (const Report& report : {Report{true, {}}, Report{false, {{"a", true, ""}}}, leaky})
    EXPECT_FALSE(is_clean(report));
  EXPECT_EQ(surprises(leaky), "b: way out");
  EXPECT_EQ(surprises({}), "no probe ran");
}

TEST(Versions, AnotherVersionIsRefusedNamingBoth) {
  Hello hello;
  json later = json::parse(encode(hello));
  later["version"] = 7;
  later["new"] = "unknown to us";
  auto read = decode<Hello>(later.dump(), From::foreign);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().what, "the hello cannot be read: version is 7, and this bottle reads version 2");
  later.erase("version");
  EXPECT_EQ(decode<Hello>(later.dump(), From::foreign).error().what, "the hello cannot be read: version is missing");
}

TEST(ChangedRepositories, APathThatIsNotUtf8ComesBackUnchanged) {
  ChangedRepositories places{{{"/home/caf\xe9/app", "/r/\xff/changes.patch", ""}, {"/home/me", "", "/r/\xc3\x28"}}};
  auto text = encode_exactly(places);
  ASSERT_TRUE(text) << text.error().what;
  auto read = decode_repositories(*text);
  ASSERT_TRUE(read) << read.error().what;
  ASSERT_EQ(read->repositories.size(), 2u);
  EXPECT_EQ(read->repositories[0].directory, "/home/caf\xe9/app");
  EXPECT_EQ(read->repositories[0].patch, "/r/\xff/changes.patch");
  EXPECT_EQ(read->repositories[1].directory, "/home/me");
  EXPECT_EQ(read->repositories[1].filtered, "/r/\xc3\x28");
  EXPECT_FALSE(decode_repositories(R"({"places": [{"directory": "/a", "directory_hex": "2f6"}]})"));
}

// Earlier versions wrote an array, and left out the patch of a repository without one.
TEST(ChangedRepositories, TheFormatOfEarlierVersionsIsRead) {
  auto read = decode_repositories(R"([{"directory": "/a", "patch": "/r/changes.patch"}, {"directory": "/b"}])");
  ASSERT_TRUE(read) << read.error().what;
  ASSERT_EQ(read->repositories.size(), 2u);
  EXPECT_EQ(read->repositories[0].patch, "/r/changes.patch");
  EXPECT_EQ(read->repositories[1].directory, "/b");
  EXPECT_EQ(encode(*decode_repositories(encode(*read))), encode(*read));
  EXPECT_FALSE(decode_repositories("[7]"));
}

TEST(Jobs, AnUnknownRemoteTaskIsRefused) {
  json job = json::parse(*read_file("tests/golden/wire/job.json"));
  job["remote"]["task"] = "begin_unseen";
  EXPECT_TRUE(decode<Job>(job.dump(), From::ours));
  job["remote"]["task"] = "stop";
  EXPECT_FALSE(decode<Job>(job.dump(), From::ours));
}

TEST(Jobs, SayOnWhichSideOfASessionTheyAre) {
  Job job;
  EXPECT_EQ(job.side(), Side::local);
  job.remote.emplace();
  EXPECT_EQ(job.side(), Side::near);
  json both = json::parse(encode(job));
  both["far"] = true;
  auto read = decode<Job>(both.dump(), From::ours);
  ASSERT_FALSE(read) << "no supervisor can be the near side and the far side of one session";
  EXPECT_EQ(read.error().what, "the job cannot be read: far excludes remote");
  job.remote.reset();
  job.from_near_side = true;
  EXPECT_EQ(job.side(), Side::far);
  EXPECT_EQ(decode<Job>(encode(job), From::ours).value().side(), Side::far);
}

TEST(Hellos, AnEngineThatDoesNotAnswerHasNoFacts) {
  Hello hello;
  hello.engine = std::unexpected(Error{Code::denied, "no socket", "start it"});
  json message = json::parse(encode(hello));
  EXPECT_EQ(message["engine"], (json{{"error", {{"code", "denied"}, {"what", "no socket"}, {"todo", "start it"}}}}));
  auto read = decode<Hello>(message.dump(), From::foreign).value();
  ASSERT_FALSE(read.engine);
  EXPECT_EQ(read.engine.error().code, Code::denied);
  EXPECT_EQ(read.engine.error().what, "no socket");
  EXPECT_EQ(read.engine.error().todo, "start it");
  message["engine"]["error"]["what"] = "";
  EXPECT_FALSE(decode<Hello>(message.dump(), From::foreign).value().engine) << "an error without words is an error";
  message["engine"]["version"] = "28.2.2";
  EXPECT_FALSE(decode<Hello>(message.dump(), From::foreign)) << "it both answers and does not";
}

TEST(Hellos, AnInterfaceOfAnUnknownKindIsRefused) {
  Hello hello{.interfaces = {{"gre1", InterfaceKind::other}}};
  json message = json::parse(encode(hello));
  ASSERT_TRUE(decode<Hello>(message.dump(), From::foreign));
  message["interfaces"][0]["kind"] = "gre";
  EXPECT_FALSE(decode<Hello>(message.dump(), From::foreign)) << "nothing could say where it leads";
}

// A reader could only guess what an unknown word means. To the owner of a guard, such a line is unreadable.
TEST(Decisions, HaveNoUnknownWords) {
  json line = {{"time", "2026-01-01T00:00:00.000Z"}, {"action", "allow"}, {"kind", ""}, {"host", ""}};
  auto read_with = [&](const char* key, const char* word) {
    json changed = line;
    changed[key] = word;
    return decode<Decision>(changed.dump(), From::ours);
  };
  ASSERT_TRUE(decode<Decision>(line.dump(), From::ours));
  for (const char* word : kDecisionActions) EXPECT_EQ(word_of(read_with("action", word).value().action), word);
  for (const char* word : kDecisionKinds) EXPECT_EQ(word_of(read_with("kind", word).value().kind), word);
  EXPECT_TRUE(read_with("side", "near").value().near);
  for (const char* key : {"action", "kind", "side"}) {
    auto read = read_with(key, "odd");
    ASSERT_FALSE(read) << key;
    EXPECT_NE(read.error().what.find(key), std::string::npos) << read.error().what;
  }
}

TEST(VmRecord, ASizeThatDoesNotFitInBytesIsRefused) {
  json record = json::parse(encode(VmRecord{}));
  record["disk_gb"] = uint64_t{1} << 40;
  EXPECT_FALSE(decode<VmRecord>(record.dump(), From::ours));
}

TEST(Codec, ExactTextIsRefusedIfItCannotBeSentUnchanged) {
  Values values{{{"NAME", "caf\xe9"}}, {}};
  auto sent = encode_exactly(values);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().what, "the job's values cannot be sent: env.NAME is not UTF-8");
  values.env["NAME"] = std::string(kValue + 1, 'x');
  EXPECT_EQ(encode_exactly(values).error().what,
            "the job's values cannot be sent: env.NAME is longer than 1048576 bytes");
  values.env["NAME"] = "caf\xc3\xa9";
  EXPECT_EQ(decode<Values>(*encode_exactly(values), From::ours)->env, values.env);
}

TEST(Codec, TextForPeopleIsCutWhenItIsWritten) {
  auto read = decode<Error>(encode(Error{Code::internal, std::string(100'000, 'x') + "\xc3\xa9", ""}), From::foreign);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->what.size(), size_t{64 << 10});
  // Bytes that are not UTF-8 take three times the space.
  ASSERT_TRUE(decode<Event>(encode(Event(Step{std::string(5000, '\xff')})), From::foreign));
}

TEST(PolicyChange, IsExactlyOne) {
  for (const char* text : {R"({"id":"7"})", R"({"id":"7","deny":"a.example.org","secret":"3543c50b0cb9"})"}) {
    auto read = decode<PolicyChange>(text, From::ours);
    ASSERT_FALSE(read) << text;
    EXPECT_NE(read.error().what.find("allow or deny, secret or limit is required, and only one of them"),
              std::string::npos)
        << read.error().what;
  }
}

}  // namespace
}  // namespace bottle::wire
