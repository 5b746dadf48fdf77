// The order of events around the fork matters in this file. Signals are blocked before it, so that none is lost
// between the fork and the loop that passes them on. The helper's threads start only after it, because a child of a
// process with threads may call almost nothing before it executes another program, and the agent's environment is
// built in the child. After that, PID 1 does the work of init: it reaps every orphan, and it waits for signals and
// children in one place, with sigwaitinfo(2), so that no handler runs.

#include "inside/agent.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/text/path_parts.h"
#include "base/unique_fd.h"
#include "inside/locale.h"
#include "inside/trust/java_trust.h"
#include "inside/trust/nss_trust.h"

namespace bottle::inside {
namespace {

// This is the search path that engines use for an image that sets none.
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Returns the roots that the image trusts, in PEM.
std::string roots_of_image() {
  // These are the places of Debian and Alpine, of Fedora, of SUSE, and OpenSSL's default.
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"})
    if (auto text = read_file(path); text && !text->empty()) return *text;
  return "";
}

// Replaces a file, or the link in its place. Does not flush it, because the agent waits for these files, and the
// container does not survive a crash of the machine anyway.
Result<> put(const std::string& path, std::string_view bytes, int mode) {
  TRY(make_directories(parent_of(path), 0755));
  std::string temporary = path + ".new";
  // A program of the image may have left something under this name, even a link, which must not be written to.
  ::unlink(temporary.c_str());
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating " + temporary);
  auto written = write_all(fd.get(), bytes);
  // The umask does not apply to fchmod(2).
  if (written && ::fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) written = fail_errno("setting its mode");
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = fail_errno("renaming it");
  if (!written) ::unlink(temporary.c_str());
  return during("writing " + path, std::move(written));
}

// Programs that use NSS, such as Chromium, trust what this user's database says. An image that has one keeps it. If the
// home directory cannot be written to, there is no database.
void write_nss_database(const Go& go) {
  auto home = go.env.find("HOME");
  if (home == go.env.end() || !home->second.starts_with('/')) return;
  std::string database = home->second + "/.pki/nssdb/cert9.db";
  // A failure only means that such programs do not accept inspected connections.
  if (::access(database.c_str(), F_OK) != 0) (void)put(database, nss_trust_database(go.ca), 0600);
}

// Returns the agent's whole environment, as "NAME=value".
std::vector<std::string> environment(const Go& go) {
  auto env = go.env;
  // The agent gets the variables of the go message and these defaults, but not the helper's own variables.
  env.try_emplace("PATH", kDefaultPath);
  env.try_emplace("HOME", "/home/agent");
  env.try_emplace("TERM", "xterm-256color");
  // Sets a locale only if the image has it. Without it, programs fall back to ASCII, and many complain.
  for (const auto& [name, value] : go.locale)
    if (has_locale("/usr/lib/locale", value)) env[name] = value;
  std::vector<std::string> out;
  for (const auto& [name, value] : env) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

// Returns the paths to try for the agent's program. Searches the agent's PATH instead of ours, like execvp.
std::vector<std::string> candidates(const Go& go) {
  const auto& name = go.argv[0];
  // As in a shell, a name with a slash is a path, relative to the agent's working directory.
  if (name.find('/') != std::string::npos) return {name};
  auto it = go.env.find("PATH");
  std::string path = it == go.env.end() ? kDefaultPath : it->second;
  std::vector<std::string> out;
  for (size_t from = 0; from <= path.size();) {
    size_t colon = std::min(path.find(':', from), path.size());
    // execvp would treat an empty part as the current directory, which is the workspace. No file there should run by
    // accident.
    if (colon > from) out.push_back(path.substr(from, colon - from) + "/" + name);
    from = colon + 1;
  }
  return out;
}

// Returns an unlinked file instead of a pipe, so that the agent can read a prompt of any size at its own pace.
Result<UniqueFd> input_of(const Go& go) {
  if (!go.stdin_text) {
    UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null) return fail_errno("opening /dev/null");
    return null;
  }
  UniqueFd fd(::memfd_create("stdin", MFD_CLOEXEC));
  if (!fd) return fail_errno("creating a file for the agent's input");
  TRY(write_all(fd.get(), *go.stdin_text));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail_errno("rewinding the agent's input");
  return fd;
}

// Turns the forked child into the agent. It never returns to the helper's code: errors end in _exit(2), which runs no
// handlers of the parent.
[[noreturn]] void become(const Go& go, bool terminal, int input, const sigset_t& mask) {
  if (terminal) {
    // The agent leads its own process group, which the helper can signal as a whole.
    ::setpgid(0, 0);
    // The helper ignores SIGTTOU, and so does this child until the line that restores it below. A background process
    // that calls tcsetpgrp(3) would be stopped otherwise.
    ::tcsetpgrp(0, ::getpid());
  } else {
    // A new session is a new group, too, and has no controlling terminal.
    ::setsid();
  }
  if (input >= 0) ::dup2(input, 0);
  // Ignored signals stay ignored in the new program, which would then not notice that a pipe is closed.
  for (int sig : {SIGHUP, SIGPIPE, SIGTTOU, SIGTTIN}) ::signal(sig, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  // "\r
  // " ends a line even on a terminal in raw mode.
  auto complain = [&](const std::string& what, int status) {
    (void)!::write(2, what.data(), what.size());
    ::_exit(status);
  };
  if (!go.cwd.empty() && ::chdir(go.cwd.c_str()) != 0)
    complain("bottle: cannot enter " + go.cwd + ": " + std::strerror(errno) + "\r\n", 126);
  auto argv = go.argv;
  auto env = environment(go);
  auto argv_pointers = pointers(argv), env_pointers = pointers(env);
  int error = ENOENT;
  for (const auto& path : candidates(go)) {
    ::execve(path.c_str(), argv_pointers.data(), env_pointers.data());
    // Like a shell, continues after a program that cannot be executed, and reports that error if there is no other
    // program.
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
  }
  complain("bottle: cannot run " + go.argv[0] + ": " + std::strerror(error) + "\r\n", error == ENOENT ? 127 : 126);
  ::_exit(126);
}

int status_of(int raw) { return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw); }

}  // namespace

// The guard's authority goes into every store that a program may read, because programs do not share one: OpenSSL and
// most tools read PEM, Java reads its own format, and Chromium reads an NSS database.
Result<> write_files(const Go& go, const std::string& directory, const std::string& system_store) {
  for (const auto& file : go.files) TRY(put(file.path, file.text, file.mode));
  if (go.ca.empty()) return {};
  TRY(put(directory + "/ca.pem", go.ca, 0644));
  // An image without any roots still gets our CA, and traffic through the guard needs no other.
  std::string bundle = roots_of_image();
  // Two certificates on one line would make the whole file unreadable.
  if (!bundle.empty() && !bundle.ends_with('\n')) bundle += '\n';
  bundle += go.ca;
  TRY(put(directory + "/ca-bundle.pem", bundle, 0644));
  TRY(put(directory + "/java-trust.jks", java_trust_store(bundle), 0644));
  // Writes the system's own store, for programs that read no variable. The supervisor has made this user the owner of
  // its directory. If that was impossible, programs must rely on the variables.
  if (!system_store.empty() && ::access(system_store.c_str(), W_OK) == 0)
    (void)put(system_store + "/ca-certificates.crt", bundle, 0644);
  write_nss_database(go);
  return {};
}

// Whatever happens here, the helper must not end, because the end of PID 1 is the end of the container.
Result<int> run_agent(const Go& go, bool terminal, const std::function<Result<>()>& prepare) {
  UniqueFd input;
  if (!terminal || go.stdin_text) input = TRY(input_of(go));
  // The terminal stays with our session, and the agent becomes its foreground job, as in a shell, because gVisor cannot
  // hand a terminal over to another session.
  if (terminal) ::signal(SIGTTOU, SIG_IGN);
  sigset_t watched, before;
  ::sigemptyset(&watched);
  for (int sig : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH}) ::sigaddset(&watched, sig);
  ::sigprocmask(SIG_BLOCK, &watched, &before);
  auto begin = TRY(make_pipe());
  // This uses fork(2) and not posix_spawn(3), because the child has to become the foreground group of the terminal.
  pid_t agent = ::fork();
  if (agent < 0 && errno == EAGAIN)
    return fail(Code::limit, "the container may have no process for the agent; raise resources.pids");
  if (agent < 0) return fail_errno("forking the agent");
  if (agent == 0) {
    begin.write.reset();
    if (char byte; ::read(begin.read.get(), &byte, 1) != 1) ::_exit(126);
    become(go, terminal, input.get(), before);
  }
  input.reset();
  begin.read.reset();
  auto prepared = prepare ? prepare() : Result<>{};
  if (prepared) prepared = write_all(begin.write.get(), "x");
  begin.write.reset();
  if (!prepared) {
    ::waitpid(agent, nullptr, 0);
    return std::unexpected(std::move(prepared.error()));
  }
  if (!terminal) {
    // Closes the helper's own stdin, which is no longer read: the agent has a separate file instead.
    UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (null) ::dup2(null.get(), 0);
  }
  for (;;) {
    int raw = 0;
    // The loop takes all children that have ended, because several of them can cause a single SIGCHLD.
    for (pid_t pid; (pid = ::waitpid(-1, &raw, WNOHANG)) > 0;)
      if (pid == agent) {
        // No process that the agent started may continue while its result is collected. Outside a container, as in
        // tests, -1 would mean every process of the user.
        if (::getpid() == 1) ::kill(-1, SIGKILL);
        return status_of(raw);
      }
    // Signals are blocked, so one that arrived after the waitpid(2) above is pending, and this returns immediately.
    int sig = ::sigwaitinfo(&watched, nullptr);
    if (sig <= 0 || sig == SIGCHLD) continue;
    // Signal the agent's process group, or the agent alone while it has not created the group yet.
    if (::kill(-agent, sig) != 0) ::kill(agent, sig);
  }
}

}  // namespace bottle::inside
