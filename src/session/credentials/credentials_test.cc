// Tests reading values and tokens, and writing what ssh in a bottle needs of a key.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/process.h"
#include "base/os/this_program.h"
#include "base/text/path_parts.h"
#include "session/credentials/askpass.h"
#include "session/credentials/known_values.h"
#include "session/credentials/ssh_keys.h"
#include "session/credentials/token.h"
#include "session/credentials/values.h"
#include "sshagent/wire.h"

namespace bottle::session {
namespace {

using Kind = plan::Source::Kind;

class Credentials : public ::testing::Test {
 protected:
  Credentials() {
    ::signal(SIGPIPE, SIG_IGN);  // ssh-keygen does not read a passphrase if the key has none
    EXPECT_TRUE(make_directories(path));
  }
  ~Credentials() override { std::filesystem::remove_all(path); }
  std::string file(const std::string& text) {
    std::string name = path + "/" + random_hex(4);
    EXPECT_TRUE(write_file_atomically(name, text));
    return name;
  }
  static Result<std::string> answer(const std::string&) { return "an answer"; }
  static void progress(const std::string&) {}
  std::string path = std::filesystem::temp_directory_path() / ("credentials_test-" + random_hex(6));
};

TEST_F(Credentials, ValuesComeFromTheSourcesInThePlan) {
  plan::Plan plan;
  plan.env = {{"LITERAL", {Kind::literal, "text"}},
              {"FROM_ENV", {Kind::env, "HOST_VAR"}},
              {"FROM_FILE", {Kind::file, file("in a file\n")}},
              {"FROM_COMMAND", {Kind::cmd, "printf 'printed\\n'"}},
              {"ASKED", {Kind::prompt, "what?"}}};
  auto values = resolve(plan, {{"HOST_VAR", "from outside"}}, answer);
  ASSERT_TRUE(values) << values.error().what;
  EXPECT_EQ(values->env, (std::map<std::string, std::string>{{"LITERAL", "text"},
                                                             {"FROM_ENV", "from outside"},
                                                             {"FROM_FILE", "in a file"},
                                                             {"FROM_COMMAND", "printed"},
                                                             {"ASKED", "an answer"}}));
}

TEST_F(Credentials, AValueThatIsMissingOrUnfitNamesItsVariable) {
  for (const auto& [source, said] :
       std::vector<std::pair<plan::Source, std::string>>{{{Kind::env, "UNSET"}, "the variable UNSET is not set"},
                                                         {{Kind::env, "EMPTY"}, "the variable EMPTY is empty"},
                                                         {{Kind::file, "/nonexistent/file"}, "/nonexistent/file"},
                                                         {{Kind::cmd, "exit 4"}, "exited with status 4"},
                                                         {{Kind::literal, "\xff"}, "not UTF-8"},
                                                         {{Kind::literal, std::string("a\0b", 3)}, "NUL byte"}}) {
    plan::Plan plan;
    plan.env = {{"NAME", source}};
    auto values = resolve(plan, {{"EMPTY", ""}}, answer);
    ASSERT_FALSE(values) << said;
    EXPECT_NE(values.error().what.find("variable NAME"), std::string::npos) << values.error().what;
    EXPECT_NE(values.error().what.find(said), std::string::npos) << values.error().what;
  }
}

// The guard would not look for it, so it would leave unnoticed.
TEST_F(Credentials, AVariableThatMustNotLeaveHasAtLeast8Bytes) {
  plan::Plan plan;
  plan.env = {{.name = "DB_PASSWORD", .source = {Kind::env, "GIVEN"}, .secret = true}};
  auto refused = resolve(plan, {{"GIVEN", "hunter2"}}, answer);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("variable DB_PASSWORD"), std::string::npos) << refused.error().what;
  EXPECT_NE(refused.error().what.find("fewer than 8 bytes"), std::string::npos) << refused.error().what;
  EXPECT_TRUE(resolve(plan, {{"GIVEN", "hunter22"}}, answer));
  plan.env[0].secret = false;
  EXPECT_TRUE(resolve(plan, {{"GIVEN", "hunter2"}}, answer));
}

TEST_F(Credentials, ShortValuesOfScanSecretsGiveAWarning) {
  auto warnings = [&](const std::string& text) { return warnings_of_short_values({file(text)}); };
  for (const std::string text :
       {"DB_PASSWORD=hunter2\nOTHER_TOKEN=winter-otter\n", R"({"DB_PASSWORD":"hunter2","other":"winter-otter"})",
        R"({"DB_PASSWORD":123456,"other":"winter-otter"})"}) {
    auto told = warnings(text);
    ASSERT_EQ(told.size(), 1u) << text;
    EXPECT_NE(told[0].find("does not look for DB_PASSWORD, "), std::string::npos) << told[0];
    EXPECT_EQ(told[0].find("hunter2"), std::string::npos) << told[0];
  }
  ASSERT_EQ(warnings("winter-otter\nhunter2\n").size(), 1u);
  EXPECT_NE(warnings("winter-otter\nhunter2\n")[0].find("line 2"), std::string::npos);
  ASSERT_EQ(warnings("PIN_KEY=4711\nTOKEN=winter-otter\n").size(), 1u);
  for (const std::string text :
       {"TOKEN=winter-otter\nNODE_ENV=test\nAUTH=true\n", "AUTH_PORT=8443\nMAX_TOKENS=4096\nTOKEN=winter-otter\n",
        R"({"auth":{"port":8443,"id":"4711"},"max_tokens":4096,"token":"winter-otter"})",
        "-----BEGIN KEY-----\nabcdefghijklmnop\nabcd\n-----END KEY-----\n"})
    EXPECT_TRUE(warnings(text).empty()) << text;
  EXPECT_TRUE(warnings_of_short_values({"/nonexistent", "/dev/null"}).empty());
}

TEST_F(Credentials, NoSecretIsShownAsANameOfAShortValue) {
  for (const std::string text :
       {"postgres://app:Xy7fK2mQ9pLw@auth-db.internal/app?sslmode=require\n",
        "Xy7fK2mQ9pLw:auth:key=short\nvalue-of-it\n", "https://hooks.example.org/Xy7fK2mQ9pLw?token=summer\n",
        "Set-Cookie: Xy7fK2mQ9pLw; Max=4711; auth=abcdef\n", "Xy7fK2mQ9pLw_KEY=abcdef\nTOKEN=winter-otter\n",
        "Xy7fK2mQ9pLw_KEY=abcdef\nwinter-otter\n",
        R"({"tokens":{"Xy7fK2mQ9pLw":"alice","://u:Xy7fK2mQ9pLw@h":"winter-otter"}})"}) {
    for (const auto& told : warnings_of_short_values({file(text)}))
      EXPECT_EQ(told.find("Xy7fK2mQ9pLw"), std::string::npos) << told;
    for (const auto& [name, value] : known_values("f", text).value())
      EXPECT_EQ(name.find("Xy7fK2mQ9pLw"), std::string::npos) << name;
  }
  EXPECT_EQ(too_short_values("//npm.example.org/:_authToken=summer\nother-value\n"),
            std::vector<std::string>{"line 1"});
  EXPECT_EQ(too_short_values("https://db.example.org/?token=summer\n"), std::vector<std::string>{"line 1"});
  EXPECT_EQ(too_short_values("postgres://auth.example.org/?sslmode=require\n"), std::vector<std::string>());
  EXPECT_EQ(too_short_values(R"({"tokens":{"Xy7fK2mQ9pLw":"alice"}})"), std::vector<std::string>{"tokens.*"});
  EXPECT_EQ(too_short_values("K8S_S3_TOKEN=summer\n"), std::vector<std::string>{"K8S_S3_TOKEN"});
}

TEST(KnownValues, AShortPasswordOfAnAddressGivesAWarning) {
  EXPECT_EQ(too_short_values("DB_URL=postgres://u:hunter2@db/x\n"), std::vector<std::string>{"DB_URL.password"});
  EXPECT_EQ(too_short_values("postgres://u:hunter2@db/x\n"), std::vector<std::string>{"line 1.password"});
  EXPECT_EQ(too_short_values("DB_URL=postgres://u:winter-otter@db/x\n"), std::vector<std::string>());
}

TEST(KnownValues, AByteOrderMarkChangesNothing) {
  for (const std::string text : {"DB_PASSWORD=hunter2\nOTHER=x\n", R"({"DB_PASSWORD":"hunter2"})"})
    EXPECT_EQ(too_short_values("\xef\xbb\xbf" + text), std::vector<std::string>{"DB_PASSWORD"});
}

// The parser would round it.
TEST(KnownValues, ALongNumberIsLookedForAsItIsWritten) {
  using Map = std::map<std::string, std::string>;
  EXPECT_EQ(known_values("f", R"({"api_secret": 123456789012345678901, "n": 123456789012345678901})").value_or(Map()),
            (Map{{"f:api_secret", "123456789012345678901"}}));
  EXPECT_EQ(known_values("f", R"({"secrets":[-99999999999999999999,"a\" 99999999999999999999"]})").value_or(Map()),
            (Map{{"f:secrets.0", "-99999999999999999999"}, {"f:secrets.1", "a\" 99999999999999999999"}}));
}

TEST(KnownValues, ANumberWhoseNameSoundsSecretIsOne) {
  using Map = std::map<std::string, std::string>;
  EXPECT_EQ(known_values("f", R"({"pin_secret": 12345678901234, "port": 12345678})").value_or(Map()),
            (Map{{"f:pin_secret", "12345678901234"}}));
  EXPECT_EQ(known_values("f", R"({"pins": {"secret": 12345678, "apiTokens": [23456789]}})").value_or(Map()),
            (Map{{"f:pins.secret", "12345678"}, {"f:pins.apiTokens.0", "23456789"}}));
}

// The guard would refuse each request with such a number, and would put a marker into what the model reads.
TEST(KnownValues, ANumberThatIsASettingOrAReferenceIsNone) {
  for (const char* text :
       {R"({"token_ttl": 86400000})", R"({"author": {"id": 12345678, "since": 20240101}})", R"({"keyId": 12345678})",
        R"({"auth": {"ports": [80808080]}})", R"({"max_tokens": 10000000})", R"({"tokenExpiresAt": 1767225600})",
        R"({"AUTH_CACHE_SIZE": 16777216})"})
    EXPECT_FALSE(known_values("f", text)) << text;
}

TEST(KnownValues, AFileHasOneOfThreeForms) {
  using Map = std::map<std::string, std::string>;
  auto values = [](std::string_view text) { return known_values("prod.env", text).value_or(Map()); };
  EXPECT_EQ(
      values("# a comment\nexport API_TOKEN=k3j9x0q2w8 # mine\r\nDB_PASSWORD='two words'\n\nNODE_ENV=development\n"
             "PORT=12345678\nSHORT_KEY=abc\nHOST=db.example.org\nRANDOM=Zt4hWm8Rk2Lx7Pq1Vn5B\n"
             "DATABASE=postgres://me:winter-otter@db.example.org/x\nDOCS=https://docs.example.org/2024\n"),
      (Map{{"prod.env:API_TOKEN", "k3j9x0q2w8"},
           {"prod.env:DB_PASSWORD", "two words"},
           {"prod.env:RANDOM", "Zt4hWm8Rk2Lx7Pq1Vn5B"},
           {"prod.env:DATABASE", "postgres://me:winter-otter@db.example.org/x"},
           {"prod.env:DATABASE.password", "winter-otter"}}));
  EXPECT_EQ(
      values(
          R"({"type":"service_account","private_key":"-----BEGIN KEY-----\nabcdefghij\nklmnopqrst\n-----END KEY-----",
                       "deep":[{"client_secret":"winter-otter"}],"n":1})"),
      (Map{{"prod.env:private_key.2", "abcdefghij"},
           {"prod.env:private_key.3", "klmnopqrst"},
           {"prod.env:deep.0.client_secret", "winter-otter"}}));
  EXPECT_EQ(values("\xef\xbb\xbf"
                   "first-value\nshort\n-----BEGIN KEY-----\nthird and fourth words\n"),
            (Map{{"prod.env:1", "first-value"}, {"prod.env:4", "third and fourth words"}}));
  EXPECT_EQ(values("dGhlIHdpbnRlciBvdHRlcg==\n"), (Map{{"prod.env:1", "dGhlIHdpbnRlciBvdHRlcg=="}})) << "padding";
  EXPECT_EQ(values("mySecretKey=dGhlIG90dGVyIQ==\nNODE_ENV=development\n"),
            (Map{{"prod.env:mySecretKey", "dGhlIG90dGVyIQ=="}}));
  EXPECT_EQ(values("[default]\naws_access_key_id = AKIAZ7QX2PLM4RTV\n\n[other]\nregion = eu-central-1\n"),
            (Map{{"prod.env:aws_access_key_id", "AKIAZ7QX2PLM4RTV"}}));
  EXPECT_EQ(values("//npm.example.org/:_authToken=winter-otter\n")["prod.env:line_1"], "winter-otter");
  EXPECT_EQ(values("DB_PASSWORD=winter-otter\nKEY=\"-----BEGIN KEY-----\nabcdefghij\n-----END KEY-----\"\n")
                ["prod.env:DB_PASSWORD"],
            "winter-otter")
      << "a value of several lines does not hide the others";
  EXPECT_EQ(values("postgres://me:winter-otter@db.example.org/x\n")["prod.env:line_1.password"], "winter-otter");
  EXPECT_EQ(known_values("a b\"c", "some-value")->begin()->first, "a_b_c:1") << "the name goes into JSON";
  for (std::string_view bad : {"", "\n\n", "short", "A=b\n", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"})
    EXPECT_FALSE(known_values("x", bad)) << bad;
}

TEST(KnownValues, NoValueIsLostIfNamesAreEqual) {
  using Map = std::map<std::string, std::string>;
  EXPECT_EQ(known_values("f", "TOKEN=winter-otter\nTOKEN=summer-badger\nTOKEN=winter-otter\n").value_or(Map()),
            (Map{{"f:TOKEN", "winter-otter"}, {"f:TOKEN-2", "summer-badger"}}));
  std::string deep(120, 'x');
  auto values = known_values("f", R"({")" + deep + R"(":{"key":"winter-otter","token":"summer-badger"}})");
  ASSERT_TRUE(values);
  EXPECT_EQ(values->size(), 2u) << "names are cut off after 100 characters";
}

TEST_F(Credentials, FilesOfScanSecretsAreRead) {
  plan::Plan plan;
  std::string first = file("TOKEN=winter-otter\n"), second = file("summer-badger\n");
  plan.scan.secrets = {first, second, first};
  auto values = resolve(plan, {}, answer);
  ASSERT_TRUE(values) << values.error().what;
  std::string name = std::string(name_in(first)) + ":TOKEN";
  EXPECT_EQ(values->known.size(), 3u);
  EXPECT_EQ(values->known[name], "winter-otter");
  EXPECT_EQ(values->known[name + "-2"], "winter-otter");
  plan.scan.secrets = {path + "/none"};
  EXPECT_NE(resolve(plan, {}, answer).error().what.find("scan.secrets"), std::string::npos);
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "value-number-" + std::to_string(i) + "\n";
  plan.scan.secrets = {file(many)};
  EXPECT_EQ(resolve(plan, {}, answer).error().code, Code::limit);
}

// At `bottle attach`, one missing value must not cost the others.
TEST_F(Credentials, WhatIsMissingCanBeLeftOut) {
  std::string key = path + "/key";
  ASSERT_EQ(std::system(("ssh-keygen -q -t ed25519 -N '' -f '" + key + "'").c_str()), 0);
  plan::Plan plan;
  plan.env = {{"GONE", {Kind::env, "UNSET"}}, {"HERE", {Kind::literal, "text"}}};
  plan.secrets = {{.name = "gone", .source = {Kind::env, "UNSET"}},
                  {.name = "bad", .source = {Kind::literal, "short"}},
                  {.name = "here", .source = {Kind::literal, "0123456789"}}};
  plan.ssh = {{.host = "a", .identity_file = path + "/none"}, {.host = "b", .identity_file = key}};
  std::vector<std::string> missing;
  auto leave_out = [&](const Error& why) -> Result<> {
    missing.push_back(why.what);
    return {};
  };
  auto values = resolve(plan, {}, answer, leave_out);
  ASSERT_TRUE(values) << values.error().what;
  EXPECT_EQ(values->env, (std::map<std::string, std::string>{{"HERE", "text"}}));
  EXPECT_EQ(values->secrets, (std::map<std::string, std::string>{{"here", "0123456789"}}));
  auto keys = find_ssh_keys(plan, {}, answer, progress, leave_out);
  ASSERT_TRUE(keys && keys->size() == 1);
  EXPECT_EQ((*keys)[0].file, key);
  ASSERT_EQ(missing.size(), 4u);
  EXPECT_TRUE(missing[0].starts_with("variable GONE: ") && missing[1].starts_with("secret gone: ") &&
              missing[2].starts_with("secret bad: "));
  EXPECT_NE(missing[3].find(path + "/none"), std::string::npos);
  plan.scan.secrets = {path + "/none"};
  EXPECT_FALSE(resolve(plan, {}, answer, leave_out)) << "without this file, its values could leave";
}

TEST_F(Credentials, EachQuestionIsAskedOnce) {
  plan::Plan plan;
  plan.env = {{"KEY", {Kind::prompt, "Which key?"}}};
  plan.secrets = {{.name = "key", .source = {Kind::prompt, "Which key?"}}};
  int asked = 0;
  auto values = resolve(
      plan, {}, [&](const std::string&) -> Result<std::string> { return "answer-number-" + std::to_string(++asked); });
  ASSERT_TRUE(values) << values.error().what;
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(values->env["KEY"], values->secrets["key"]);
}

TEST_F(Credentials, ASecretMustFitIntoAHeader) {
  auto with = [&](const std::string& value, bool optional = false) {
    plan::Plan plan;
    plan.secrets = {{.name = "token", .source = {Kind::literal, value}, .optional = optional}};
    return resolve(plan, {}, answer);
  };
  EXPECT_TRUE(with("0123456789"));
  for (const std::string& bad : {std::string("short"), std::string(20000, 'x'), std::string("two\nlines of it"),
                                 std::string("bell \x07 inside"), std::string("not utf8 \xff")})
    EXPECT_FALSE(with(bad)) << bad.substr(0, 20);
  plan::Plan plan;
  plan.secrets = {{.name = "token", .source = {Kind::env, "UNSET"}, .optional = true}};
  EXPECT_TRUE(resolve(plan, {}, answer)->secrets.empty());
}

TEST_F(Credentials, ATokenFileIsReadOnceAndRemoved) {
  std::string good = file("a-token-of-the-agent\n");
  EXPECT_EQ(*take_token_file(good), "a-token-of-the-agent");
  EXPECT_FALSE(std::filesystem::exists(good));
  EXPECT_FALSE(take_token_file(good));
  EXPECT_FALSE(take_token_file("relative"));
  EXPECT_FALSE(take_token_file(path)) << "a directory";
  std::string empty = file(""), brief = file("short\n");
  EXPECT_FALSE(take_token_file(empty));
  EXPECT_FALSE(take_token_file(brief));
  EXPECT_FALSE(std::filesystem::exists(brief)) << "it is removed even so";
  std::filesystem::create_symlink(file("a-token-elsewhere"), path + "/link");
  EXPECT_FALSE(take_token_file(path + "/link"));
}

TEST_F(Credentials, ATokenMayComeFromACommandOrAVariable) {
  EXPECT_EQ(*fetch_token("echo a-token-of-a-store"), "a-token-of-a-store");
  EXPECT_EQ(fetch_token("echo no; exit 1").error().code, Code::unavailable);
  EXPECT_EQ(fetch_token("echo short").error().code, Code::invalid);
  ::setenv(kTokenVariable, "a-token-in-a-variable", 1);
  EXPECT_EQ(take_token_variable(), "a-token-in-a-variable");
  EXPECT_EQ(take_token_variable(), "") << "it is taken once";
  plan::Plan plan;
  EXPECT_EQ(sign_in_secret(plan), nullptr);
  plan.secrets = {{.name = "other"}, {.name = "openai-key"}};
  EXPECT_EQ(sign_in_secret(plan), &plan.secrets[1]);
}

// Runs the command that a message names in backticks. Returns its exit status, or -1 if there is no such program.
int run_advice(const Error& error) {
  size_t from = error.todo.find('`'), to = error.todo.find('`', from + 1);
  if (to == std::string::npos) return -1;
  int status = std::system((error.todo.substr(from + 1, to - from - 1) + " < /dev/null").c_str());
  return WEXITSTATUS(status) == 127 ? -1 : WEXITSTATUS(status);
}

TEST_F(Credentials, OnlyThePublicHalfOfAKeyGoesIntoTheBottle) {
  std::string key = path + "/my id";
  ASSERT_EQ(std::system(("ssh-keygen -q -t ed25519 -N '' -f '" + key + "'").c_str()), 0);
  plan::Plan plan;
  plan.ssh = {{.host = "git",
               .identity_file = key,
               .hostname = "git.example.org",
               .user = "me",
               .known_host_key = *read_file(key + ".pub"),
               .port = 2222}};
  auto keys = find_ssh_keys(plan, {}, answer, progress);
  ASSERT_TRUE(keys) << keys.error().what;
  ASSERT_EQ(keys->size(), 1u);
  EXPECT_EQ((*keys)[0].blob, sshagent::blob_of(*read_file(key + ".pub")));
  auto filter = filter_keys(plan, *keys);
  ASSERT_EQ(filter.size(), 1u);
  EXPECT_EQ(filter[0].comment, "git");
  auto files = ssh_files(plan, *keys, "10.0.0.2:3128");
  std::string all;
  for (const auto& each : files) all += each.path + "\n" + each.text;
  for (const char* line : {"Host git git.example.org\n", "Port 2222\n", "User me\n", "StrictHostKeyChecking yes\n",
                           "connect 10.0.0.2:3128 %h %p\n", "/run/bottle/ssh-git.pub"})
    EXPECT_NE(all.find(line), std::string::npos) << line << "\n" << all;
  EXPECT_EQ(all.find("PRIVATE KEY"), std::string::npos);
  ::chmod(key.c_str(), 0644);
  auto refused = find_ssh_keys(plan, {}, answer, progress);
  ASSERT_FALSE(refused) << "others can read it";
  EXPECT_EQ(run_advice(refused.error()), 0) << refused.error().todo;
  EXPECT_TRUE(find_ssh_keys(plan, {}, answer, progress)) << "what the message says helps";
  ASSERT_TRUE(write_file_atomically(key, "no key\n"));
  refused = find_ssh_keys(plan, {}, answer, progress);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().todo.find("ssh-keygen"), std::string::npos);
  EXPECT_GT(run_advice(refused.error()), 0) << "it says that this is not a key";
  ::unlink(key.c_str());
  EXPECT_FALSE(find_ssh_keys(plan, {}, answer, progress));
}

// This program runs as SSH_ASKPASS, like bottle.
[[maybe_unused]] const bool kAsked = [] {
  if (std::getenv(kAskpassVariable)) ::_exit(askpass());
  return true;
}();

// The next test runs it in a copy of this program.
TEST(Askpass, DISABLED_AsksAProgramWhoseFileWasRemoved) {
  std::string copy = path_to_self();
  ASSERT_EQ(::unlink(copy.c_str()), 0);
  ASSERT_TRUE(is_file_replaced());
  Command ssh_add{.argv = {parent_of(copy) + "/ssh-add"}};
  UniqueFd self = ask_this_program(ssh_add);
  auto asked = capture(ssh_add, {.input = "passphrase\n"});
  ASSERT_TRUE(asked) << asked.error().what;
  EXPECT_EQ(asked->out, "passphrase\n") << asked->err;
}

// A near side may start its ssh-agent after an upgrade. The link to its own file then leads to ssh-add in ssh-add.
TEST_F(Credentials, APassphraseIsAskedForAfterAnUpgrade) {
  if (!can_be_far_side()) GTEST_SKIP() << "POSIX does not tell that a file was replaced";
  std::string copy = path + "/program";
  std::filesystem::copy_file(path_to_self(), copy);
  ASSERT_TRUE(write_file_atomically(path + "/ssh-add", "#!/bin/sh\nexec \"$SSH_ASKPASS\" question\n", 0755));
  auto done = capture({.argv = {copy, "--gtest_also_run_disabled_tests", "--gtest_filter=Askpass.*"}}, {});
  ASSERT_TRUE(done) << done.error().what;
  EXPECT_EQ(done->status, 0) << done->out << done->err;
  EXPECT_FALSE(std::filesystem::exists(copy)) << "the test in it has run";
}

}  // namespace
}  // namespace bottle::session
