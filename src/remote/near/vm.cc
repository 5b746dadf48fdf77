// Makes a VM as fast as its provider allows. Steps that do not depend on each other run in parallel: images are
// packed while the VM boots, and both ssh connections are made while its engine starts. A VM from a baked disk needs
// no images, and its hello is read later, together with the answers to the job.
//
// Like any other machine, a VM is judged before a secret goes to it, because its provider's network may lead back to
// the operator. If anything fails, the VM may exist. Its name is in the ledger before the first call to the provider,
// so the process that ends the session destroys it.
#include "remote/near/vm.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>

#include "base/future.h"
#include "base/os/deadline.h"
#include "base/text/line.h"
#include "docker/client/http_engine.h"
#include "remote/link/findings.h"
#include "remote/near/transfers/image_layers.h"
#include "session/credentials/token.h"
#include "session/images/own_images.h"
#include "wire/machine/first_contact.h"

namespace bottle::remote {

using wire::VmJob, session::kTokenVariable, session::reference_of;

namespace {

constexpr int kSshPatience = 120;  // in seconds

// Returns the description of the session's VM from the job.
machine::VmSpec spec_of(const Job& job, const std::string& vm_name) {
  const VmJob& vm = *job.remote->vm;
  machine::VmSpec spec;
  spec.name = vm_name;
  spec.session = job.plan.session;
  spec.wanted = vm.vm;
  spec.keep = vm.keep;
  spec.environment = vm.environment;
  // The reaper runs this program.
  spec.path_to_self = job.path_to_self;
  return spec;
}

// Decides from the hello of a VM whether to continue with it.
using Judge = std::function<Result<>(const machine::Vm& vm, const wire::Hello& hello)>;

Result<> check_engine(const wire::Hello& hello) {
  if (hello.engine) return {};
  return fail(Code::timed_out, "the VM's container engine does not answer: " + hello.engine.error().what);
}

// Judges a VM like any other machine, before a secret is sent to it. A VM without a network cannot lead back to the
// operator.
Result<> judge_vm(const wire::Hello& hello, const Job& job, const std::string& vm_name, bool offline) {
  TRY(check_engine(hello));
  return admit(hello, "the VM " + vm_name, job.remote->vm->vm.allow_vpn || offline);
}

// Retries, because an sshd that has just been given its new key takes a moment to listen again.
Result<FarSide> reach_patiently(const MachineAddress& address, const Progress& progress, const std::stop_token& stop) {
  auto deadline = Deadline::in(std::chrono::seconds(kSshPatience));
  for (;;) {
    auto side = FarSide::reach(address, {.progress = progress, .stop = stop});
    // A refused host key or sign-in will not change.
    bool passing = !side && (side.error().code == Code::unavailable || side.error().code == Code::timed_out);
    if (!passing || deadline.is_over()) return side;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

// Sends the token apart from the job's other values. Does nothing if the token is in a file on the VM.
Result<Token> hand_over_token(const Job& job, const machine::VmSpec& spec, ReadyVm& ready, const Progress& progress) {
  Token token = job.token;
  auto found = job.values.secrets.find(token.name);
  if (token.via == Token::Via::job || !token.file.empty()) return token;
  if (found == job.values.secrets.end()) return fail(Code::not_found, "secret " + token.name + " has no value to send");
  const std::string& value = found->second;
  if (token.via == Token::Via::provider) {
    auto provider = TRY(machine::Provider::find(spec.wanted.provider, job.directories, spec.environment));
    token.fetch = TRY(provider.put_secret(ready.vm.record.vm, token.name, value, progress));
    return token;
  }
  // This needs a new channel, because ssh sends variables only when a command starts.
  ready.channel = TRY(ready.side.serve({.send_env = {{kTokenVariable, value}}}));
  // sshd silently drops a variable that its AcceptEnv does not list.
  if (!ready.channel.hello->token)
    return fail(Code::unavailable,
                std::string("the token did not arrive: the VM's sshd drops the variable ") + kTokenVariable,
                "leave out --token-via");
  return token;
}

// Starts the far side. The engine starts some time after sshd, so the connections are made before it answers. If `wait`
// is set, blocks until the engine answers; otherwise, the caller must wait for it.
Result<Channel> await_engine(FarSide& side, bool wait) {
  auto bulk = std::async(std::launch::async, [&side] { return side.bulk(); });  // handshakes are slow on emulated CPUs
  Channel channel = TRY(wait ? side.serve({.await_engine = true}) : side.begin_serve({.await_engine = true}));
  (void)bulk.get();
  return channel;
}

struct Packed {
  UniqueFd archive;
  std::vector<std::string> layers;
};

// Makes a VM and starts its far side. Waits for the hello if there is a judge.
Result<ReadyVm> make(const machine::VmSpec& spec, MachineAddress address, const Judge& judge,
                     const Progress& progress) {
  machine::Vm vm = TRY(machine::prepare_vm(spec));
  progress("creating a VM with " + spec.wanted.provider + " (" + vm.name + ")");
  TRY(machine::create_vm(vm, spec, progress));
  TRY(machine::reach_vm(vm, spec, progress));
  address.target = vm.target;
  auto side = TRY(reach_patiently(address, progress, spec.limits.stop));
  Channel channel = TRY(await_engine(side, judge != nullptr));
  if (judge) TRY(judge(vm, *channel.hello));
  return ReadyVm{std::move(vm), std::move(address), std::move(side), std::move(channel), {}};
}

// Makes a VM that has this program and these images of the local engine. The images are packed while the VM boots.
Result<ReadyVm> make_ready(const machine::VmSpec& spec, MachineAddress address, const std::string& engine_socket,
                           const std::vector<std::string>& images, const Judge& judge, const Progress& progress) {
  auto packed = std::async(std::launch::async, [&]() -> Result<std::vector<Packed>> {
    // A stop ends this, too, because the destructor of the future waits for it.
    auto engine = TRY(docker::connect({engine_socket, "the job", spec.limits.stop}));
    std::vector<Packed> all;
    for (const auto& image : images) {
      auto layers = TRY(engine->layers(reference_of(image)));
      all.push_back({TRY(spool_image(*engine, reference_of(image))), std::move(layers)});
    }
    return all;
  });
  auto ready = TRY(make(spec, std::move(address), judge, progress));
  auto lacks = [&](const std::string& image) { return !has_image(*ready.channel.hello, image); };
  // Does not use the packed images. The future's destructor still waits until they are packed.
  if (std::ranges::none_of(images, lacks)) return ready;
  // An error in packing matters only now: a VM that has everything does not need the archives.
  auto archives = TRY(packed.get());
  for (size_t i = 0; i < images.size(); ++i)
    if (lacks(images[i]))
      TRY(send_image(archives[i].archive.get(), images[i], archives[i].layers, ready.side, progress));
  return ready;
}

// Prepares the VM's disk, except for the provider's part. The disk is then as it was when the VM was made, with the
// additions that must stay.
Result<> warm_up(ReadyVm& ready, const std::string& roots) {
  TRY(ready.side.send({"warm", ready.vm.offline ? "offline" : "online"},
                      [&](const Sink& sink) { return sink(roots); }));
  auto sealed = TRY(ready.side.connection().capture("sudo -n /usr/local/sbin/bottle-vm seal", {.timeout_ms = 120000}));
  auto answer = wire::decode<wire::DiskSealed>(sealed.out, wire::From::foreign);
  if (!answer || !answer->sealed)
    return fail(Code::unavailable,
                "preparing the VM's disk failed: " + folded(sealed.err.empty() ? sealed.out : sealed.err, 400));
  return {};
}

}  // namespace

Result<ReadyVm> make_session_vm(const Job& job, const std::string& vm_name, const Progress& progress) {
  machine::VmSpec spec = spec_of(job, vm_name);
  // The disk was baked with everything that the job needs, so nothing is packed, and the hello is judged when it comes
  // with the job's first answers (judge_baked).
  if (job.remote->task == wire::RemoteJob::Task::begin_unseen) {
    auto ready = TRY(make(spec, job.remote->address, nullptr, progress));
    TRY(machine::keep_vm(ready.vm, spec));
    return ready;
  }
  auto judge = [&](const machine::Vm& vm, const wire::Hello& hello) {
    return judge_vm(hello, job, vm.name, vm.offline);
  };
  auto ready = TRY(make_ready(spec, job.remote->address, job.engine, {job.remote->image}, judge, progress));
  // The token is the first secret that goes to the VM, so the VM was judged before.
  ready.token = TRY(hand_over_token(job, spec, ready, progress));
  TRY(machine::keep_vm(ready.vm, spec));
  return ready;
}

// Written by a thread that may outlive the reader.
struct PendingVm::Steps {
  std::mutex mutex;
  std::vector<std::string> lines;
};

PendingVm::PendingVm(const Job& job, const std::string& vm_name) : steps_(std::make_shared<Steps>()) {
  std::promise<Result<ReadyVm>> promise;
  ready_ = promise.get_future();
  // Copies everything it needs, because it may outlive the near side's objects.
  std::thread([job, vm_name, promise = std::move(promise), steps = steps_]() mutable {
    // Captures a copy, because the VM's FarSide keeps this function after the thread has ended.
    auto progress = [steps](const std::string& line) {
      std::lock_guard lock(steps->mutex);
      steps->lines.push_back(line);
    };
    promise.set_value(make_session_vm(job, vm_name, progress));
  }).detach();
}

std::vector<std::string> PendingVm::steps() {
  std::lock_guard lock(steps_->mutex);
  return std::exchange(steps_->lines, {});
}

std::optional<Result<ReadyVm>> PendingVm::result() {
  if (!is_ready(ready_)) return std::nullopt;
  return ready_.get();
}

Result<> judge_baked(const std::optional<wire::Hello>& hello, const Job& job, const std::string& vm_name,
                     bool offline) {
  const std::string& image = job.remote->image;
  // Without a hello, the answer was something else, such as that the program is missing.
  if (hello) TRY(judge_vm(*hello, job, vm_name, offline));
  if (hello && has_image(*hello, image)) return {};
  return fail(
      Code::conflict,
      "the VM's disk has changed since it was baked: it lacks the image " + reference_of(image) + " or this program",
      "run `bottle vm bake " + job.remote->vm->vm.name + "` again");
}

Result<std::string> bake_vm(const BakeJob& bake, const Progress& progress) {
  auto places = Directories::from(bake.spec.environment);
  auto provider =
      TRY(machine::Provider::find(bake.spec.wanted.provider, places, bake.spec.environment, bake.spec.limits));
  // The check comes first, because there is no use in making a VM whose disk cannot be kept.
  if (!provider.has("bake"))
    return fail(Code::not_found, "provider " + provider.name() + " cannot keep disks, because it has no hook bake",
                "docs/providers.md explains how to make an image yourself for options.image");
  auto baked = [&]() -> Result<std::string> {
    auto judge = [](const machine::Vm&, const wire::Hello& hello) {
      return check_engine(hello);
    };  // no secret is sent to this VM
    auto ready = TRY(make_ready(bake.spec, bake.address, bake.engine, bake.images, judge, progress));
    progress("keeping the VM's disk");
    TRY(warm_up(ready, bake.roots));
    // Ends all our programs on the VM before the provider copies its disk.
    ready.side.drop();
    std::string image = TRY(machine::keep_disk(ready.vm.record, bake.before, bake.spec, progress));
    if (bake.keep) TRY(bake.keep(image));
    return image;
  }();
  machine::DestroyOptions options{.environment = bake.spec.environment};
  // Destroys the VM even after an error, because it never has work that could be lost.
  auto gone = machine::destroy_vm(bake.spec.name, bake.spec.wanted.provider, places, options, progress);
  if (baked && (!gone || !gone->confirmed)) progress("VM " + bake.spec.name + " may still exist; see `bottle vm list`");
  return baked;
}

wire::VmReceipt receipt_of(const machine::Destroyed& d) {
  wire::VmDestruction how{d.provider, d.id, d.calls, d.seconds, d.made, d.at, d.left};
  if (d.confirmed) return {d.name, wire::VmGone{d.confirmed_by, std::move(how)}};
  return {d.name, wire::VmUncertain{.how = std::move(how)}};
}

Result<machine::Destroyed> destroy_session_vm(const std::string& vm_name, const std::string& provider, const Job& job,
                                              const Progress& progress) {
  machine::DestroyOptions options;
  if (job.remote->vm) options.environment = job.remote->vm->environment;
  return machine::destroy_vm(vm_name, provider, job.directories, options, progress);
}

}  // namespace bottle::remote
