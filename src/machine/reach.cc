// The first host key is in the user-data, which every program on the VM can read. So it is used only for the first
// connection: strict checking makes sure that the answer comes from a machine with this key, and over that connection
// the VM is told to make a new key, which never leaves the VM. Both keys are in known_hosts while the VM changes
// over, because the connection may break at any point, and the next attempt must accept whichever key is in use. A
// new VM is also slow and in flux: sshd starts before its keys are installed, and reloads. A wrong key or a refusal
// therefore counts only if it lasts.

#include "machine/reach.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "base/os/process.h"
#include "machine/vm.h"
#include "ssh/connection.h"
#include "wire/machine/first_contact.h"

namespace bottle::machine {
namespace {

using Clock = std::chrono::steady_clock;

// Reads one message from the VM. Skips lines that are not JSON, such as a banner. Fails with Code::protocol if the VM
// sent another message.
template <class Message>
Result<Message> read_answer(Child& child, Deadline deadline, const std::stop_token& stop) {
  std::string line;
  // The limit counts all lines together, so that a VM that prints without end does not keep this loop busy.
  for (size_t total = 0; total < Message::kMost;) {
    // A stop token has no descriptor, so the wait looks at it again and again.
    bool ready = !deadline.is_over() && wait_readable(child.out(), deadline.ms_left(100));
    if (stop.stop_requested()) return fail(Code::canceled, "the connection to the VM was stopped");
    if (!ready && !deadline.is_over()) continue;
    if (!ready) return fail(Code::timed_out, "the VM did not answer");
    char c = 0;
    // This reads one byte at a time, because what follows the line is for the next call.
    ssize_t n = ::read(child.out(), &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Code::closed, "the VM closed the connection");
    ++total;
    if (c != '\n') {
      line += c;
      continue;
    }
    if (line.starts_with('{')) {
      auto answer = wire::decode<Message>(line, wire::From::foreign);
      // A line that begins like JSON may still be a banner.
      if (answer || answer.error().code != Code::invalid) return answer;
    }
    line.clear();
  }
  return fail(Code::limit, "the VM sent other text instead of an answer");
}

// Returns whether a text is only "ssh-ed25519 AAAA…". It becomes a line of known_hosts.
bool is_public_key(const std::string& text) {
  constexpr std::string_view kKind = "ssh-ed25519 ";
  return text.starts_with(kKind) && text.size() < 200 && text.size() > 60 &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", kKind.size()) ==
             std::string::npos;
}

// ssh has no special exit status for this, so its messages decide. They are not translated.
bool other_key(const std::string& words) {
  return words.find("Host key verification failed") != std::string::npos ||
         words.find("IDENTIFICATION HAS CHANGED") != std::string::npos;
}

// Returns what ssh has written to its stderr. It has ended or is ending, so a short wait is enough.
std::string words_of(Child& child) {
  std::string words;
  char buffer[8192];
  while (wait_readable(child.err(), 200) && words.size() < 65536) {
    ssize_t n = ::read(child.err(), buffer, sizeof buffer);
    if (n <= 0) break;
    words.append(buffer, static_cast<size_t>(n));
  }
  return words;
}

// Starts a command on the VM, with pipes to it.
Result<Child> start(const ssh::Target& target, const std::string& line) {
  Command command;
  command.argv = ssh_argv(target, line);
  return Child::spawn(command, Child::pipe(), Child::pipe(), Child::pipe());
}

}  // namespace

// Each turn makes a connection and asks for a key. The loop ends with success, with an answer that cannot be right,
// or with a wrong key or a refusal that has lasted too long. After any other failure, the loop tries again until the
// time is up.
Result<double> rotate_host_key(const ssh::Target& target, int timeout_ms, const Progress& progress,
                               const std::stop_token& stop) {
  auto begun = Clock::now();
  auto deadline = Deadline::in_ms(timeout_ms);
  std::string why = "nothing answered";
  Code code = Code::unavailable;
  // The times since which a host with another key has answered, and since which the VM has refused our key.
  Clock::time_point stranger{}, refused{};
  while (!deadline.is_over()) {
    auto child = TRY(start(target, "sudo -n /usr/local/sbin/bottle-vm rotate"));
    auto offer =
        read_answer<wire::NewHostKey>(child, std::min(deadline, Deadline::in(std::chrono::seconds(120))), stop);
    // The VM did answer, but with another message. Another attempt would not change that. A stop ends everything.
    if (!offer && (offer.error().code == Code::protocol || offer.error().code == Code::canceled))
      return std::unexpected(std::move(offer.error()));
    if (!offer) {
      child.end(500);
      std::string words = words_of(child);
      why = words.empty() ? offer.error().what : folded(words, 300);
      // An image may start its sshd before cloud-init has installed our keys. The check is strict nevertheless, and
      // nothing is sent to that sshd.
      auto now = Clock::now();
      bool wrong = other_key(words), unknown = words.find("Permission denied") != std::string::npos;
      if (!wrong) stranger = {};
      else if (stranger == Clock::time_point{}) stranger = now;
      if (!unknown) refused = {};
      else if (refused == Clock::time_point{}) refused = now;
      code = wrong || unknown ? Code::denied : Code::unavailable;
      if (wrong && now - stranger > std::chrono::seconds(60))
        return fail(Code::denied, target.to_string() + " has a host key that is not the VM's: " + why,
                    "bottle does not use it, because another machine may be answering");
      if (unknown && now - refused > std::chrono::seconds(120))
        return fail(Code::denied, target.to_string() + " does not accept bottle's key: " + why);
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      continue;
    }
    double ssh = std::chrono::duration<double>(Clock::now() - begun).count();
    // The line goes into known_hosts, so it must not have a line end or other fields in it.
    if (!is_public_key(offer->key))
      return fail(Code::protocol, "the VM sent '" + offer->key + "' instead of a host key");
    std::string fresh = target.host_key_alias + " " + offer->key + "\n";
    // Both keys are accepted until the VM says that it uses the new one, so that a connection that breaks before that
    // can be made again.
    auto old = TRY(read_file(target.known_hosts, 65536));
    if (old.find(fresh) == std::string::npos) TRY(write_file_atomically(target.known_hosts, fresh + old));
    // The VM uses the new key only after this, so the old one is still valid.
    if (!write_all(child.in(), "go\n")) continue;
    auto done = read_answer<wire::HostKeyInUse>(child, Deadline::in(std::chrono::seconds(60)), stop);
    // Whether the VM has changed over is unknown. Both keys are accepted, and the next turn asks again.
    if (!done) continue;
    // From here on, the key in the user-data opens nothing.
    TRY(write_file_atomically(target.known_hosts, fresh));
    if (progress) progress("replaced the VM's host key");
    return ssh;
  }
  return fail(code,
              target.to_string() + ": sshd did not answer within " + std::to_string(timeout_ms / 1000) + " s: " + why);
}

// The VM itself waits for its engine, so that one connection is enough, and the answer comes as soon as the engine
// serves.
Result<std::string> ask_engine(const ssh::Target& target, int timeout_ms, const std::stop_token& stop) {
  auto deadline = Deadline::in_ms(timeout_ms), answer_deadline = Deadline::in_ms(timeout_ms + 30000);
  for (int tries = 0;; ++tries) {
    int seconds = std::max(deadline.ms_left() / 1000, 1);
    auto child = TRY(start(target, "/usr/local/sbin/bottle-vm wait-engine " + std::to_string(seconds)));
    auto answer = read_answer<wire::EngineState>(child, answer_deadline, stop);
    if (answer) return one_line(answer->engine, 64);
    if (answer.error().code == Code::protocol || answer.error().code == Code::canceled)
      return std::unexpected(std::move(answer.error()));
    child.end(500);
    std::string words = folded(words_of(child), 300);
    // sshd reloads after the change of keys, so a single refused connection is normal.
    if (tries > 10 || deadline.is_over() || other_key(words))
      return fail(other_key(words) ? Code::denied : Code::closed,
                  target.to_string() + ": " + (words.empty() ? answer.error().what : words));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
}

std::vector<std::string> ssh_argv(const ssh::Target& target, const std::string& remote_command) {
  std::vector<std::string> argv = ssh::base_argv(target, "none");
  argv.emplace_back("-T");
  for (const char* option : {"BatchMode=yes", "StrictHostKeyChecking=yes", "HostKeyAlgorithms=ssh-ed25519",
                             "VerifyHostKeyDNS=no", "PreferredAuthentications=publickey", "ControlMaster=no",
                             "ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=8"})
    argv.insert(argv.end(), {"-o", option});
  argv.insert(argv.end(), {"--", target.host, remote_command});
  return argv;
}

}  // namespace bottle::machine
