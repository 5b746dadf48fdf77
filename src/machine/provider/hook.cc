// Runs one program and waits at the same time for its output, its messages and its end. The messages are passed on
// while the hook runs, because a create takes minutes, and the last of them are kept, because they explain a failure
// better than an exit status. The hook leads its own process group, so a timeout also ends the tools that it runs.

#include "machine/provider/hook.h"

#include <fcntl.h>
#include <unistd.h>

#include <deque>

#include "base/os/poller.h"
#include "base/os/process.h"

namespace bottle::machine {
namespace {

constexpr size_t kMostOutput = 1 << 20;
constexpr int kLookForStopMs = 100;
constexpr int kToCleanUpMs = 5000;

// Reads a hook's stderr. Passes whole lines to `progress` and keeps the last few for the text of an error.
class Words {
 public:
  explicit Words(const Progress& progress) : progress_(progress) {}

  void feed(std::string_view bytes) {
    for (char c : bytes) {
      if (c == '\n' || c == '\r') flush();
      // A longer line is cut, because only its beginning is shown.
      else if (line_.size() < 2000) line_ += c;
    }
  }
  void flush() {
    std::string line = one_line(std::exchange(line_, {}), 400);
    if (line.find_first_not_of(' ') == std::string::npos) return;
    // A hook that writes without end must not fill the operator's terminal or log.
    if (progress_ && shown_++ < 2000) progress_(line);
    last_.push_back(line);
    if (last_.size() > 4) last_.pop_front();
  }
  // Returns the last lines for an error, including the part of the current line that has come.
  std::string last() {
    flush();
    std::string text;
    for (const auto& line : last_) text += (text.empty() ? "" : " | ") + line;
    return text;
  }

 private:
  const Progress& progress_;
  std::string line_;
  std::deque<std::string> last_;
  int shown_ = 0;
};

// Returns the last two parts of the path, such as "qemu/create", which is the name that people use.
std::string short_name(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return path;
  size_t before = path.rfind('/', slash - 1);
  return before == std::string::npos ? path : path.substr(before + 1);
}

// Turns the end of a hook into its answer or an error. The answer counts only with status 0.
Result<nlohmann::json> judge(const std::string& name, int status, const std::string& out, const std::string& words) {
  std::string said = words.empty() ? "" : ": " + words;
  switch (status) {
    case 0:
      break;
    // The numbers are those of sysexits.h: EX_TEMPFAIL, EX_CANTCREAT, EX_NOPERM and EX_CONFIG.
    case 75:
      return fail(Code::unavailable, name + ": not ready yet" + said);
    case 73:
      return fail(Code::limit, name + ": the VM cannot be created (quota or capacity)" + said);
    case 77:
      return fail(Code::denied, name + ": not permitted" + said, "check your credentials for this provider");
    case 78:
      return fail(Code::invalid, name + ": the provider is not set up" + said);
    default:
      return fail(Code::internal, name + ": exit status " + std::to_string(status) + said);
  }
  if (auto answer = parse_answer(out)) return answer;
  return fail(Code::protocol, name + " printed " + (out.empty() ? "nothing" : "'" + one_line(out, 80) + "'") +
                                  " instead of one JSON object" + said);
}

}  // namespace

// The output and the time are limited. The messages are not, but only some of them are kept.
Result<nlohmann::json> run_hook(const HookCall& call, const Progress& progress) {
  std::string name = short_name(call.program);
  Command command;
  command.argv = {call.program};
  command.env = call.environment;
  command.clean_env = true;
  Child child = TRY(Child::spawn(command,
                                 !call.input.empty()  ? Child::pipe()
                                 : call.stdin_fd >= 0 ? Child::from(call.stdin_fd)
                                                      : Child::null(),
                                 Child::pipe(), Child::pipe()));
  // The caller is told immediately, so that a record names the hook before the hook can have made much.
  if (call.started) call.started(child.pid());

  auto deadline = Deadline::in_ms(call.timeout_ms);
  std::string out;
  Words words(progress);
  std::string_view input = call.input;
  bool out_open = true, err_open = true, ended = false;
  char buffer[65536];
  auto take = [&](int fd, bool& open, auto&& use) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) use(std::string_view(buffer, static_cast<size_t>(n)));
    else if (n == 0 || errno != EINTR) open = false;
  };
  // After the hook has ended, only what is already in the pipes is read, because a process that it left running may
  // hold them forever.
  while (out_open || err_open || !ended) {
    Poller poller;
    if (out_open) poller.watch(child.out());
    if (err_open) poller.watch(child.err());
    poller.watch_writable(child.in());
    if (!ended) poller.watch_exit(child.exit_fd());
    // A stop token has no descriptor, so the wait looks at it again and again.
    int patience = call.stop.stop_possible() ? deadline.ms_left(kLookForStopMs) : deadline.ms_left();
    bool any = poller.wait(ended ? 0 : patience);
    if (!any && ended) break;
    if (!ended && call.stop.stop_requested()) {
      child.end(kToCleanUpMs);
      return fail(Code::canceled, name + " was stopped");
    }
    if (poller.readable(child.out())) take(child.out(), out_open, [&](std::string_view bytes) { out.append(bytes); });
    if (poller.readable(child.err())) take(child.err(), err_open, [&](std::string_view bytes) { words.feed(bytes); });
    if (poller.writable(child.in())) child.feed(input);
    if (out.size() > kMostOutput) {
      child.end(1000);
      return fail(Code::limit, name + " printed more than 1 MB");
    }
    if (!ended && child.ended()) ended = true;
    if (!ended && deadline.is_over()) {
      child.end(1000);
      std::string said = words.last();
      return fail(Code::timed_out, name + " did not end within " + std::to_string((call.timeout_ms + 999) / 1000) +
                                       " s" + (said.empty() ? "" : ": " + said));
    }
  }
  return judge(name, TRY(child.wait()), out, words.last());
}

}  // namespace bottle::machine
