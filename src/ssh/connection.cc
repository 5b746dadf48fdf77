// Runs the system's ssh and reads what it prints. ssh is used instead of a library, so that the operator's
// configuration, agents, hardware keys, jump hosts and known hosts work as they do in a shell.
//
// open() starts a master in the background, and each command is a short ssh process that uses it and costs no new
// sign-in. A command never makes a connection itself, because a second connection would need another sign-in, and
// could reach another machine behind the same name. ssh gives no machine-readable reasons, so explain() recognizes
// the common ones in its messages (with LogLevel=ERROR, they are all that it prints).
#include "ssh/connection.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>

#include "base/ids.h"
#include "base/lock/file_lock.h"
#include "base/os/deadline.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/text/line.h"
#include "base/text/shell_word.h"
#include "base/text/words.h"
#include "base/unique_fd.h"
#include "base/unix_address.h"

namespace bottle::ssh {

// Our options come before those of any configuration file, because the first value counts (ssh_config(5)).
std::vector<std::string> base_argv(const Target& target, const std::string& control_path) {
  std::vector<std::string> argv = {"ssh", "-S", control_path};
  auto option = [&](const std::string& text) { argv.insert(argv.end(), {"-o", text}); };
  if (!target.known_hosts.empty()) {
    // We made this machine ourselves, so the operator's configuration does not apply to it.
    argv.insert(argv.end(), {"-F", "none"});
    option("UserKnownHostsFile=" + option_path(target.known_hosts));
    option("GlobalKnownHostsFile=none");
    // Keeps ssh from adding keys that the machine offers to the VM's file.
    option("UpdateHostKeys=no");
  }
  if (!target.host_key_alias.empty()) {
    option("HostKeyAlias=" + target.host_key_alias);
    // The key belongs to the alias, whatever the address is.
    option("CheckHostIP=no");
  }
  if (!target.identity.empty()) {
    option("IdentitiesOnly=yes");
    option("IdentityAgent=none");
    option("IdentityFile=" + option_path(target.identity));
  }
  // The machine may be hostile once an agent has run on it, so it gets no way back to this machine, no access to its
  // ssh-agent and no Kerberos tickets. EscapeChar=none lets any bytes pass, and NoHostAuthenticationForLocalhost=no
  // keeps the check of host keys for a tunnel that ends on localhost.
  for (const char* fixed : {"ForwardAgent=no", "ForwardX11=no", "GSSAPIDelegateCredentials=no",
                            "ClearAllForwardings=yes", "PermitLocalCommand=no", "RemoteCommand=none", "RequestTTY=no",
                            "EscapeChar=none", "LogLevel=ERROR", "Tunnel=no", "NoHostAuthenticationForLocalhost=no"})
    option(fixed);
  if (!target.user.empty()) argv.insert(argv.end(), {"-l", target.user});
  if (target.port) argv.insert(argv.end(), {"-p", std::to_string(target.port)});
  return argv;
}

namespace {

// Holds the variables of set_environment().
std::map<std::string, std::string>& variables() {
  static std::map<std::string, std::string> all;
  return all;
}

// Adds the destination. "--" keeps ssh from reading it as an option.
void end_argv(std::vector<std::string>& argv, const Target& target) { argv.insert(argv.end(), {"--", target.host}); }

// Returns the last line of ssh's output, made safe for a terminal. It may not come from ssh, because a remote program
// that exits with 255 can print anything.
std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return one_line(text.substr(text.rfind('\n') + 1), 400);
}

// Returns the value of a setting in the operator's configuration for this machine, or an empty string if it is not set.
std::string setting_of(const std::string& settings, const std::string& wanted) {
  for (std::string_view line : each_line(settings))
    if (line.starts_with(wanted + " ")) return std::string(line.substr(wanted.size() + 1));
  return "";
}

// Returns the operator's configuration for this machine, one "name value" per line. Does not connect.
Result<Captured> settings_of(const Target& target, const std::string& control_path) {
  Command command;
  command.argv = base_argv(target, control_path);
  command.env = variables();
  command.argv.push_back("-G");
  end_argv(command.argv, target);
  return bottle::capture(command, {.timeout_ms = 10000});
}

// Returns the setting that makes ssh reach the machine indirectly, "ProxyCommand …" or "ProxyJump …", or an empty
// string if ssh connects directly.
std::string detour_in(const std::string& settings) {
  // `ssh -G` prints the names of settings in lower case.
  for (auto [key, shown] : {std::pair("proxyjump", "ProxyJump "), {"proxycommand", "ProxyCommand "}})
    if (std::string value = setting_of(settings, key); !value.empty() && value != "none") return shown + value;
  return "";
}

// Lets only one process, and one thread of it, start the master of a connection at a time.
class Start {
 public:
  explicit Start(std::string path) : path_(std::move(path)) {}
  Start(const Start&) = delete;
  ~Start() {
    if (lock_) ::unlink(path_.c_str());  // while it is locked, so that it is ours
  }

  // Waits for the others, as Connection::open() says.
  Result<> wait(const Target& target, const Options& options) {
    auto deadline =
        options.interactive ? Deadline::never() : Deadline::in(std::chrono::seconds(options.connect_timeout_s));
    // Connections of other processes seldom take longer, unless their operator is asked something.
    auto silence = Deadline::in(std::chrono::seconds(1));
    bool told = !options.progress;
    auto waits = [&]() -> Result<> {
      if (options.stop.stop_requested())
        return fail(Code::canceled, "connecting to " + target.to_string() + " was stopped");
      if (!told && silence.is_over()) {
        options.progress("waiting for another process that connects to " + target.to_string() +
                         "; if it asks for something, answer it there");
        told = true;
      }
      return {};
    };
    auto taken = FileLock::take(path_, {O_RDWR | O_CREAT}, deadline, waits);
    if (!taken && taken.error().code == Code::timed_out)
      return fail(Code::timed_out, "another process still connects to " + target.to_string(),
                  "if it asks for a passphrase, answer it first");
    lock_ = TRY(std::move(taken));
    return {};
  }

 private:
  std::string path_;
  std::optional<FileLock> lock_;
};

}  // namespace

void set_environment(std::map<std::string, std::string> all) { variables() = std::move(all); }

std::string quoted(const std::string& word) {
  // Within single quotes only a single quote ends the word, so it is written outside of them.
  std::string out = "'";
  for (char c : word) {
    if (c == '\'') out += "'\\''";
    else out += c;
  }
  return out + "'";
}

std::string option_path(const std::string& path) {
  std::string out = "\"";
  for (char c : path) out += c == '%' ? "%%" : std::string(1, c);
  return out + "\"";
}

static std::string shared_control_directory() { return "/tmp/bottle-" + std::to_string(::getuid()); }

// Fails unless this is a directory that only this user can use.
static Result<> check_control_directory(const std::string& path) {
  struct stat st{};
  // lstat() does not follow a link, which another user may have put into /tmp to lead to one of the operator's
  // directories.
  if (::lstat(path.c_str(), &st) != 0) return fail_errno("looking at " + path);
  if (!S_ISDIR(st.st_mode) || st.st_uid != ::getuid() || (st.st_mode & 077))
    return fail(Code::denied, path + " is not a directory that only you can use",
                "remove it, or set XDG_RUNTIME_DIR to another directory");
  return {};
}

// sun_path holds 104 bytes on macOS, and ssh adds to the path.
constexpr size_t kLongestDirectory = 60;

Result<std::string> control_directory(const std::string& runtime_directory) {
  // After `su` or in a long-lived tmux, XDG_RUNTIME_DIR can name a directory that no longer exists.
  bool usable = runtime_directory.starts_with('/') && ::access(runtime_directory.c_str(), W_OK | X_OK) == 0;
  std::string path = usable ? runtime_directory + "/bottle" : shared_control_directory();
  if (path.size() > kLongestDirectory) path = shared_control_directory();
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("creating " + path);
  TRY(check_control_directory(path));
  return path;
}

std::vector<std::string> control_directories(const std::string& runtime_directory,
                                             const std::string& usual_runtime_directory) {
  std::vector<std::string> all;
  for (const std::string& path :
       {runtime_directory + "/bottle", usual_runtime_directory + "/bottle", shared_control_directory()})
    if (path.size() <= kLongestDirectory && path.starts_with('/') && check_control_directory(path)) all.push_back(path);
  return all;
}

// Returns the name under which ssh keeps the host key of a machine with this name or address and port.
static std::string known_as(const std::string& host, const std::string& port) {
  return port.empty() || port == "0" || port == "22" ? host : "[" + host + "]:" + port;
}

// Returns the same according to the operator's configuration, which may give the machine another name or port, or an
// empty string if `settings` does not say it.
static std::string known_as_in(const std::string& settings) {
  // ssh adds no port to an alias.
  if (std::string alias = setting_of(settings, "hostkeyalias"); !alias.empty()) return alias;
  std::string host = setting_of(settings, "hostname");
  return host.empty() ? "" : known_as(host, setting_of(settings, "port"));
}

static constexpr const char* kChangedKey = "REMOTE HOST IDENTIFICATION HAS CHANGED";

Error explain(const Target& target, const std::string& complaint, std::string known) {
  std::string name = target.to_string();
  auto says = [&](const char* text) { return complaint.find(text) != std::string::npos; };
  // This comes first: ssh prints "Host key verification failed" after it, too.
  if (known.empty()) known = known_as(target.host, std::to_string(target.port));
  if (says(kChangedKey))
    return {
        Code::denied, name + " has a different host key than the known one, so bottle refuses it",
        "find out why first" + (target.known_hosts.empty()
                                    ? "; if the machine was reinstalled, run `ssh-keygen -R " + shell_word(known) + "`"
                                    : "")};
  if (says("Host key verification failed") || says("No ED25519 host key is known") || says("host key is known"))
    return {Code::denied, "the host key of " + name + " is not known",
            "connect once with `" + target.command() + "` and compare the fingerprint, or add it to known_hosts"};
  if (says("Permission denied") || says("Too many authentication failures"))
    return {Code::denied, name + " does not accept your sign-in: " + last_line(complaint),
            "make `" + target.command() + " true` work first (check key, ssh-agent and user)"};
  if (says("Could not resolve hostname") || says("Name or service not known"))
    // A laptop without a network gets the same error, so it does not mean that the machine is gone.
    return {Code::unavailable, "the name " + target.host + " cannot be resolved: " + last_line(complaint),
            "check the name, and make `" + target.command() + " true` work first"};
  if (says("timed out") || says("Timeout"))
    return {Code::timed_out, name + " does not answer: " + last_line(complaint),
            "check that the machine runs and that no firewall blocks its sshd"};
  if (says("Connection refused") || says("No route to host") || says("unreachable") || says("Connection closed") ||
      says("Connection reset"))
    return {Code::unavailable, name + " cannot be reached: " + last_line(complaint),
            "check that its sshd runs on that port"};
  return {Code::unavailable,
          "ssh to " + name + " failed: " + (complaint.empty() ? "it gave no reason" : last_line(complaint)),
          "make `" + target.command() + " true` work first"};
}

Error explain_detour(const Target& target, const std::string& detour, const std::string& complaint) {
  std::string name = target.to_string(), said;
  for (std::string_view line : each_line(complaint))
    // ssh's own messages about the closed connection are not helpful.
    if (!line.starts_with("kex_exchange_identification") && line.find("UNKNOWN port") == line.npos && line.size() > 1)
      said = line;
  return {Code::unavailable,
          name + " is reached through " + one_line(detour, 400) + ", which ended without a connection" +
              (said.empty() ? "" : ": " + last_line(said)),
          "make `" + target.command() + " true` work first"};
}

// Returns the name of the socket of a connection.
static std::string control_name(const Target& target, const Options& options) {
  // The hash covers everything by which two connections can differ, so that none is used in place of another. With
  // another home, this user may have another ssh configuration, in which the name is that of another machine.
  const char* home = std::getenv("HOME");
  std::string identity = target.to_string() + "\n" + target.known_hosts + "\n" + target.host_key_alias + "\n" +
                         target.identity + "\n" + options.purpose + "\n" + (home ? home : "");
  // A hash makes the length of the name independent of the target. ssh needs 17 more bytes while it creates the
  // socket.
  return content_hash(identity);
}

Connection::Connection(const Target& target, std::string control_path, std::stop_token stop)
    : target_(target), control_path_(std::move(control_path)), stop_(std::move(stop)) {}

// Returns the connection to use: a living one in any of the directories, or the one that this process would make.
Result<Connection> Connection::find(const Target& target, const Options& options) {
  auto in = [&](const std::string& directory) {
    return Connection(target, directory + "/" + control_name(target, options), options.stop);
  };
  if (!options.control_directory.empty()) return in(options.control_directory);
  const char* variable = std::getenv("XDG_RUNTIME_DIR");
  const std::string runtime = variable ? variable : "", usual = "/run/user/" + std::to_string(::getuid());
  Connection own = in(TRY(control_directory(runtime)));
  if (own.alive()) return own;
  for (const auto& directory : control_directories(runtime, usual))
    if (Connection other = in(directory); other.control_path_ != own.control_path_ && other.alive()) return other;
  return own;
}

Result<Connection> Connection::open(const Target& target, const Options& options) {
  Connection connection = TRY(find(target, options));
  if (connection.alive()) return connection;
  // A second master would find the socket of the first, become an ordinary client, and stay forever.
  Start only_one(connection.control_path_ + ".lock");
  TRY(only_one.wait(target, options));
  if (connection.alive()) return connection;
  ::unlink(connection.control_path_.c_str());  // a master that was killed leaves its socket behind
  TRY(connection.start(options));
  return connection;
}

void Connection::close_existing(const Target& target, const Options& options) {
  auto connection = find(target, options);
  if (connection && connection->alive()) connection->close();
}

void Connection::close_if_dead(const Target& target, const Options& options, std::chrono::milliseconds patience) {
  auto connection = find(target, options);
  if (!connection || !connection->alive()) return;
  // A machine that refuses the command, for example because too many run, has answered.
  auto answer = connection->capture("exit 0", {.timeout_ms = static_cast<int>(patience.count())});
  if (!answer && answer.error().code == Code::timed_out) connection->close();
}

// Starts the master and waits until it has signed in.
Result<> Connection::start(const Options& options) const {
  auto argv = base_argv(target_, control_path_);
  // With "ask", the operator decides about a key that is not known. A changed key is refused in any case.
  for (const std::string& text :
       {std::string("ControlMaster=yes"), "ControlPersist=" + std::to_string(options.persist_s),
        "ConnectTimeout=" + std::to_string(options.connect_timeout_s), std::string("ServerAliveInterval=10"),
        // The options of the connection decide what a command over it may send (mux protocol).
        std::string("SendEnv=BOTTLE_TOKEN"), std::string("ServerAliveCountMax=3"), std::string("TCPKeepAlive=yes"),
        std::string("StrictHostKeyChecking=") + (options.interactive ? "ask" : "yes"),
        std::string("BatchMode=") + (options.interactive ? "no" : "yes"),
        std::string("Compression=") + (options.compress ? "yes" : "no")})
    argv.insert(argv.end(), {"-o", text});
  // -f goes to the background after the sign-in, so the status of this process is the outcome of open().
  argv.insert(argv.end(), {"-N", "-f"});
  end_argv(argv, target_);
  Command command;
  command.argv = argv;
  command.env = variables();
  command.own_group = !options.interactive;  // to ask on the terminal, ssh must be in its foreground
  // An operator may take long to answer, but a machine must answer in time.
  auto done =
      TRY(bottle::capture(command, {.timeout_ms = options.interactive ? -1 : (options.connect_timeout_s + 15) * 1000,
                                    .stop = options.stop}));
  if (done.status == 0) return {};
  // Behind a ProxyCommand or a ProxyJump, ssh reports only that the connection was closed. It reports nothing if the
  // program ended before ssh wrote to it, because SIGPIPE then ends ssh.
  bool closed = done.err.empty() || done.err.find("kex_exchange_identification") != std::string::npos ||
                done.err.find("UNKNOWN port") != std::string::npos;
  // The changed key may be that of a host on the way. If the machine's own key differs, the way there worked.
  bool changed = done.err.find(kChangedKey) != std::string::npos;
  auto asked = closed || changed ? settings_of(target_, control_path_) : Result<Captured>(Captured());
  std::string settings = asked ? asked->out : "", detour = closed ? detour_in(settings) : "";
  return std::unexpected(detour.empty() ? explain(target_, done.err, known_as_in(settings))
                                        : explain_detour(target_, detour, done.err));
}

Command Connection::command(const std::string& line, const std::vector<std::string>& send_env) const {
  Command command;
  command.argv = base_argv(target_, control_path_);
  command.env = variables();
  // These options make ssh use only the verified connection. If it is gone, the command fails instead of making another
  // one.
  for (const char* fixed : {"ControlMaster=no", "BatchMode=yes", "ProxyCommand=false", "StrictHostKeyChecking=yes"})
    command.argv.insert(command.argv.end(), {"-o", fixed});
  for (const auto& name : send_env) command.argv.insert(command.argv.end(), {"-o", "SendEnv=" + name});
  end_argv(command.argv, target_);
  // The login shell can be any program that can start sh.
  command.argv.push_back("exec sh -c " + quoted(line));
  return command;
}

Result<Captured> Connection::capture(const std::string& line, const CaptureOptions& options) const {
  CaptureOptions stoppable = options;
  if (!stoppable.stop.stop_possible()) stoppable.stop = stop_;
  auto done = TRY(bottle::capture(command(line), stoppable));
  // A line that itself exits with 255 looks the same, so a hostile machine can write the message. A command neither
  // exchanges keys nor signs in, so explain() would only repeat a false reason as ours.
  if (done.status == 255)
    return fail(Code::unavailable, "the connection to " + target_.to_string() + " ended, or the command failed" +
                                       (done.err.empty() ? "" : ": " + folded(done.err, 500)));
  return done;
}

Result<std::string> Connection::direct_host() const {
  // ssh itself resolves aliases and patterns in the configuration; its answer is what a connection would use.
  auto done = TRY(settings_of(target_, control_path_));
  std::string settings = done.status == 0 ? done.out : "", host = setting_of(settings, "hostname");
  if (std::string detour = detour_in(settings); !detour.empty())
    return fail(Code::unavailable, target_.to_string() + " is reached through " + detour + ", which mosh cannot use",
                "leave out --transport mosh");
  if (host.empty())
    return fail(Code::unavailable,
                "ssh -G does not show the address of " + target_.to_string() + ": " + last_line(done.err));
  return host;
}

bool Connection::alive() const {
  // Does what `ssh -O check` does, without a process: a master greets each client with a packet of type MUX_MSG_HELLO
  // (OpenSSH, PROTOCOL.mux, section 1).
  auto address = unix_address(control_path_);
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
  if (!address || !fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&*address), sizeof *address) != 0)
    return false;
  unsigned char greeting[8];
  for (size_t have = 0; have < sizeof greeting;) {
    // A master that was stopped accepts a connection and never answers.
    if (!wait_readable(fd.get(), 5000)) return false;
    ssize_t n = ::read(fd.get(), greeting + have, sizeof greeting - have);
    if (n <= 0) return false;
    have += static_cast<size_t>(n);
  }
  return greeting[4] == 0 && greeting[5] == 0 && greeting[6] == 0 && greeting[7] == 1;
}

void Connection::close() const {
  Command command;
  // The configuration is not read, because only the socket decides which master is meant.
  command.argv = {"ssh", "-F", "none", "-S", control_path_, "-O", "exit", "--", target_.host};
  (void)bottle::capture(command, {.timeout_ms = 5000});
}

}  // namespace bottle::ssh
