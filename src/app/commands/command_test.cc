#include "app/commands/command_test.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "app/cli.h"
#include "app/commands/commands.h"
#include "session/ledger/ledger.h"

extern char** environ;

namespace bottle::app {

nlohmann::json Answer::json() const {
  auto value = nlohmann::json::parse(out, nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << out << err;
  return value;
}

nlohmann::json Answer::error() const {
  auto value = nlohmann::json::parse(err, nullptr, false);
  EXPECT_TRUE(value.is_object() && value.contains("error")) << err;
  return value.is_object() ? value.value("error", nlohmann::json::object()) : nlohmann::json::object();
}

Commands::Commands()
    : directory_(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), input_(::fcntl(0, F_DUPFD_CLOEXEC, 3)) {
  for (char** each = environ; *each; ++each)
    if (std::string text = *each; text.find('=') != text.npos)
      variables_.emplace_back(text.substr(0, text.find('=')), text.substr(text.find('=') + 1));
  char place[] = "/tmp/bottle-commands.XXXXXX";
  home_ = ::mkdtemp(place);
  ::clearenv();
  set("HOME", home_);
  set("PATH", "/usr/bin:/bin");
  set("DOCKER_HOST", "unix://" + home_ + "/no-engine.sock");
  std::filesystem::create_directory(home_ + "/work");
  UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ::dup2(nothing.get(), 0);
}

Commands::~Commands() {
  ::clearenv();
  for (const auto& [name, value] : variables_) ::setenv(name.c_str(), value.c_str(), 1);
  if (input_) ::dup2(input_.get(), 0);
  EXPECT_EQ(::fchdir(directory_.get()), 0);
  std::filesystem::remove_all(home_);
}

Answer Commands::bottle(const std::vector<std::string>& words) {
  // Commands that leave the directory must not change where the next one begins.
  EXPECT_EQ(::chdir((home_ + "/work").c_str()), 0);
  std::vector<std::string> all{"bottle"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (auto& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Answer answer;
  answer.status = run(static_cast<int>(all.size()), argv.data());
  std::cout.flush();
  answer.out = ::testing::internal::GetCapturedStdout();
  answer.err = ::testing::internal::GetCapturedStderr();
  return answer;
}

std::string Commands::write(const std::string& path, std::string_view text) {
  std::string whole = home_ + "/" + path;
  std::filesystem::create_directories(std::filesystem::path(whole).parent_path());
  std::ofstream(whole, std::ios::binary) << text;
  return whole;
}

std::string Commands::read(const std::string& path) const {
  std::ifstream file(home_ + "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Commands::finish(const std::string& session, const std::string& patch) {
  std::string results = ".local/state/bottle/results/" + session;
  std::filesystem::create_directories(home_ + "/" + results);
  auto places = nlohmann::json::array({{{"directory", home_ + "/work"}}});
  if (!patch.empty()) places[0]["patch"] = write(results + "/work.patch", patch);
  write(results + "/places.json", places.dump());
}

void Commands::begin(const std::string& session) {
  write(".local/state/bottle/sessions/" + session + "/ledger",
        "{\"owner\":\"" + session::Owner::self().to_label() + "\"}\n");
}

void Commands::abandon(const std::string& session) {
  session::Owner owner = session::Owner::self();
  owner.process.start_time += "1";
  write(".local/state/bottle/sessions/" + session + "/ledger", "{\"owner\":\"" + owner.to_label() + "\"}\n");
}

void expect_refused(const Answer& answer, const std::string& what, const std::string& todo) {
  EXPECT_EQ(answer.status, 125) << answer.out;
  EXPECT_EQ(answer.out, "");
  EXPECT_TRUE(answer.err.starts_with("bottle: ")) << answer.err;
  EXPECT_NE(answer.err.find(what), std::string::npos) << answer.err;
  if (!todo.empty()) EXPECT_NE(answer.err.find("\n        " + todo), std::string::npos) << answer.err;
}

// A new command comes with its tests: TEST_F(Commands, NAME_…).
TEST_F(Commands, every_command_has_a_test) {
  const auto* unit = ::testing::UnitTest::GetInstance();
  std::vector<std::string> tests;
  for (int i = 0; i < unit->total_test_suite_count(); ++i) {
    const auto* suite = unit->GetTestSuite(i);
    for (int j = 0; std::string_view(suite->name()) == "Commands" && j < suite->total_test_count(); ++j)
      tests.emplace_back(suite->GetTestInfo(j)->name());
  }
  for (const auto& command : commands())
    EXPECT_TRUE(std::ranges::any_of(
        tests, [&](const std::string& test) { return test.starts_with(std::string(command.name) + "_"); }))
        << "bottle " << command.name << " has no test";
}

}  // namespace bottle::app
