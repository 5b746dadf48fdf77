#include "ssh/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <sstream>
#include <thread>

#include "base/defer.h"
#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/unix_address.h"
#include "ssh/stand_in_test.h"

namespace bottle::ssh {
namespace {

namespace fs = std::filesystem;

// Its ssh writes the path of the socket into `starts`, and is connected once `go` exists.
class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() {
    ssh_.does("echo \"$2\" >>" + root_ + "/starts; until [ -e " + root_ + "/go ]; do sleep 0.01; done", "exit 0");
    fs::create_directory(root_ + "/control");
  }
  ~ConnectionTest() override {
    go();
    if (first_.valid()) first_.wait();
  }

  Result<Connection> open(int timeout_s = 60, std::stop_token stop = {}) {
    return Connection::open(
        target_, {.control_directory = root_ + "/control", .connect_timeout_s = timeout_s, .stop = std::move(stop)});
  }
  // Opens the connection in another thread, until its ssh waits for `go`.
  void begin() {
    first_ = std::async(std::launch::async, [this] { return open().has_value(); });
    ASSERT_TRUE(until([this] { return !starts().empty(); }));
  }
  void go() { EXPECT_TRUE(write_file_atomically(root_ + "/go", "")); }
  std::string starts() const { return read_file(root_ + "/starts").value_or(""); }
  static bool until(const std::function<bool()>& done) {
    for (int i = 0; i < 6000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return done();
  }

  StandIn ssh_;
  std::string root_ = ssh_.root();
  Target target_{.host = "machine"};
  std::future<bool> first_;
};

// The machine may be hostile, and an operator may have configured all of this for every machine.
TEST_F(ConnectionTest, ForwardsNothingToTheMachine) {
  ASSERT_TRUE(write_file_atomically(root_ + "/config",
                                    "Host *\n  ForwardAgent yes\n  ForwardX11 yes\n  GSSAPIDelegateCredentials yes\n"
                                    "  Tunnel yes\n  PermitLocalCommand yes\n  RemoteForward 2222 localhost:22\n"));
  // The real ssh says what it would do.
  ssh_.does("PATH=${PATH#*:} ssh -F " + root_ + "/config -G \"$@\" >" + root_ + "/would", "exit 0");
  ASSERT_TRUE(open());
  std::string would = read_file(root_ + "/would").value();
  for (const char* line : {"forwardagent no", "forwardx11 no", "gssapidelegatecredentials no", "permitlocalcommand no",
                           "clearallforwardings yes", "tunnel false"})
    EXPECT_TRUE(would.contains("\n" + std::string(line) + "\n")) << line << " is missing in:\n" << would;
}

// It goes with the login session or a reboot, after which another user can be the first to make it.
TEST_F(ConnectionTest, EachConnectionFindsItsDirectoryAnew) {
  go();
  std::string directory = root_ + "/bottle";
  ASSERT_TRUE(Connection::open(target_, {}));
  EXPECT_TRUE(starts().starts_with(directory + "/")) << starts();
  fs::remove_all(directory);
  EXPECT_TRUE(Connection::open(target_, {}));
  fs::permissions(directory, fs::perms::all);
  EXPECT_EQ(Connection::open(target_, {}).error().code, Code::denied);
}

// Several homes of one user can name different machines alike, and a directory below /tmp is the same for all.
TEST_F(ConnectionTest, AConnectionOfAnotherHomeIsNotUsed) {
  go();
  const std::string home = std::getenv("HOME") ? std::getenv("HOME") : "/";
  Defer restore([&] { ::setenv("HOME", home.c_str(), 1); });
  ASSERT_TRUE(open());
  ::setenv("HOME", root_.c_str(), 1);
  ASSERT_TRUE(open());
  std::istringstream all(starts());
  std::string first, second;
  ASSERT_TRUE(all >> first >> second) << starts();
  EXPECT_NE(first, second);
}

TEST_F(ConnectionTest, OnlyOneProcessStartsAMaster) {
  begin();
  std::string path = starts();
  EXPECT_EQ(open(0).error().code, Code::timed_out);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(open(60, stop.get_token()).error().code, Code::canceled);
  EXPECT_EQ(starts(), path);
  go();
  EXPECT_TRUE(first_.get());
  EXPECT_TRUE(fs::is_empty(root_ + "/control")) << "the lock is removed";
  EXPECT_TRUE(open());
  EXPECT_EQ(starts(), path + path) << "the first one left no master";
}

// The other process may ask for a passphrase on another terminal.
TEST_F(ConnectionTest, SaysThatItWaitsForAnotherProcess) {
  begin();
  std::promise<std::string> told;
  auto second = std::async(std::launch::async, [&] {
    return Connection::open(target_, {.control_directory = root_ + "/control",
                                      .interactive = true,
                                      .progress = [&](const std::string& line) { told.set_value(line); }})
        .has_value();
  });
  auto line = told.get_future();
  ASSERT_EQ(line.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(line.get(),
            "waiting for another process that connects to machine; if it asks for something, answer it there");
  go();
  EXPECT_TRUE(first_.get());
  EXPECT_TRUE(second.get()) << "it is told once";
}

TEST_F(ConnectionTest, AProcessThatWaitedUsesTheMasterOfTheOther) {
  begin();
  std::string path = starts();
  auto second = std::async(std::launch::async, [this] { return open().has_value(); });
  UniqueFd master = open_socket(AF_UNIX, SOCK_STREAM);
  auto address = unix_address(path.substr(0, path.size() - 1));
  ASSERT_TRUE(address);
  ASSERT_EQ(::bind(master.get(), reinterpret_cast<sockaddr*>(&*address), sizeof *address), 0);
  ASSERT_EQ(::listen(master.get(), 8), 0);
  auto greets = std::async(std::launch::async, [&] {
    UniqueFd client = accept_connection(master.get());
    return write_all(client.get(), std::string("\0\0\0\4\0\0\0\1", 8)).has_value();
  });
  go();
  EXPECT_TRUE(first_.get());
  EXPECT_TRUE(second.get());
  ::shutdown(master.get(), SHUT_RDWR);  // ends a wait for a client that did not come
  EXPECT_TRUE(greets.get());
  EXPECT_EQ(starts(), path);
  EXPECT_TRUE(fs::exists(path.substr(0, path.size() - 1))) << "the socket of the other";
}

// Other sessions may use the connection.
TEST_F(ConnectionTest, OnlyADeadConnectionIsClosed) {
  go();
  ASSERT_TRUE(open());
  UniqueFd master = open_socket(AF_UNIX, SOCK_STREAM);
  auto address = unix_address(starts().substr(0, starts().size() - 1));
  ASSERT_TRUE(address);
  ASSERT_EQ(::bind(master.get(), reinterpret_cast<sockaddr*>(&*address), sizeof *address), 0);
  ASSERT_EQ(::listen(master.get(), 8), 0);
  auto greets = std::async(std::launch::async, [&] {
    while (UniqueFd client = accept_connection(master.get()))
      (void)write_all(client.get(), std::string("\0\0\0\4\0\0\0\1", 8));
  });
  auto is_closed_when = [&](const std::string& command, std::chrono::milliseconds patience = std::chrono::minutes(1)) {
    ssh_.does("exit 0", "case \"$*\" in *' -O '*) : >" + root_ + "/closed;; *) " + command + ";; esac");
    fs::remove(root_ + "/closed");
    Connection::close_if_dead(target_, {.control_directory = root_ + "/control"}, patience);
    return fs::exists(root_ + "/closed");
  };
  EXPECT_FALSE(is_closed_when("exit 0"));
  EXPECT_FALSE(is_closed_when("exit 1")) << "the machine has answered";
  EXPECT_FALSE(is_closed_when("echo 'Session open refused by peer' >&2; exit 255")) << "the machine has answered";
  EXPECT_TRUE(is_closed_when("exec sleep 100", std::chrono::milliseconds(100)));
  ::shutdown(master.get(), SHUT_RDWR);
}

// cron starts a session without XDG_RUNTIME_DIR, and the operator attaches to it from a login.
TEST_F(ConnectionTest, ALivingConnectionInAnotherDirectoryIsUsed) {
  go();
  std::string shared = control_directory("").value();
  Target target{.host = fs::path(root_).filename()};  // of this test only
  ASSERT_TRUE(Connection::open(target, {}));
  std::string made = starts().substr(0, starts().size() - 1);
  ASSERT_TRUE(made.starts_with(root_ + "/bottle/")) << made;
  std::string socket = shared + "/" + fs::path(made).filename().string();
  UniqueFd master = open_socket(AF_UNIX, SOCK_STREAM);
  auto address = unix_address(socket);
  ASSERT_TRUE(address);
  ASSERT_EQ(::bind(master.get(), reinterpret_cast<sockaddr*>(&*address), sizeof *address), 0);
  ASSERT_EQ(::listen(master.get(), 8), 0);
  auto greets = std::async(std::launch::async, [&] {
    while (UniqueFd client = accept_connection(master.get()))
      (void)write_all(client.get(), std::string("\0\0\0\4\0\0\0\1", 8));
  });
  fs::remove(root_ + "/starts");
  auto connection = Connection::open(target, {});
  EXPECT_EQ(starts(), "");
  auto argv = connection ? connection->command("true").argv : std::vector<std::string>();
  EXPECT_NE(std::ranges::find(argv, socket), argv.end());
  ::shutdown(master.get(), SHUT_RDWR);
  greets.wait();
  EXPECT_TRUE(Connection::open(target, {}));
  EXPECT_EQ(starts(), made + "\n") << "a dead one is not used";
  fs::remove(socket);
}

TEST_F(ConnectionTest, OnlyDirectoriesOfThisUserAloneAreSearched) {
  std::string shared = control_directory("").value(), login = root_ + "/login", usual = root_ + "/usual";
  for (const auto& each : {login, usual}) fs::create_directory(each);
  using Found = std::vector<std::string>;
  EXPECT_EQ(control_directories("", usual), Found{shared}) << "none is made";
  for (const auto& each : {login, usual}) ASSERT_TRUE(control_directory(each));
  EXPECT_EQ(control_directories("", usual), (Found{usual + "/bottle", shared}));
  EXPECT_EQ(control_directories(login, usual), (Found{login + "/bottle", usual + "/bottle", shared}));
  fs::permissions(login + "/bottle", fs::perms::group_exec, fs::perm_options::add);
  fs::rename(usual + "/bottle", root_ + "/real");
  fs::create_directory_symlink(root_ + "/real", usual + "/bottle");
  EXPECT_EQ(control_directories(login, usual), Found{shared});
}

// A ProxyCommand may need any variable.
TEST_F(ConnectionTest, EverySshGetsTheVariablesThatThisProcessDropped) {
  const std::string has_it = "[ \"$X\" = operators ] && [ -n \"$PATH\" ]";
  ssh_.does(has_it, has_it + " && echo 'hostname machine'");
  set_environment({{"X", "operators"}});
  auto opened = open();
  EXPECT_TRUE(opened) << opened.error().what;
  if (opened) {
    EXPECT_EQ(opened->capture("true")->status, 0);
    EXPECT_TRUE(opened->direct_host());
  }
  set_environment({});
  EXPECT_FALSE(open());
}

// ssh prints nothing if SIGPIPE ends it, which happens if the ProxyCommand ended before ssh wrote to it.
TEST_F(ConnectionTest, AnSshThatEndsSilentlyIsExplainedByItsProxyCommand) {
  ssh_.does("exit 141", "echo 'proxycommand nc %h'");
  auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().what.find("ProxyCommand nc %h, which ended without a connection"), std::string::npos)
      << opened.error().what;
}

// ssh keeps the key under the name or address and the port of the configuration.
TEST_F(ConnectionTest, TheAdviceForAChangedHostKeyNamesTheEntryOfKnownHosts) {
  auto advice = [this](const std::string& settings) {
    ssh_.does("echo 'REMOTE HOST IDENTIFICATION HAS CHANGED!' >&2; exit 255", "printf '" + settings + "'");
    auto opened = open();
    EXPECT_FALSE(opened);
    return opened ? "" : opened.error().todo;
  };
  const std::string begin = "find out why first; if the machine was reinstalled, run `ssh-keygen -R ";
  EXPECT_EQ(advice("hostname 192.0.2.5\\nport 2222\\n"), begin + "'[192.0.2.5]:2222'`");
  EXPECT_EQ(advice("hostname 192.0.2.5\\nport 22\\n"), begin + "192.0.2.5`");
  EXPECT_EQ(advice("hostname 192.0.2.5\\nport 2222\\nhostkeyalias lab-key\\n"), begin + "lab-key`");
  EXPECT_EQ(advice(""), begin + "machine`") << "the settings are not known";
}

// The ssh for the host on the way writes to the same stderr.
TEST_F(ConnectionTest, AChangedKeyOfAHostOnTheWayIsNotTakenForTheMachines) {
  ssh_.does(
      "echo 'REMOTE HOST IDENTIFICATION HAS CHANGED!' >&2; echo 'Host key verification failed.' >&2; "
      "echo 'kex_exchange_identification: Connection closed by remote host' >&2; exit 255",
      "printf 'hostname 192.0.2.5\\nproxyjump bastion\\n'");
  auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().what.find("ProxyJump bastion"), std::string::npos) << opened.error().what;
  EXPECT_EQ(opened.error().todo.find("ssh-keygen -R"), std::string::npos) << opened.error().todo;
}

// A command exchanges no keys and does not sign in, so a machine that says so lies.
TEST_F(ConnectionTest, WhatAMachinePrintsBeforeItsCommandFailsIsNotTakenForAVerdictOfSsh) {
  go();
  auto opened = open();
  ASSERT_TRUE(opened);
  for (const char* text : {"REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed",
                           "Permission denied", "Could not resolve hostname machine", "timed out"}) {
    ssh_.does("exit 0", "echo '" + std::string(text) + "' >&2; exit 255");
    auto done = opened->capture("exit 255");
    ASSERT_FALSE(done) << text;
    EXPECT_EQ(done.error().code, Code::unavailable) << text;
    EXPECT_EQ(done.error().what, "the connection to machine ended, or the command failed: " + std::string(text));
    EXPECT_EQ(done.error().todo, "");
  }
}

}  // namespace
}  // namespace bottle::ssh
