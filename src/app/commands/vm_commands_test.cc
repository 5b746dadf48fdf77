// Tests the commands about VMs with a provider whose hooks are scripts, and what cleanup reports when something is
// missing.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "app/commands/command_test.h"
#include "app/place/rescue.h"
#include "app/place/vms.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "machine/record.h"
#include "session/audit/audit_file.h"
#include "session/ledger/files.h"
#include "session/ledger/info.h"
#include "session/ledger/ledger.h"

namespace bottle::app {
namespace {

class VmCommands : public Commands {
 protected:
  VmCommands() {
    for (const char* name : {"create", "ssh-info", "status", "destroy"}) hook(name, "echo '{\"status\": \"gone\"}'");
    hook("list", "echo '{\"machines\": []}'");
  }
  void hook(const std::string& name, const std::string& script) {
    std::string path = write(".config/bottle/providers/fake/" + name, "#!/bin/sh\n" + script + "\n");
    ASSERT_EQ(::chmod(path.c_str(), 0700), 0);
  }
  // Writes the record of a VM. Its owner is this process, or one that is dead.
  void record(const std::string& name, bool owned, bool held = false, const std::string& label = "") {
    auto places = Directories::from(hook_environment());
    machine::Record record;
    record.vm.name = name;
    record.vm.owner = label;
    record.vm.id = "id-" + name;
    record.vm.wanted.provider = "fake";
    if (owned) record.owner = ProcessIdentity::self();
    record.held = held;
    record.made = machine::now_seconds();
    record.until = record.made + 3600;
    ASSERT_TRUE(make_directories(places.vm(name)));
    ASSERT_TRUE(machine::save(record, places));
  }
};

TEST_F(VmCommands, vm_list_does_not_call_a_vm_gone_whose_provider_did_not_answer) {
  record("bottle-one", true);
  record("bottle-two", true, true);
  auto state_of = [&](const std::string& name) {
    for (const auto& row : bottle({"vm", "list", "--json"}).json())
      if (row["name"] == name) return row["state"].get<std::string>();
    return std::string("not listed");
  };
  EXPECT_EQ(state_of("bottle-one"), "gone");
  EXPECT_EQ(state_of("bottle-two"), "held");
  hook("list", "exit 1");
  EXPECT_EQ(state_of("bottle-one"), "unknown");
  EXPECT_EQ(state_of("bottle-two"), "held") << "its record says so";
}

TEST_F(VmCommands, cleanup_reports_what_it_did_although_there_is_no_engine) {
  record("bottle-one", false);
  Answer answer = bottle({"cleanup", "--json"});
  EXPECT_EQ(answer.status, 125);
  auto all = answer.json();
  EXPECT_TRUE(std::ranges::any_of(all, [](const auto& entry) {
    return entry.value("name", "") == "bottle-one" && entry.value("confirmed", false);
  })) << answer.out;
  EXPECT_TRUE(std::ranges::any_of(all, [&](const auto& entry) {
    return entry.contains("left") && entry["left"].dump().contains("no-engine.sock");
  })) << answer.out;
  record("bottle-one", false);
  answer = bottle({"cleanup"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_NE(answer.out.find("destroyed bottle-one"), std::string::npos) << answer.out;
  EXPECT_NE(answer.err.find("not removed: what is left on this machine's engine"), std::string::npos) << answer.err;
}

// The reaper destroys a VM when it expires, even if its work could not be fetched.
TEST_F(VmCommands, cleanup_accounts_for_work_that_went_with_its_vm) {
  abandon("one");
  finish("one", "diff --git a/note b/note\n");  // of a checkpoint
  std::string ledger = ".local/state/bottle/sessions/one/ledger", path = ".local/state/bottle/results/one/result.json";
  wire::LedgerRecord on_vm{
      .running = true,
      .machine = wire::MachineAddress{.target = {.user = "bottle", .host = "192.0.2.7"}, .program = "p"},
      .vm = wire::LedgerVm{.name = "lab", .provider = "qemu", .wanted = {}}};
  write(ledger, read(ledger) + wire::encode(on_vm) + "\n");
  // Without the account, the operator could not learn that there was work.
  write(path + "/in-the-way", "");
  EXPECT_NE(bottle({"cleanup"}).err.find("Is a directory"), std::string::npos);
  EXPECT_NE(read(ledger), "");
  std::filesystem::remove_all(home() + "/" + path);
  EXPECT_NE(bottle({"cleanup"})
                .err.find("bottle: session one: The VM lab is gone, and so is the work that was not "
                          "fetched."),
            std::string::npos);
  EXPECT_EQ(read(ledger), "");
  auto result = nlohmann::json::parse(read(path));
  EXPECT_EQ(result["back"]["error"], "the VM was destroyed before the work was fetched");
  EXPECT_NE(bottle({"diff", "one"}).err.find("this may not be all that the session made: the VM was destroyed"),
            std::string::npos);
}

// No cloud allows such a name, so nothing could confirm that its VM is gone.
TEST_F(VmCommands, start_refuses_a_name_that_ends_with_a_dash) {
  write(".config/bottle/bottle.yaml",
        "bottles:\n  web: {workspace: copy}\nagents:\n  make: {bottle: web, provider: command, command: [make]}\n");
  Answer answer = bottle({"start", "make", "--name", "x-", "--dry-run"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_NE(answer.err.find("'x-' is not a valid name for a session"), std::string::npos) << answer.err;
}

// Ending the new session would destroy the VM of the earlier one.
TEST_F(VmCommands, start_refuses_the_name_of_a_session_whose_vm_was_kept) {
  write(".config/bottle/bottle.yaml",
        "bottles:\n  web: {workspace: copy}\nagents:\n  make: {bottle: web, provider: command, command: [make]}\n");
  record("bottle-fix", true);
  Answer answer = bottle({"start", "make", "--name", "fix", "--dry-run"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_NE(answer.err.find("VM bottle-fix of an earlier session of that name still exists"), std::string::npos)
      << answer.err;
}

// Its machine may be lost, or it may be a colleague's.
TEST_F(VmCommands, another_owners_vm_is_destroyed_only_by_its_name_and_owner) {
  hook("list", R"sh([ -e "$HOME/vm" ] || { echo '{"machines": []}'; exit; }
echo '{"machines": [{"id": "7", "name": "bottle-fix", "session": "fix", "owner": "aa11",
"created": "2026-01-01T00:00:00Z", "status": "running"}]}')sh");
  hook("destroy", R"sh(echo "$BOTTLE_VM_ID $BOTTLE_VM_NAME $BOTTLE_OWNER" >>"$HOME/destroyed"
[ "$BOTTLE_OWNER" != aa11 ] || rm -f "$HOME/vm"; echo '{"status": "gone"}')sh");
  write("vm", "");
  auto destroyed = [&] { return read_file(home() + "/destroyed").value_or(""); };
  EXPECT_EQ(bottle({"vm", "list", "--json"}).json()[0].value("owner", ""), "aa11");
  EXPECT_EQ(bottle({"vm", "destroy", "--all"}).out, "no VMs\n");
  bottle({"cleanup"});
  EXPECT_EQ(bottle({"vm", "destroy", "--all", "--owner", "aa11"}).status, 125);
  Answer answer = bottle({"vm", "destroy", "bottle-fix"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_NE(answer.err.find("belongs to another owner, aa11: session fix, created "), std::string::npos) << answer.err;
  EXPECT_NE(answer.err.find("bottle vm destroy bottle-fix --owner aa11"), std::string::npos) << answer.err;
  answer = bottle({"vm", "destroy", "bottle-fix", "--owner", "bb22"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_NE(answer.err.find("bb22 has no VM named bottle-fix"), std::string::npos) << answer.err;
  EXPECT_EQ(destroyed(), "");
  answer = bottle({"vm", "destroy", "bottle-fix", "--owner", "aa11"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_EQ(destroyed(), "7 bottle-fix aa11\n");
}

// At most providers, everyone who can make VMs in the account can choose the label.
TEST_F(VmCommands, the_label_of_another_owner_is_one_word_in_the_command_that_destroys_its_vm) {
  hook("list", R"sh(echo '{"machines": [{"id": "7", "name": "bottle-fix; echo x", "owner": "aa11; touch it #",
"status": "running"}]}')sh");
  Answer answer = bottle({"vm", "destroy", "bottle-fix; echo x"});
  EXPECT_EQ(answer.status, 125);
  EXPECT_NE(answer.err.find("bottle vm destroy 'bottle-fix; echo x' --owner 'aa11; touch it #'`"), std::string::npos)
      << answer.err;
}

// A record and a colleague's VM may have the same name.
TEST_F(VmCommands, a_record_is_not_that_of_another_owners_vm) {
  hook("list", R"sh(echo '{"machines": [{"id": "7", "name": "bottle-fix", "session": "fix", "owner": "aa11",
"status": "running"}]}')sh");
  hook("destroy", R"sh(echo "$BOTTLE_VM_ID" >>"$HOME/destroyed"; echo '{"status": "gone"}')sh");
  record("bottle-fix", false);
  auto rows = bottle({"vm", "list", "--json"}).json();
  ASSERT_EQ(rows.size(), 2u) << rows;
  EXPECT_EQ(rows[0].value("id", ""), "7");
  EXPECT_FALSE(rows[0].value("mine", true));
  EXPECT_TRUE(rows[1].value("mine", false));
  bottle({"cleanup"});
  EXPECT_EQ(read_file(home() + "/destroyed").value_or(""), "id-bottle-fix\n")
      << "through the record, which has its own id";
}

// The label may have changed since the VM was made.
TEST_F(VmCommands, a_vm_is_the_operators_if_its_record_names_its_label) {
  hook("list", R"sh([ -e "$HOME/vm" ] || { echo '{"machines": []}'; exit; }
echo '{"machines": [{"id": "id-bottle-fix", "name": "bottle-fix", "session": "fix", "owner": "aa11",
"status": "running"}]}')sh");
  hook("destroy", R"sh(rm -f "$HOME/vm"; echo '{"status": "gone"}')sh");
  write("vm", "");
  record("bottle-fix", true, false, "aa11");
  auto rows = bottle({"vm", "list", "--json"}).json();
  ASSERT_EQ(rows.size(), 1u) << rows;
  EXPECT_TRUE(rows[0].value("mine", false)) << rows;
  EXPECT_EQ(bottle({"vm", "destroy", "--all"}).status, 0);
  EXPECT_FALSE(read_file(home() + "/vm")) << "it would cost money until it expires";
}

// The near side died after it had brought the work home, and the VM's reaper destroyed the VM.
TEST_F(VmCommands, a_session_whose_vm_is_gone_has_a_whole_record) {
  for (bool home : {true, false}) {
    std::string name = home ? "one" : "two", results = directories().results_of(name);
    session::Owner dead = session::Owner::self();
    dead.process.start_time += "1";
    auto ledger = session::Ledger::create(directories().session(name), dead);
    ASSERT_TRUE(ledger) << ledger.error().what;
    wire::MachineAddress address{.target = {.host = "127.0.0.1", .port = 1}};
    ASSERT_TRUE(ledger->note({.session = name, .machine = address}));
    ASSERT_TRUE(ledger->note({.vm = wire::LedgerVm{"bottle-" + name, "fake", {}}}));
    ASSERT_TRUE(ledger->note({.running = true}));
    wire::SessionResult earlier{.session = name, .bottle = "web", .exit = 3};
    if (home) {
      ASSERT_TRUE(ledger->note({.home = true}));
      earlier.back = wire::WorkResult{.text = "Fetched.", .sorted = wire::ReceivedWork{}};
    }
    write(".local/state/bottle/results/" + name + "/" + session::kResult, wire::encode(earlier));
    for (const char* file : {session::kAudit, session::kNearAudit})
      session::AuditFile(results + "/" + file)
          .add({.time = "2026-01-01T00:00:00Z", .action = wire::DecisionAction::deny, .host = "a.b"});
    std::string told;
    EXPECT_FALSE(forget_session_without_vm(name, [&](const std::string& line) { told += line; }));
    EXPECT_TRUE(session::read_ledger(directories(), name)) << "another process has locked it, and does the same";
    ledger = fail(Code::closed, "");  // gives back the lock
    EXPECT_TRUE(forget_session_without_vm(name, [&](const std::string& line) { told += line; }));
    EXPECT_EQ(told.empty(), home) << told;
    Answer answer = bottle({"audit", "verify", name});
    EXPECT_EQ(answer.status, 0) << answer.out << answer.err;
    auto result = session::read_result(results);
    ASSERT_TRUE(result && result->back) << name;
    EXPECT_EQ(result->exit, 3);
    EXPECT_EQ(result->back->text == "Fetched.", home) << result->back->text;
    EXPECT_EQ(result->audit.size(), 2u);
    EXPECT_TRUE(result->receipt.confirmed);
  }
}

// Building an image takes minutes.
TEST_F(VmCommands, a_stop_ends_a_bake_while_the_engine_works) {
  write(".config/bottle/bottle.yaml",
        "vms: {lab: {provider: fake}}\nbottles:\n  web: {workspace: copy}\n"
        "agents:\n  make: {bottle: web, provider: command, command: [make]}\n");
  std::string path = home() + "/engine.sock";
  set("DOCKER_HOST", "unix://" + path);
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX};
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  std::stop_source source;
  // This engine tells its version, and never answers anything else.
  std::jthread engine([&] {
    std::vector<UniqueFd> unanswered;
    for (char request[4096]; UniqueFd client{::accept(listener.get(), nullptr, nullptr)};) {
      ssize_t length = ::read(client.get(), request, sizeof request);
      bool ping = std::string_view(request, length > 0 ? length : 0).starts_with("GET /_ping ");
      std::string_view answer = "HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nContent-Length: 2\r\n\r\nOK";
      if (ping && ::write(client.get(), answer.data(), answer.size()) > 0) continue;
      unanswered.push_back(std::move(client));
      source.request_stop();
    }
  });
  auto image = bake("lab", {"make"}, [](const std::string&) {}, source.get_token());
  ::shutdown(listener.get(), SHUT_RDWR);
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, Code::canceled) << image.error().what;
}

}  // namespace
}  // namespace bottle::app
