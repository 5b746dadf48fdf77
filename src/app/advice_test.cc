// Tests that the program accepts every `bottle` command that its messages contain.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "app/cli.h"
#include "base/files/file.h"

namespace bottle::app {
namespace {

namespace fs = std::filesystem;

// Returns the commands in backticks in the string literals of a piece of source. "x1" stands for what the program
// inserts.
std::set<std::string> commands_in(std::string source) {
  source = std::regex_replace(source, std::regex("//[^\"\n]*\n"), "\n");
  source = std::regex_replace(source, std::regex("\"\\s*\n\\s*\""), "");
  source = std::regex_replace(source, std::regex(" \"\\s*\\+\\s*[^\"`]*?\\+\\s*\"( |`)"), " x1$1");
  std::set<std::string> found;
  const std::regex command("`(bottle [^`]*)`");
  for (std::sregex_iterator at(source.begin(), source.end(), command), end; at != end; ++at) found.insert((*at)[1]);
  return found;
}

// Returns what the parser says about the command, or an empty string if it accepts the command. Runs no command.
std::string parse_error_of(const std::string& command) {
  struct Accepted {};
  int exit = 0;
  auto parser = make_parser(exit);
  parser->parse_complete_callback([] { throw Accepted(); });  // comes before the callback of a command
  try {
    parser->parse(command, true);
  } catch (const CLI::ParseError& error) {
    return error.what();
  } catch (const Accepted&) {
  }
  return "";
}

// Returns the lines that may have a command, each with some lines that follow, because a command may end there.
std::vector<std::string> pieces_with_commands(const std::string& source) {
  constexpr int kLines = 8;
  std::vector<std::string> pieces;
  for (size_t at = 0; (at = source.find("`bottle ", at)) != source.npos;) {
    size_t begin = source.rfind('\n', at) + 1, end = at;
    for (int i = 0; i < kLines && end != source.npos; ++i) end = source.find('\n', end + 1);
    pieces.push_back(source.substr(begin, end - begin));
    at = std::min(source.find('\n', at), source.size());
  }
  return pieces;
}

TEST(Advice, NamesOnlyCommandsThatTheProgramAccepts) {
  std::set<std::string> all;
  for (const auto& file : fs::recursive_directory_iterator("src"))
    if (file.path().extension() == ".cc" && !file.path().string().ends_with("_test.cc"))
      for (const auto& piece : pieces_with_commands(read_file(file.path()).value_or(""))) all.merge(commands_in(piece));
  EXPECT_GT(all.size(), 25u) << "they were not found";
  for (const auto& command : all) {
    bool is_name = command.find('"') != std::string::npos || command.ends_with("--config");  // not a whole command
    if (is_name) continue;
    EXPECT_EQ(parse_error_of(command), "") << command;
  }
  EXPECT_NE(parse_error_of("bottle logs --no-such-option x1"), "");
  EXPECT_NE(parse_error_of("bottle no-such-command"), "");
}

}  // namespace
}  // namespace bottle::app
