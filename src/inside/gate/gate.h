// Handles the gate's three messages: the ask (in), the report (out) and the go (in). See ARCHITECTURE.md,
// "The gate".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::inside {

struct Probe {
  std::string name;
  bool ok = false;  // false if the probe could not be made
  std::string detail;
};

struct GoFile {
  std::string path;  // absolute
  int mode = 0644;
  std::string text;
};

struct Go {
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> locale;  // further variables, which are set only if the image has their locale
  std::vector<std::string> argv;              // never empty
  std::string cwd;
  std::vector<GoFile> files;
  std::string ca;  // PEM, may be empty
  bool has_stdin = false;
  std::string stdin_text;
  bool ssh_agent = false;  // whether to serve SSH_AUTH_SOCK
};

inline constexpr size_t kGoLimit = 64u << 20;

// Returns the one report line: ESC ]bottle; JSON BEL. The report is clean only if there are probes and all of them are
// ok.
std::string encode_report(const std::vector<Probe>& probes);
bool all_ok(const std::vector<Probe>& probes);

// Parses the JSON of a go message strictly. Fails with Code::protocol on wrong types, relative paths, NUL bytes or an
// empty argv.
Result<Go> parse_go(std::string_view json);

// Reads the one byte that asks for the report. Blocks for at most `idle_ms`.
Result<> read_ask(int fd, int idle_ms);

// Reads 8 hexadecimal digits and that many bytes from `fd`, and not one byte more. Blocks for at most `idle_ms` without
// a new byte. Fails with Code::closed at the end of the file, and with Code::limit beyond kGoLimit bytes.
Result<Go> read_go(int fd, int idle_ms);

}  // namespace bottle::inside
