// Starts a mosh-server over ssh and runs mosh-client on a pty between the operator's terminal and it. The pty lets the
// launcher keep its own keys (detach) and end mosh at any time without a trace on the screen.
//
// The other machine may be hostile. It chooses a port and a key, but not where the packets go: the address is one to
// which the operator's own resolver has resolved the name in the ssh configuration.
#include "remote/link/mosh.h"

#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "base/text/line.h"
#include "base/text/parse.h"
#include "base/text/words.h"
#include "session/console/terminal.h"

namespace bottle::remote {

using session::Size, session::terminal_size;

namespace {

// How long a mosh-server waits for its client, in seconds. A server without a client must not hold a terminal
// forever.
constexpr int kServerPatience = 12 * 3600;

bool is_utf8_locale(const char* locale) {
  std::string text = lower(locale ? locale : "");
  return text.find("utf-8") != std::string::npos || text.find("utf8") != std::string::npos;
}

// Returns the addresses of `host` as text, from the operator's own resolver. The address that the far side reports only
// selects one of them, so the far side cannot send our packets elsewhere.
Result<std::vector<std::string>> addresses_of(const std::string& host) {
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0)
    return fail(Code::not_found, "the name " + host + " cannot be resolved: " + ::gai_strerror(error),
                "if only your ssh configuration defines this name, leave out --transport mosh");
  std::vector<std::string> all;
  for (addrinfo* each = list; each; each = each->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
      all.push_back(text);
  }
  ::freeaddrinfo(list);
  if (all.empty()) return fail(Code::not_found, host + " has no address");
  return all;
}

// Returns the address to which mosh-client sends: the one that the server reports if it is among ours, otherwise the
// first of the same address family.
std::string choose_address(const std::vector<std::string>& ours, const std::string& theirs) {
  if (std::ranges::find(ours, theirs) != ours.end()) return theirs;
  bool six = theirs.find(':') != std::string::npos;  // mosh-server listens in the address family of the ssh connection
  for (const auto& each : ours)
    if ((each.find(':') != std::string::npos) == six) return each;
  return ours[0];
}

class Mosh : public Typing {
 public:
  Mosh(UniqueFd master, Child client) : master_(std::move(master)), client_(std::move(client)) {}
  ~Mosh() override { end(); }

  int fd() const override { return master_.get(); }

  void resize(int rows, int cols) override {
    winsize size{};
    size.ws_row = static_cast<unsigned short>(rows);
    size.ws_col = static_cast<unsigned short>(cols);
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
    if (client_.pid() > 0) ::kill(client_.pid(), SIGWINCH);  // our pty is not its controlling terminal
  }

 private:
  // Ends mosh-client. What it writes before it exits restores the terminal's own screen.
  void end() {
    if (!client_.ended()) ::kill(client_.pid(), SIGTERM);
    auto deadline = Deadline::in(std::chrono::seconds(2));
    // Passes on what mosh-client writes until it closes its side of the pty.
    bool clean = false;
    for (char buffer[16384]; wait_readable(master_.get(), deadline);) {
      ssize_t n = ::read(master_.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        clean = true;
        break;
      }
      (void)write_all(1, {buffer, static_cast<size_t>(n)});
    }
    if (!clean)
      (void)write_all(
          1,
          "\033[?1049l\033[?25h\033[?1l\033[?1000l\033[?1006l\033[?2004l\033[0m");  // mosh-client did not do it
    client_.end(0);
  }

  UniqueFd master_;
  Child client_;
};

// Makes a pty with the size of the terminal. mosh-client sets it to raw mode.
Result<std::pair<UniqueFd, UniqueFd>> make_pty() {
  UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char name[128];
  if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0 ||
      ::ptsname_r(master.get(), name, sizeof name) != 0)
    return fail_errno("making a terminal for mosh-client");
  // O_NOCTTY keeps it from becoming the launcher's controlling terminal.
  UniqueFd slave(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave) return fail_errno("opening a terminal for mosh-client");
  Size size = terminal_size(0);
  winsize ws{};
  ws.ws_row = static_cast<unsigned short>(size.rows);
  ws.ws_col = static_cast<unsigned short>(size.cols);
  ::ioctl(slave.get(), TIOCSWINSZ, &ws);
  return std::pair(std::move(master), std::move(slave));
}

}  // namespace

Result<> check_mosh(const MoshOptions& options) {
  if (!options.ports.empty()) {
    size_t colon = options.ports.find(':');
    auto low = number_in<uint16_t>(options.ports.substr(0, colon));
    auto high = colon == std::string::npos ? low : number_in<uint16_t>(options.ports.substr(colon + 1));
    if (!low || !high || *low == 0 || *low > *high)
      return fail(Code::invalid, "'" + options.ports + "' is not a UDP port or a range of them",
                  "write --mosh-ports 60000:60010, or one port");
  }
  // `mosh-client -c` prints the number of the terminal's colors and exits, which shows that it can be run.
  auto asked = bottle::capture({.argv = {"mosh-client", "-c"}}, {.timeout_ms = 5000});
  if (!asked)
    return fail(Code::not_found, "mosh-client cannot be run on this machine: " + asked.error().what,
                "install mosh, or leave out --transport mosh");
  return {};
}

Result<std::unique_ptr<Typing>> start_mosh(FarSide& far, const std::string& session, const std::string& id,
                                           const MoshOptions& options) {
  TRY(check_mosh(options));
  const auto& connection = far.connection();
  std::string name = connection.target().to_string();
  // The name is resolved before the server is started, so that an unknown name leaves no server behind.
  auto addresses = TRY(addresses_of(TRY(connection.direct_host())));

  // -s makes the server listen on the address to which the ssh connection came, and -l sets its locale, which must be
  // UTF-8.
  std::string line =
      "command -v mosh-server >/dev/null || exit 127; echo \"MOSH IP $SSH_CONNECTION\"; "
      "MOSH_SERVER_NETWORK_TMOUT=" +
      std::to_string(kServerPatience) + " exec mosh-server new -s -c 256 -l LANG=C.UTF-8" +
      (options.ports.empty() ? "" : " -p " + options.ports) + " -- sh -c " +
      ssh::quoted(far.line_for({"attach", session, id}));
  auto told = TRY(connection.capture(line, {.timeout_ms = 30000, .limit = 65536}));
  if (told.status == 127)
    return fail(Code::not_found, "mosh-server is not installed on " + name,
                "install mosh on that machine, or leave out --transport mosh");
  std::string why = folded(told.err, 300);
  auto connect = TRY(
      during("starting mosh-server on " + name + (why.empty() ? "" : " (" + why + ")"), parse_mosh_connect(told.out)));

  if (is_forwarded(addresses, connect.server_address))
    return fail(Code::unavailable, name + " is reached through a forwarded port, which mosh cannot use",
                "leave out --transport mosh");

  auto [master, slave] = TRY(make_pty());
  Command command;
  // The key goes into the environment, because other users can read arguments.
  command.argv = {"mosh-client", choose_address(addresses, connect.server_address), std::to_string(connect.port)};
  command.env = {{"MOSH_KEY", connect.key}, {"MOSH_ESCAPE_KEY", ""}};  // the operator detaches with our own detach key
  // mosh-client refuses to run without a UTF-8 locale, and LC_ALL overrides the others.
  if (!is_utf8_locale(::getenv("LC_ALL")) &&
      (::getenv("LC_ALL") || (!is_utf8_locale(::getenv("LC_CTYPE")) && !is_utf8_locale(::getenv("LANG")))))
    command.env["LC_ALL"] = "C.UTF-8";
  Child client =
      TRY(Child::spawn(command, Child::from(slave.get()), Child::from(slave.get()), Child::from(slave.get())));
  return std::make_unique<Mosh>(std::move(master), std::move(client));
}

}  // namespace bottle::remote
