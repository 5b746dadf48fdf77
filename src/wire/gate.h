// The two messages at the gate in front of the agent (ARCHITECTURE.md, "The gate"). The helper in the container has its
// own reader and writer of them (inside/gate.h), which depends on nothing here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

struct Probe {
  std::string name;
  bool ok = false;
  std::string detail;
};
void fields(Object& o, Probe& probe);

// The self-test's report. It comes out of a container whose image may be anybody's.
struct Report {
  static constexpr const char* kName = "self-test's report";
  static constexpr size_t kMost = 1 << 20;
  bool ok = false;  // what it says of itself: is_clean() says what counts
  std::vector<Probe> probes;
};
void fields(Object& o, Report& report);

// There are probes, and each passed.
bool is_clean(const Report& report);
// "gateway: reachable; metadata: …" for the probes that failed.
std::string surprises(const Report& report);

struct GoFile {
  std::string path;
  int mode = 0644;
  std::string text;
};
void fields(Object& o, GoFile& file);

// What opens the gate: all that the agent runs with.
struct Go {
  static constexpr const char* kName = "go message";
  static constexpr size_t kMost = 64 << 20;
  std::map<std::string, std::string> env;
  std::vector<std::string> argv;
  std::string cwd, ca;
  std::vector<GoFile> files;
  std::optional<std::string> stdin_text;  // of a headless agent
  bool ssh_agent = false;
};
void fields(Object& o, Go& go);

}  // namespace bottle::wire
