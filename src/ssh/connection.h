// One authenticated connection to another machine by the system's ssh, shared by all commands (ControlMaster).
//
// The operator's own configuration, agent and known_hosts count. What we insist on: host keys are verified, nothing is
// forwarded, and no option of a configuration file weakens either.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/os/process.h"
#include "ssh/target.h"

namespace bottle::ssh {

struct Options {
  // A directory of ours (mode 0700) for the control socket. Short: the whole path must stay below 87 bytes.
  std::string control_directory;
  std::string purpose = "main";  // commands of different purposes do not share a connection: keystrokes, bulk
  bool interactive = false;      // ssh may ask for a passphrase, or about an unknown host key, on the terminal
  int connect_timeout_s = 15;
  int persist_s = 300;  // how long an idle connection waits for the next command
  bool compress = false;
};

class Connection {
 public:
  // Uses the connection that is there, or makes it. Blocking, `connect_timeout_s` and whatever the operator takes to
  // answer. Codes: not_found (no such host), unavailable (refused, no route), timed_out, denied (host key, sign-in).
  static Result<Connection> open(const Target& target, const Options& options);

  const Target& target() const { return target_; }

  // The argv that runs `line` (for the far side's sh) over this connection; `env` names variables to send along.
  Command command(const std::string& line, const std::vector<std::string>& send_env = {}) const;
  Result<Captured> capture(const std::string& line, const CaptureOptions& options = {}) const;

  // The name or address behind which the machine is, by the operator's configuration: for what does not go over ssh.
  // Starts no connection. Code::unavailable where there is no direct way (ProxyJump, ProxyCommand).
  Result<std::string> direct_host() const;

  bool alive() const;  // asks the local master only
  void close() const;  // ends the connection and what runs over it
  std::string control_path() const { return control_path_; }

 private:
  Connection(Target target, std::string control_path)
      : target_(std::move(target)), control_path_(std::move(control_path)) {}
  Target target_;
  std::string control_path_;
};

// A word for a POSIX shell, whatever is in it.
std::string quoted(const std::string& word);

// A path as an option's value: there ssh splits words, and takes %h and the like for its own. Source: ssh_config(5),
// TOKENS.
std::string option_path(const std::string& path);

// The directory for control sockets: $XDG_RUNTIME_DIR/bottle, or /tmp/bottle-<uid>. Made if need be; refused
// (Code::denied) where it is not the caller's alone.
Result<std::string> control_directory(const std::string& runtime_directory);

// What ssh's complaint means. Exposed for tests.
Error explain(const Target& target, const std::string& complaint);

}  // namespace bottle::ssh
