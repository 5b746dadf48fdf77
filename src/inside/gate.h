// The gate's three messages: the ask in, the report out, the go in. See ARCHITECTURE.md, "The gate".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::inside {

struct Probe {
  std::string name;
  bool ok = false;  // a probe that could not be made is not ok
  std::string detail;
};

struct GoFile {
  std::string path;  // absolute
  int mode = 0644;
  std::string text;
};

struct Go {
  std::map<std::string, std::string> env;
  std::vector<std::string> argv;  // never empty
  std::string cwd;
  std::vector<GoFile> files;
  std::string ca;  // PEM, may be empty
  bool has_stdin = false;
  std::string stdin_text;
  bool ssh_agent = false;  // serve SSH_AUTH_SOCK
};

inline constexpr size_t kGoLimit = 64u << 20;

// The one report line: ESC ]bottle; JSON BEL. Clean only if there are probes and each of them is ok.
std::string encode_report(const std::vector<Probe>& probes);
bool all_ok(const std::vector<Probe>& probes);

// The JSON of a go message. Strict: wrong types, relative paths, NUL bytes or an empty argv are Code::protocol.
Result<Go> parse_go(std::string_view json);

// Reads the one byte that asks for the report. Blocks for `idle_ms` at most.
Result<> read_ask(int fd, int idle_ms);

// Reads 8 hexadecimal digits and that many bytes from `fd`, and not one byte more. Blocks for `idle_ms` at most without
// a byte arriving. End of file: Code::closed. More than kGoLimit: Code::limit.
Result<Go> read_go(int fd, int idle_ms);

}  // namespace bottle::inside
