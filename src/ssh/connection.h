// Manages a connection to another machine, made by the system's ssh and shared by all commands (ControlMaster).
//
// It uses the operator's own ssh configuration, agent and known_hosts. Host keys are always verified and nothing is
// forwarded; no option in a configuration file can change that.
#pragma once

#include <chrono>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/os/process.h"
#include "base/progress.h"
#include "ssh/target.h"

namespace bottle::ssh {

// Returns the beginning of each ssh command line to a machine, with the options that protect this machine from it. The
// caller adds its own options, "--" and the host. `control_path` is the path of the control socket, or "none".
std::vector<std::string> base_argv(const Target& target, const std::string& control_path);

// Says how to open a connection. The defaults are those for a background process, which has no terminal.
struct Options {
  // The control socket is in this directory, which only the operator can use. The path of the socket must stay below 87
  // bytes. If this is empty, each connection finds the directory with control_directory(), because that of an earlier
  // connection may have gone with a login session or a reboot, and another user may have made one in its place. A
  // living connection in one of control_directories() is used, too.
  std::string control_directory = {};
  std::string purpose = "main";  // different purposes, such as keystrokes and bulk data, use different connections
  bool interactive = false;      // ssh may use the terminal to ask for a passphrase or about an unknown host key
  int connect_timeout_s = 15;
  int persist_s = 300;  // how long an idle connection waits for the next command
  bool compress = false;
  std::stop_token stop = {};  // when requested, ends open() and each capture() with Code::canceled
  // open() calls this, at most once, if it waits for another process for more than a second. The text says what it
  // waits for.
  Progress progress = {};
};

// Stands for one multiplexed connection, which an ssh process in the background (the master) holds. Copies use the
// same connection, and the destructor does not end it: later processes find it by the path of its socket. Calls from
// several threads are safe.
class Connection {
 public:
  // Uses an existing connection or makes one. Blocks for up to `connect_timeout_s`, plus the time the operator takes to
  // answer. If another process makes the same connection, waits for it first: up to `connect_timeout_s`, or as long as
  // its operator takes if this call is interactive, too. Fails with Code::unavailable (refused, no route, a
  // name that cannot be resolved), timed_out, or denied (host key, sign-in, a control directory that others can use).
  static Result<Connection> open(const Target& target, const Options& options);

  // Ends the connection that open() would use, with all commands over it, if there is one. Makes none.
  static void close_existing(const Target& target, const Options& options);

  // Does that only if the connection is dead: ssh's master process is alive, but the machine sends no answer over the
  // connection for `patience`. Other sessions may use the same connection, and a session whose own part has failed must
  // not end theirs. Blocks.
  static void close_if_dead(const Target& target, const Options& options,
                            std::chrono::milliseconds patience = std::chrono::seconds(5));

  // Returns what was given to open().
  const Target& target() const { return target_; }

  // Returns the command that runs `line` in the remote machine's sh over this connection. `env` names the variables
  // to send along.
  Command command(const std::string& line, const std::vector<std::string>& send_env = {}) const;
  // Runs `line` as command() does, and returns what it printed and its status, which may be a failure of the line
  // itself. A status of 255 is always Code::unavailable, because ssh uses it for its own failures. Blocks as long as
  // `options` allows; without a stop token in them, the one of open() ends it.
  Result<Captured> capture(const std::string& line, const CaptureOptions& options = {}) const;

  // Returns the machine's name or address according to the operator's configuration, for traffic that does not use ssh.
  // Does not connect. Fails with Code::unavailable if there is no direct way (ProxyJump, ProxyCommand).
  Result<std::string> direct_host() const;

  bool alive() const;  // asks only the local master process
  void close() const;  // ends the connection and all commands that use it

 private:
  Connection(const Target& target, std::string control_path, std::stop_token stop);
  static Result<Connection> find(const Target& target, const Options& options);
  Result<> start(const Options& options) const;
  Target target_;
  std::string control_path_;
  std::stop_token stop_;
};

// Adds these variables to the environment of every ssh that this process starts from now on. A process that drops its
// own variables needs this: a ProxyCommand, a Kerberos ticket or ${NAME} in the configuration may need any of the
// operator's. Call it before there are other threads.
void set_environment(std::map<std::string, std::string> variables);

// Quotes any text as one word for a POSIX shell.
std::string quoted(const std::string& word);

// Quotes a path as the value of an ssh option, where ssh splits words and expands %h and other tokens. Source:
// ssh_config(5), TOKENS.
std::string option_path(const std::string& path);

// Returns the directory for control sockets, $XDG_RUNTIME_DIR/bottle or /tmp/bottle-<uid>, and creates it if needed.
// Fails with Code::denied if other users can use it.
Result<std::string> control_directory(const std::string& runtime_directory);

// Returns the directories in which any process of this user may keep its control sockets, whatever its XDG_RUNTIME_DIR.
// Processes of one session can differ in it, for example if cron started the session. `usual_runtime_directory` is
// where most systems have it. Leaves out directories that do not exist or that other users can use.
std::vector<std::string> control_directories(const std::string& runtime_directory,
                                             const std::string& usual_runtime_directory);

// Explains the error output of an ssh that did not connect. `known` is the name under which ssh keeps the machine's
// host key, or empty if the configuration does not change that name. Exposed for tests.
Error explain(const Target& target, const std::string& complaint, std::string known = "");

// Returns the error for a machine that is reached through a ProxyCommand or ProxyJump. Exposed for tests.
Error explain_detour(const Target& target, const std::string& detour, const std::string& complaint);

}  // namespace bottle::ssh
