#include "session/vm_part.h"

#include <chrono>
#include <future>
#include <thread>

#include "session/image_transfer.h"

namespace bottle::session {
namespace {

using nlohmann::json;

constexpr int kSshPatience = 120, kEnginePatience = 300;  // seconds

machine::VmSpec spec_of(const Job& job, const std::string& vm_name) {
  const VmJob& wanted = *job.remote->vm;
  machine::VmSpec spec;
  spec.name = vm_name;
  spec.provider = wanted.provider;
  spec.session = job.plan.session;
  spec.options = wanted.options;
  spec.cpus = wanted.cpus;
  spec.memory = wanted.memory;
  spec.disk = wanted.disk;
  spec.ttl = wanted.ttl;
  spec.idle = wanted.idle;
  spec.keep = wanted.keep;
  spec.environment = wanted.environment;
  spec.path_to_self = job.path_to_self;
  return spec;
}

bool has_image(const Channel& channel, const std::string& reference) {
  for (const auto& image : channel.hello.value("images", json::array()))
    if (image == reference) return true;
  return false;
}

// A sshd that has just been given its new key takes a moment to listen again.
Result<FarSide> reach_patiently(const Far& far, const std::function<void(const std::string&)>& progress) {
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kSshPatience);
  for (;;) {
    auto side = FarSide::reach(far, false, progress);
    bool passing = !side && (side.error().code == Code::unavailable || side.error().code == Code::timed_out);
    if (!passing || std::chrono::steady_clock::now() > until) return side;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

// The engine starts some time after sshd. Each question is a channel of its own, and the first of them brings the program.
Result<Channel> await_engine(FarSide& side) {
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kEnginePatience);
  for (;;) {
    Channel channel = TRY(side.serve());
    auto engine = channel.hello.value("engine", json::object());
    std::string error = engine.is_object() && engine.contains("error") && engine["error"].is_string() ? engine["error"].get<std::string>() : "";
    if (error.empty()) return channel;
    if (std::chrono::steady_clock::now() > until) return fail(Code::timed_out, "the VM's container engine does not answer: " + cleaned(error).get<std::string>());
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

// By another way than the job's other values. Nothing to do where it is a file there already.
Result<Token> hand_over_token(const Job& job, const machine::VmSpec& spec, ReadyVm& ready, const std::function<void(const std::string&)>& progress) {
  Token token = job.token;
  auto found = job.values.secrets.find(token.name);
  if (token.via == Token::Via::job || !token.file.empty()) return token;
  if (found == job.values.secrets.end()) return fail(Code::not_found, "secret " + token.name + " has no value to send");
  const std::string& value = found->second;
  if (token.via == Token::Via::provider) {
    auto places = machine::Places::from(spec.environment);
    auto provider = TRY(machine::Provider::find(spec.provider, places, spec.environment));
    token.fetch = TRY(provider.put_secret(ready.vm.record.vm, token.name, value, progress));
    return token;
  }
  ready.channel = TRY(ready.side.serve({{kTokenVariable, value}}));
  if (ready.channel.hello.value("token", json()) != true) return fail(Code::unavailable, std::string("the token did not arrive: the VM's sshd drops the variable ") + kTokenVariable, "leave --token-via out");
  return token;
}

}  // namespace

Result<ReadyVm> make_session_vm(const Job& job, const std::string& vm_name, const std::function<Result<>(const json&)>& will_make,
                                const std::function<void(const std::string&)>& progress) {
  machine::VmSpec spec = spec_of(job, vm_name);
  spec.will_make = will_make;
  machine::Vm vm = TRY(machine::prepare_vm(spec));
  const std::string& image = job.plan.image.reference;
  std::vector<std::string> layers;
  auto packed = std::async(std::launch::async, [&]() -> Result<UniqueFd> {
    auto engine = TRY(docker::Engine::connect({job.engine, "the job"}));
    layers = TRY(engine.layers(image));
    return spool_image(engine, image);
  });
  progress("making a VM with " + spec.provider + " (" + vm_name + ")");
  TRY(machine::create_vm(vm, spec, progress));
  TRY(machine::reach_vm(vm, spec, progress));
  Far far = job.remote->far;
  far.target = vm.target;
  auto side = TRY(reach_patiently(far, progress));
  Channel channel = TRY(await_engine(side));
  if (!has_image(channel, image)) {
    UniqueFd archive = TRY(packed.get());
    TRY(send_image(archive.get(), image, layers, side, progress));
  }
  ReadyVm ready{std::move(vm), std::move(far), std::move(side), std::move(channel), {}};
  ready.token = TRY(hand_over_token(job, spec, ready, progress));
  return ready;
}

Result<machine::Destroyed> destroy_session_vm(const std::string& vm_name, const std::string& provider, const Job& job,
                                              const std::function<void(const std::string&)>& progress) {
  machine::DestroyOptions options;
  if (job.remote->vm) options.environment = job.remote->vm->environment;
  machine::Environment surroundings = options.environment;
  auto places = machine::Places::from(surroundings);
  return machine::destroy_vm(vm_name, provider, places, options, progress);
}

}  // namespace bottle::session
