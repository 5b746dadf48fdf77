// Provides the provider `fake`, whose hooks are shell scripts that a test writes and whose cloud is a directory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/process.h"
#include "machine/destroy.h"
#include "machine/provider/provider.h"
#include "machine/reaper.h"
#include "machine/vm.h"

namespace bottle::machine {

// Returns a script that makes the keys of a VM as ssh-keygen does, but always the same, because making new ones takes
// half of the processor time of all these tests.
inline const std::string& same_keys() {
  static const std::string script = [] {
    std::string text = "#!/bin/sh\numask 077; while [ $# -gt 1 ]; do [ \"$1\" = -C ] && comment=$2; shift; done\n";
    std::string path = (std::filesystem::temp_directory_path() / ("bottle-key-" + random_hex(4))).string();
    for (const std::string comment : {"bottle", ""}) {
      EXPECT_EQ(capture({.argv = {"ssh-keygen", "-qted25519", "-N", "", "-C", comment, "-f", path}})->status, 0);
      text += "if [ \"$comment\" = '" + comment + "' ]; then\nprintf '" + *read_file(path) + "' >\"$1\"; printf '" +
              *read_file(path + ".pub") + "' >\"$1.pub\"\nfi\n";
      for (const std::string& made : {path, path + ".pub"}) std::filesystem::remove(made);
    }
    return text;
  }();
  return script;
}

class Machine : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);  // as in main(), because a hook may end without reading its input
    root_ = std::filesystem::temp_directory_path() / ("bottle-machine-" + random_hex(4));
    std::filesystem::create_directories(root_ / "home");
    std::filesystem::create_directories(root_ / "bin");
    ASSERT_TRUE(write_file_atomically(root_ / "bin" / "ssh-keygen", same_keys(), 0755));
    ::setenv("PATH", ((root_ / "bin").string() + ":" + path_).c_str(), 1);
    environment_ = {{"HOME", (root_ / "home").string()},
                    {"PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
                    {"CLOUD", cloud()}};
    directories_ = Directories::from(environment_);
    std::filesystem::create_directories(cloud());
    limits_.create = limits_.other = limits_.retry = 120'000;
    limits_.backoff = 20;
    limits_.backoff_most = 100;
  }
  void TearDown() override {
    ::setenv("PATH", path_.c_str(), 1);
    std::filesystem::remove_all(root_);
  }

  std::string cloud() const { return (root_ / "cloud").string(); }

  void hook(const std::string& name, const std::string& script) {
    std::string directory = directories_.config + "/providers/fake";
    ASSERT_TRUE(make_directories(directory));
    ASSERT_TRUE(write_file_atomically(directory + "/" + name, "#!/bin/sh\n" + script + "\n", 0755));
  }

  // Writes the hooks of a provider that keeps the contract. A machine is a file in its cloud directory.
  void good() {
    // The hooks run many times, so the shell itself reads the file. It also writes the file, so that no process of a
    // killed `create` continues.
    const std::string has = R"sh(has() { read -r line 2>/dev/null <"$f" && case $line in *"$1"*) ;; *) false ;; esac; }
)sh";
    hook("create", has + R"sh(umask 077; f="$CLOUD/$BOTTLE_VM_NAME"
[ ! -e "$f" ] || has "|$BOTTLE_OWNER|" || { echo "another owner has a VM of that name" >&2; exit 1; }
[ -e "$f" ] || echo "id-$BOTTLE_VM_NAME|$BOTTLE_SESSION|$BOTTLE_OWNER|running" >"$f"
echo "making it" >&2
echo "{\"id\": \"id-$BOTTLE_VM_NAME\", \"cost_per_hour\": \"0.005 USD\"}")sh");
    std::string mine = has + R"sh(f="$CLOUD/${BOTTLE_VM_ID#id-}"; [ -n "$BOTTLE_VM_ID" ] || f="$CLOUD/$BOTTLE_VM_NAME"
has "|$BOTTLE_OWNER|" || f=/nonexistent
)sh";
    hook("ssh-info", R"sh(echo '{"host": "198.51.100.7", "port": 22, "user": "bottle"}')sh");
    hook("status", mine + R"sh([ -e "$f" ] && echo '{"status": "running"}' || echo '{"status": "gone"}')sh");
    hook("destroy", mine + R"sh(rm -f "$f"; echo destroy >>"$CLOUD/../calls"; echo '{"status": "gone"}')sh");
    hook("list", R"sh(cd "$CLOUD"; echo '{"machines": ['; c=
for f in *; do [ -e "$f" ] || continue; IFS='|' read -r id session owner status <"$f"
printf '%s{"id":"%s","name":"%s","session":"%s","owner":"%s",' "$c" "$id" "$f" "$session" "$owner"
printf '"created":"2026-01-01T00:00:00Z","status":"%s"}\n' "$status"; c=,
done; echo ']}')sh");
  }

  Result<Provider> fake() { return Provider::find("fake", directories_, environment_, limits_); }
  VmRequest request() { return {.name = "vm-1", .session = "s1", .owner = owner_label(directories_)}; }
  DestroyOptions destroying() {
    DestroyOptions options;
    options.limits = limits_;
    options.patience_ms = 120'000;
    options.settle_ms = 50;
    options.environment = environment_;
    return options;
  }
  VmSpec spec() {
    VmSpec spec;
    spec.name = "vm-1";
    spec.session = "s1";
    spec.wanted.provider = "fake";
    spec.environment = environment_;
    spec.limits = limits_;
    return spec;
  }
  // Waits until a condition holds, for two minutes at most. Returns whether it does.
  static bool wait_for(const std::function<bool()>& condition) {
    auto until = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  int calls() const {
    auto text = read_file((root_ / "calls").string());
    return text ? static_cast<int>(std::count(text->begin(), text->end(), '\n')) : 0;
  }

  const std::string path_ = ::getenv("PATH");  // of this process
  std::filesystem::path root_;
  Environment environment_;
  Directories directories_;
  Limits limits_;
};

}  // namespace bottle::machine
