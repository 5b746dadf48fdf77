// The two messages at the gate in front of the agent (ARCHITECTURE.md, "The gate"). The inside helper reads and writes
// them with separate code (inside/gate/gate.h), which does not depend on this file.
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

// The report of the self-test. It comes from a container whose image may come from anyone.
struct Report {
  static constexpr const char* kName = "self-test's report";
  static constexpr size_t kMost = 1 << 20;
  bool ok = false;  // what the report claims; use is_clean() to decide
  std::vector<Probe> probes;
};
void fields(Object& o, Report& report);

// Returns whether the report has probes and each of them passed.
bool is_clean(const Report& report);
// Returns the probes that failed with their details, such as "gateway: reachable; metadata: …".
std::string surprises(const Report& report);

struct GoFile {
  std::string path;
  int mode = 0644;
  std::string text;
};
void fields(Object& o, GoFile& file);

// The message that opens the gate. It contains everything that the agent runs with.
struct Go {
  static constexpr const char* kName = "go message";
  static constexpr size_t kMost = 64 << 20;
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> locale;  // variables that name a locale; each is set only if the image has it
  std::vector<std::string> argv;
  std::string cwd, ca;
  std::vector<GoFile> files;
  std::optional<std::string> stdin_text;  // for a headless agent
  bool ssh_agent = false;
};
void fields(Object& o, Go& go);

}  // namespace bottle::wire
