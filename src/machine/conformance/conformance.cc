// Plays a session's life with a provider, one call after the other, and tests the calls that providers most often get
// wrong: a create that is repeated or killed, a destroy of a VM that does not exist, a status of a VM of which only
// the name is known. The checks share one VM, because a VM costs minutes and money. A failed check does not end the
// suite, so that the author of a provider sees all faults in one run, and so that the VM is always destroyed. The VM
// has a record and a reaper like any other, because this process may be killed.

#include "machine/conformance/conformance.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/deadline.h"
#include "base/os/process.h"
#include "machine/destroy.h"
#include "machine/vm.h"

namespace bottle::machine {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr int kEndOfHookMs = 10000;  // how long to wait for a hook that ends

// Runs the checks of one provider in their order. Each uses what the earlier ones made.
class Suite {
 public:
  Suite(const Provider& provider, const ConformanceOptions& options, const std::function<void(const Check&)>& done,
        const Progress& progress)
      : provider_(provider), options_(options), done_(done), progress_(progress) {}

  std::vector<Check> run() {
    check("list answers", [&] {
      return finding_of(provider_.list(owner_label(options_.directories), options_.options, progress_),
                        [](const auto& all) { return std::to_string(all.size()) + " listed"; });
    });
    // Without keys, user-data and a reaper, no other check can run.
    if (!make()) return std::move(checks_);
    check("status of an unknown VM is gone", [&] { return status_is("gone", unknown()); });
    // A sweep destroys by name even a VM that may not exist, so this must not be an error.
    check("destroy of an unknown VM succeeds", [&] { return finding_of(provider_.destroy(unknown(), progress_)); });
    check("status of a wrong id is gone, not an error", [&] {
      VmRequest garbage = unknown();
      // Some tools of clouds fail for an unknown id, and a hook must distinguish that from a failure of the cloud.
      garbage.id = "no-such-id-0000";
      return status_is("gone", garbage);
    });
    bool created = check("create prints one object with an id", [&] {
      auto answer = create(spec_.vm);
      if (answer) note_id(answer->id);
      return finding_of(answer, [](const Created& c) {
        return c.id + (c.cost_per_hour.empty() ? "" : ", " + c.cost_per_hour + " an hour");
      });
    });
    if (created) life();
    half_way();
    leftovers();
    remove_all();
    return std::move(checks_);
  }

 private:
  using Finding = Result<std::string>;  // what was found, or why it is wrong

  // Turns an answer into a finding: the text that `describe` makes of it, or the answer's error.
  template <typename T>
  Finding finding_of(const Result<T>& answer, auto&& describe) {
    if (!answer) return std::unexpected(answer.error());
    return describe(*answer);
  }
  Finding finding_of(const Result<std::string>& answer) {
    if (!answer) return std::unexpected(answer.error());
    return *answer;
  }

  // Runs one check, reports it, and returns whether it succeeded.
  bool check(const std::string& name, const std::function<Finding()>& what) {
    return !options_.limits.stop.stop_requested() && check_always(name, what);
  }
  bool check_always(const std::string& name, const std::function<Finding()>& what) {
    auto begun = Clock::now();
    auto finding = what();
    Check check{name, finding.has_value(), finding ? *finding : finding.error().what,
                std::chrono::duration<double>(Clock::now() - begun).count()};
    if (done_) done_(check);
    checks_.push_back(check);
    return check.ok;
  }

  // Creates a VM as a session does: under its lock, and with its hook in the record, so that others can end the hook.
  Result<Created> create(const VmRequest& vm) {
    UniqueFd lock = TRY(lock_vm(spec_.vm.name, options_.directories, kEndOfHookMs));
    auto created = provider_.create(vm, progress_, lock.get(), [&](int pid) { note_hook(ProcessIdentity::of(pid)); });
    note_hook({});
    return created;
  }
  void note_hook(const ProcessIdentity& hook) {
    spec_.hook = hook;
    (void)save(spec_, options_.directories);
  }
  void note_id(const std::string& id) {
    spec_.vm.id = id;
    (void)save(spec_, options_.directories);
  }

  Finding status_is(const std::string& wanted, const VmRequest& vm) {
    auto status = provider_.status(vm, progress_);
    if (!status) return std::unexpected(status.error());
    if (*status != wanted) return fail(Code::protocol, "the status is '" + *status + "', not '" + wanted + "'");
    return *status;
  }

  // Makes keys, user-data and a directory as for a session's VM, and starts its reaper.
  bool make() {
    return check("prepare what a VM needs (keys, user-data)", [&]() -> Finding {
      VmSpec vm;
      vm.session = "test" + random_hex(4);
      // The name has the form of a session's VM, which providers may rely on.
      vm.name = "bottle-" + vm.session;
      vm.wanted.provider = provider_.name();
      vm.wanted.options = options_.options;
      vm.wanted.ttl = 3600;
      vm.environment = options_.environment;
      vm.limits = options_.limits;
      vm.path_to_self = options_.path_to_self;
      auto made = TRY(prepare_vm(vm));
      spec_ = made.record;
      user_data_ = TRY(read_file(spec_.vm.user_data));
      target_ = made.target;
      return vm.name;
    });
  }

  // Returns a request for a VM that was never made, with the same owner and options.
  VmRequest unknown() {
    VmRequest other = spec_.vm;
    other.name = "bottle-none" + random_hex(4);
    other.session = other.id = "";
    return other;
  }

  // Follows one VM from its creation to its end.
  void life() {
    check("create again prints the same id", [&]() -> Finding {
      VmRequest again = spec_.vm;
      // A session that lost its record of the id creates again under the same name.
      again.id = "";
      auto answer = TRY(create(again));
      if (answer.id != spec_.vm.id)
        return fail(Code::protocol, "the second id is " + answer.id + ", so two machines have one name");
      return answer.id;
    });
    bool placed = check("ssh-info exits with 75 until the address is known", [&] { return wait_for_place(); });
    if (options_.ssh && placed) check("sshd has our host key and accepts our user key", [&] { return sign_in(); });
    // A session removes the user-data too, so the following checks must work without it.
    ::unlink(spec_.vm.user_data.c_str());
    check("status is running", [&] { return status_is("running", spec_.vm); });
    check("status by name alone", [&] {
      VmRequest by_name = spec_.vm;
      // A crash may have come before the id was recorded.
      by_name.id = "";
      return status_is("running", by_name);
    });
    check("list shows the VM with its labels", [&] { return listed(); });
    check("another owner's calls by that name leave the VM alone", [&] { return left_to_its_owner(); });
    if (provider_.has("put-secret"))
      check("put-secret answers with a command that prints the value once", [&] { return put_secret(placed); });
    check("destroy", [&] { return finding_of(provider_.destroy(spec_.vm, progress_)); });
    check("destroy again succeeds", [&] { return finding_of(provider_.destroy(spec_.vm, progress_)); });
    check("status is gone afterward", [&] { return until_gone(spec_.vm); });
    check("destroy of a VM that is gone, by name, succeeds", [&] {
      VmRequest by_name = spec_.vm;
      by_name.id = "";
      return finding_of(provider_.destroy(by_name, progress_));
    });
    note_id("");
  }

  Finding wait_for_place() {
    auto deadline = Deadline::in_ms(options_.boot_ms);
    for (;;) {
      auto where = provider_.ssh_info(spec_.vm, progress_);
      if (where) {
        target_.host = where->host;
        target_.port = where->port;
        if (!where->user.empty()) target_.user = where->user;
        return target_.to_string();
      }
      if (where.error().code != Code::unavailable || deadline.is_over()) return std::unexpected(where.error());
      TRY(pause(options_.limits, options_.limits.backoff));
    }
  }

  // Looks for the VM in the answer of `list`, and checks the labels by which a sweep finds it.
  Finding listed() {
    auto all = TRY(provider_.list(spec_.vm.owner, spec_.vm.wanted.options, progress_));
    for (const auto& machine : all) {
      if (machine.kind != "vm" || machine.name != spec_.vm.name) continue;
      if (machine.id != spec_.vm.id) return fail(Code::protocol, "list shows the id " + machine.id);
      if (machine.owner != spec_.vm.owner)
        return fail(Code::protocol, "list shows the label bottle-owner as '" + machine.owner + "'");
      if (machine.session != spec_.vm.session)
        return fail(Code::protocol, "list shows the label bottle-session as '" + machine.session + "'");
      if (machine.created.empty()) return fail(Code::protocol, "list does not show when it was created");
      return machine.id + ", created " + machine.created;
    }
    return fail(Code::not_found, "list does not show it");
  }

  // Asks for the VM's name as another owner who uses the same account, such as a colleague or a second machine. What a
  // faulty `create` makes for that owner is destroyed even if the call fails. The record names that owner before the
  // call, and until nothing of that owner is left.
  Finding left_to_its_owner() {
    VmRequest other = spec_.vm;
    other.owner = spec_.second_owner = random_hex(8);
    other.id = "";
    TRY(save(spec_, options_.directories));
    if (auto status = TRY(provider_.status(other, progress_)); status != "gone")
      return fail(Code::protocol, "for another owner, the status is '" + status + "', not 'gone'");
    // Without the user-data, create would fail for another reason.
    TRY(write_file_atomically(spec_.vm.user_data, user_data_));
    auto made = create(other);
    ::unlink(spec_.vm.user_data.c_str());
    if (made && made->id == spec_.vm.id) return fail(Code::protocol, "create gave the VM to another owner");
    if (made) other.id = made->id;
    TRY(destroyed(other));
    spec_.second_owner.clear();
    TRY(save(spec_, options_.directories));
    if (made) return fail(Code::protocol, "create made a second VM of that name");
    // Each other code has a cause that would hide whether create refuses: credentials, capacity, a missing tool, a
    // stop.
    if (made.error().code != Code::internal) return std::unexpected(made.error());
    return status_is("running", spec_.vm);
  }

  // Destroys what another owner may have, until it is gone, even after a stop.
  Finding destroyed(const VmRequest& vm) {
    Limits limits = options_.limits;
    limits.stop = {};
    auto provider = TRY(Provider::find(provider_.name(), options_.directories, options_.environment, limits));
    auto deadline = Deadline::in_ms(options_.gone_ms);
    for (;;) {
      auto status = provider.destroy(vm, progress_);
      if (status) status = provider.status(vm, progress_);
      if (status && *status == "gone") return status;
      if (deadline.is_over())
        return fail(Code::timed_out, "something may be left of the VM " + vm.name + " of the owner " + vm.owner +
                                         (status ? "" : ": " + status.error().what));
      TRY(pause(limits, limits.backoff));
    }
  }

  // Signs in as a session does. Tries again, because the VM may still install the key.
  Finding sign_in() {
    auto deadline = Deadline::in_ms(options_.boot_ms);
    for (;;) {
      auto done =
          TRY(capture({.argv = ssh_argv(target_, "echo here")}, {.timeout_ms = 60000, .stop = options_.limits.stop}));
      if (done.status == 0 && done.out == "here\n") return std::string("signed in to ") + target_.to_string();
      if (deadline.is_over()) return fail(Code::unavailable, folded(done.err, 400));
      TRY(pause(options_.limits, 500));
    }
  }

  // Puts a secret into the provider's store. If the check cannot sign in to the VM, `destroy` must remove the secret.
  Finding put_secret(bool placed) {
    std::string value = random_hex(16);
    auto fetch = provider_.put_secret(spec_.vm, "conformance", value, progress_);
    if (!fetch && fetch.error().code == Code::invalid)
      return fetch.error().what;  // the hook works only for operators who have set it up
    if (!fetch) return std::unexpected(fetch.error());
    if (!options_.ssh || !placed) return std::string("not fetched");
    auto ask = [&] { return capture({.argv = ssh_argv(target_, *fetch)}, {.timeout_ms = 60000}); };
    // The command must remove the value from the store when it prints it.
    auto first = TRY(ask()), second = TRY(ask());
    if (first.out != value)
      return fail(Code::protocol, "the command did not print the value: " + folded(first.err, 400));
    if (second.out == value) return fail(Code::protocol, "the value is still in the store after it was fetched");
    return std::string("fetched, and gone from the store");
  }

  // Waits for the status "gone", because a cloud may take minutes for a deletion.
  Finding until_gone(const VmRequest& vm) {
    auto deadline = Deadline::in_ms(options_.gone_ms);
    for (;;) {
      auto status = TRY(provider_.status(vm, progress_));
      if (status == "gone") return status;
      if (deadline.is_over()) return fail(Code::timed_out, "the status is still '" + status + "'");
      TRY(pause(options_.limits, options_.limits.backoff));
    }
  }

  // A killed `create` may have made something. It must be found and destroyed by its name alone.
  void half_way() {
    (void)write_file_atomically(spec_.vm.user_data, user_data_);  // if this fails, the next create reports it
    // These times should hit a create before its first request, while one is under way, and after the machine exists.
    for (int after_ms : {50, 400, 2000})
      check("create killed after " + std::to_string(after_ms) + " ms, then destroyed by name, is gone",
            [&]() -> Finding {
              Command command;
              command.argv = {provider_.directory() + "/create"};
              command.env = provider_.environment(spec_.vm);
              command.clean_env = true;
              {
                UniqueFd lock = TRY(lock_vm(spec_.vm.name, options_.directories, kEndOfHookMs));
                Child child = TRY(Child::spawn(command, Child::from(lock.get()), Child::null(), Child::null()));
                note_hook(ProcessIdentity::of(child.pid()));
                (void)child.wait(after_ms);
                // This sends SIGKILL immediately, because a hook must not depend on a warning.
                child.end(0);
              }
              note_hook({});
              TRY(provider_.destroy(spec_.vm, progress_));
              return until_gone(spec_.vm);
            });
    check("create works after one that was killed", [&]() -> Finding {
      auto answer = TRY(create(spec_.vm));
      note_id(answer.id);
      TRY(provider_.destroy(spec_.vm, progress_));
      auto gone = until_gone(spec_.vm);
      note_id("");
      return gone;
    });
  }

  // Looks for what costs money or space after the end.
  void leftovers() {
    check("nothing is left in list", [&]() -> Finding {
      auto deadline = Deadline::in_ms(options_.gone_ms);
      for (;;) {
        std::string left;
        for (const auto& item : TRY(provider_.list(spec_.vm.owner, spec_.vm.wanted.options, progress_)))
          // Everything with the session's label counts, including disks and addresses.
          if (item.status != "gone" && (item.session == spec_.vm.session || item.name == spec_.vm.name))
            left += " " + item.kind + " " + item.id;
        if (left.empty()) return std::string("nothing");
        if (deadline.is_over()) return fail(Code::conflict, "still in list:" + left);
        TRY(pause(options_.limits, options_.limits.backoff));
      }
    });
    check("its state directory is empty", [&]() -> Finding {
      // Files that a hook leaves in its directory would stay on the operator's disk.
      auto left = TRY(names_in(spec_.vm.state_dir));
      if (!left.empty()) return fail(Code::conflict, "it contains " + left[0]);
      return std::string("empty");
    });
  }

  // The VM is gone by now. This repeats a session's end, including the removal of the VM's directory.
  void remove_all() {
    check_always("destroy and confirm as a session does", [&]() -> Finding {
      DestroyOptions options;
      options.limits = options_.limits;
      options.limits.stop = {};
      options.environment = options_.environment;
      options.settle_ms = options_.limits.backoff;
      options.patience_ms = options_.gone_ms;
      auto gone = TRY(destroy_vm(spec_.vm.name, provider_.name(), options_.directories, options, progress_));
      if (!gone.confirmed) return fail(Code::conflict, gone.left.empty() ? "not confirmed" : gone.left.front());
      return gone.confirmed_by;
    });
  }

  const Provider& provider_;
  const ConformanceOptions& options_;
  const std::function<void(const Check&)>& done_;
  const Progress& progress_;
  std::vector<Check> checks_;
  Record spec_;
  ssh::Target target_;
  std::string user_data_;
};

}  // namespace

Result<std::vector<Check>> test_provider(const std::string& name, const ConformanceOptions& options,
                                         const std::function<void(const Check&)>& done, const Progress& progress) {
  Provider provider = TRY(Provider::find(name, options.directories, options.environment, options.limits));
  return Suite(provider, options, done, progress).run();
}

}  // namespace bottle::machine
