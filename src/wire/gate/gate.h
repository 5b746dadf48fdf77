// Defines the two messages at the gate in front of the agent (ARCHITECTURE.md, "The gate"). The inside helper writes
// the report and reads the go message; the supervisor does the opposite. They have their own room because the helper,
// which must stay small, needs nothing else of `wire`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Says what the self-test found out about one way out of the bottle.
struct Probe {
  std::string name;
  bool ok = false;  // false if the way out is open, and also if the probe could not be made
  std::string detail;
};
void fields(Object& o, Probe& probe);
// The name of a probe that is only in the report if it failed: the container may not have as many threads as the others
// need.
inline constexpr std::string_view kThreadsProbe = "threads";

// Below this domain, the self-test asks for random names. Only the guard's name server answers them, with its own
// address, so that the self-test knows who has answered.
inline constexpr std::string_view kProbeDomain = ".probe.invalid";

// Holds the report of the self-test. It is untrusted, because it comes from a container whose image anyone may have
// made.
struct Report {
  static constexpr const char* kName = "self-test's report";
  static constexpr size_t kMost = 1 << 20;
  bool ok = false;  // what the report claims; use is_clean() to decide
  std::vector<Probe> probes;
};
void fields(Object& o, Report& report);

// A report starts and ends with these marks, because the image may print something before the helper runs. The report
// cannot contain them, because it is encoded as ASCII and JSON escapes control characters.
inline constexpr std::string_view kReportBegins = "\x1b]bottle;";
inline constexpr char kReportEnds = '\x07';

// Returns the report about these probes. It claims to be clean only if there are probes and each of them passed.
Report report_of(std::vector<Probe> probes);
// Returns whether the report has probes and each of them passed.
bool is_clean(const Report& report);
// Returns the probes that failed with their details, such as "gateway: reachable; metadata: …".
std::string surprises(const Report& report);

// Describes a file that the inside helper writes before it starts the agent.
struct GoFile {
  std::string path;  // absolute
  int mode = 0644;
  std::string text;
};
void fields(Object& o, GoFile& file);

// Opens the gate, and contains everything that the agent runs with. Eight hexadecimal digits with the length of the
// JSON precede it.
struct Go {
  static constexpr const char* kName = "go message";
  static constexpr size_t kMost = 64 << 20;
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> locale;  // variables that name a locale; each is set only if the image has it
  std::vector<std::string> argv;              // never empty in a message that was read
  std::string cwd;                            // absolute; empty for the helper's own
  std::string ca;                             // certificates in PEM; empty if the agent needs none
  std::vector<GoFile> files;
  std::optional<std::string> stdin_text;  // for a headless agent
  bool ssh_agent = false;                 // whether to serve SSH_AUTH_SOCK
};
// When reading, refuses a message without a command, or with a relative path, an impossible name of a variable, or a
// NUL byte.
void fields(Object& o, Go& go);

}  // namespace bottle::wire
