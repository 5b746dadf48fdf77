// The ssh-agent must end with the supervisor, even if the supervisor is killed. A shell between the two therefore
// waits for the end of a pipe that only this process holds open, and then ends the ssh-agent. The kernel closes the
// pipe, however this process ends.
//
// The sweep needs a second way, because the shell may have been killed as well. The ledger has only the socket's
// path, so end_agent() finds out from the kernel which process listens there, and checks that the shell started it
// before sending a signal.
#include "session/credentials/session_agent.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/files/file.h"
#include "base/os/deadline.h"
#include "base/os/descriptors.h"
#include "base/os/process_handle.h"
#include "base/unix_address.h"
#include "session/credentials/agent_client.h"
#include "session/credentials/askpass.h"

namespace bottle::session {
namespace {

using wire::SshKey;
using namespace std::chrono_literals;

constexpr int kPatience = 20000;

// The shell waits for the end of its stdin, whose other end this process holds. When this process ends, for any reason,
// the shell ends the ssh-agent.
constexpr const char* kShell =
    "umask 077; ssh-agent -D -a \"$0\" >/dev/null 2>&1 & cat >/dev/null; kill $! 2>/dev/null; wait $!";

bool answers(const std::string& socket) { return list_agent_keys(socket).has_value(); }

// Adds one key to the session's ssh-agent. The passphrase goes through the pipe to ssh-add, and is never in an
// argument or a variable.
Result<> add_key(const std::string& socket, const std::string& hosts_file, const plan::Plan& plan, const SshKey& key) {
  // The key is bound to its hosts (OpenSSH 8.9), so the ssh-agent would refuse any other request even if it got past
  // bottle's filter.
  std::vector<std::string> argv = {"ssh-add", "-q", "-H", hosts_file};
  for (const auto& host : plan.ssh)
    if (host.identity_file == key.file)
      argv.insert(argv.end(), {"-h", (host.user.empty() ? "" : host.user + "@") + host.host});
  argv.push_back(key.file);
  Command command{.argv = argv, .env = {{"SSH_AUTH_SOCK", socket}}};
  UniqueFd self = ask_this_program(command);
  auto done = TRY(capture(command, {.input = key.passphrase + "\n", .timeout_ms = kPatience}));
  if (done.status != 0)
    return fail(
        Code::unavailable,
        "ssh-add " + key.file + " exited with status " + std::to_string(done.status) + ": " + done.err.substr(0, 300),
        "binding a key to its host needs OpenSSH 8.9 or later");
  return {};
}

// Returns the process that listens behind a connection to `path`, if it is the ssh-agent that kShell starts. Returns an
// empty handle if that process has ended. bottle must not end any other process. Any process can set its command line,
// so it must also run as this user.
Result<ProcessHandle> listening_agent(int connection, const std::string& path) {
  auto peer = TRY(during(path, peer_of(connection)));
  // The kernel reports pid 0 for a process outside our pid namespace.
  if (peer.pid <= 1 || peer.pid == ::getpid())
    return fail(Code::internal, "cannot tell which process listens on " + path);
  auto process = ProcessHandle::open(peer.pid);
  if (!process && process.error().code == Code::not_found) return ProcessHandle();
  if (!process) return process;
  // The command line is read after the handle is open, so that both belong to the same process.
  std::string argv = command_line(peer.pid);
  // The process ended after the handle was opened.
  if (argv.empty()) return ProcessHandle();
  std::string expected = std::string("ssh-agent") + '\0' + "-D" + '\0' + "-a" + '\0' + path + '\0';
  if (peer.uid != ::getuid() || argv != expected)
    return fail(Code::conflict, "pid " + std::to_string(peer.pid) + ", which listens on " + path +
                                    ", is not the session's ssh-agent and was left alone");
  return process;
}

}  // namespace

Result<std::unique_ptr<SessionAgent>> SessionAgent::start(const std::string& directory, const plan::Plan& plan,
                                                          const std::vector<SshKey>& keys) {
  std::string socket = socket_in(directory), hosts_file = directory + "/known_hosts";
  // A path that is too long for a Unix socket is refused before anything is written or started.
  TRY(unix_address(socket));
  TRY(write_file_atomically(hosts_file, known_hosts(plan)));
  Command command{.argv = {"/bin/sh", "-c", kShell, socket}};
  // Only this process has the other end of the pipe, because descriptors are not inherited (O_CLOEXEC).
  Child shell = TRY(Child::spawn(command, Child::pipe(), Child::null(), Child::null()));
  std::unique_ptr<SessionAgent> agent(new SessionAgent(std::move(shell)));
  auto deadline = Deadline::in(10s);
  // The first answer of the ssh-agent shows that it listens.
  for (auto pause = 2ms; !answers(socket); pause = std::min<std::chrono::milliseconds>(2 * pause, 50ms)) {
    if (deadline.is_over())
      return fail(Code::timed_out, "ssh-agent does not answer on " + socket, "check that openssh-client is installed");
    std::this_thread::sleep_for(pause);
  }
  for (const auto& key : keys)
    // The other keys are in the operator's own ssh-agent.
    if (key.holder == SshKey::Holder::session) TRY(add_key(socket, hosts_file, plan, key));
  return agent;
}

SessionAgent::~SessionAgent() {
  shell_.close_in();  // makes the shell end the ssh-agent and wait for it
  (void)shell_.wait(5000);
}

Result<> end_agent(const std::string& path) {
  sockaddr_un address = TRY(unix_address(path));
  // The first three seconds are for SIGTERM, the remaining two for SIGKILL.
  auto kill_deadline = Deadline::in(3s), deadline = Deadline::in(5s);
  for (int signal = SIGTERM;; std::this_thread::sleep_for(20ms)) {
    UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
    if (!fd) return fail_errno("making a socket");
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) break;  // no process listens
    auto agent = listening_agent(fd.get(), path);
    // If the system cannot tell which process listens, the shell that started the ssh-agent ends it (kShell).
    if (!agent && agent.error().code != Code::unavailable) return std::unexpected(std::move(agent.error()));
    if (deadline.is_over()) return fail(Code::timed_out, "the ssh-agent that listens on " + path + " does not exit");
    if (kill_deadline.is_over()) signal = SIGKILL;
    if (agent && *agent) agent->signal(signal);  // otherwise, it has ended in the meantime
  }
  // An ssh-agent that was killed leaves its socket.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("removing " + path);
  return {};
}

}  // namespace bottle::session
