// This program is part of the build: compile_rules RULES DATABASE.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "scan/compiler/compile.h"

int main(int count, char** arguments) {
  using namespace bottle;
  if (count != 3) return 2;
  std::stringstream text;
  text << std::ifstream(arguments[1]).rdbuf();
  auto rules = scan::parse_rules(text.str());
  auto database = rules ? scan::compile(*rules) : std::unexpected(rules.error());
  if (!database) {
    (void)std::fprintf(stderr, "%s: %s\n", arguments[1], database.error().what.c_str());
    return 1;
  }
  std::ofstream out(arguments[2], std::ios::binary);
  out << *database;
  return out.flush() ? 0 : 1;
}
