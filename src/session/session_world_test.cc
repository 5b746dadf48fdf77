#include "session/session_world_test.h"

#include <openssl/x509.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/files/file.h"
#include "pki/certificate.h"
#include "session/console/client.h"
#include "session/console/clients.h"
#include "session/images/guard_image.h"
#include "session/ledger/names.h"
#include "session/run.h"
#include "transfer/delivery.h"
#include "wire/codec/failure.h"
#include "wire/frames/frames.h"
#include "wire/guard/control.h"

namespace bottle::session {
namespace {

using transfer::DeliveryWriter, wire::Frame, wire::FrameType, wire::Values, wire::receive_frame, wire::send_bytes;

namespace fs = std::filesystem;

constexpr const char* kSession = "x1";
constexpr const char* kImage = "agent:1";

// Returns a guard's certificate request. Its key is made only once, because that is slow.
std::string certificate_request() {
  static const std::string pem = [] {
    pki::Key key = pki::new_key();
    pki::Request request(X509_REQ_new());
    X509_REQ_set_version(request.get(), X509_REQ_VERSION_1);
    X509_REQ_set_pubkey(request.get(), key.get());
    X509_REQ_sign(request.get(), key.get(), EVP_sha256());
    return pki::to_pem(request.get());
  }();
  return pem;
}

// `add` returns what follows the answer to each configuration, and `last` what the guard writes when it is told to end.
int serve_as_guard(docker::FakeProcess& process, const std::function<std::string(const wire::GuardConfig&)>& add,
                   const std::function<std::string()>& last) {
  for (std::string line; !(line = process.read_line()).empty();) {
    auto message = wire::decode<wire::ToGuard>(line, wire::From::ours);
    if (!message) return 2;
    if (std::holds_alternative<wire::Shutdown>(*message)) {
      if (last) process.write(last());
      return 0;
    }
    const auto* configure = std::get_if<wire::Configure>(&*message);
    if (!configure) continue;
    wire::FromGuard ready = wire::Ready{"10.0.0.2:3128", certificate_request()};
    process.write(wire::encode(ready) + "\n" + (add ? add(configure->config) : ""));
  }
  return 0;
}

// Copies a directory, except for sockets, which cannot be copied.
void copy_tree(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  fs::permissions(to, fs::status(from).permissions());
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(from, gone)) {
    fs::path target = to / entry.path().filename();
    if (entry.is_symlink()) fs::copy_symlink(entry.path(), target, gone);
    else if (entry.is_directory()) copy_tree(entry.path(), target);
    else if (entry.is_regular_file()) fs::copy_file(entry.path(), target, gone);
  }
}

std::string label_of_the_dead() {
  Owner owner = Owner::self();
  owner.process.start_time += "1";
  return owner.to_label();
}

// Changes the labels of everything that this process made, so that it counts as dead.
void bury_owner(docker::FakeWorld& world) {
  std::string alive = Owner::self().to_label();
  auto mark = [&](auto& things) {
    for (auto& [name, each] : things)
      if (auto label = each.labels.find("bottle.owner"); label != each.labels.end() && label->second == alive)
        label->second = label_of_the_dead();
  };
  mark(world.containers);
  mark(world.networks);
  mark(world.volumes);
}

}  // namespace

TestSession::TestSession(Side side) {
  ::signal(SIGPIPE, SIG_IGN);  // as in main()
  job.plan.session = kSession;
  job.plan.agent = job.plan.bottle = job.plan.provider = "shell";
  job.plan.image.reference = kImage;
  job.plan.runtime = "auto";
  job.plan.workspace_mode = manifest::WorkspaceMode::copy;
  job.plan.workspace = scratch.path + "/project";
  job.plan.uid = ::getuid();
  job.plan.gid = ::getgid();
  job.plan.command = {"agent"};
  job.plan.headless = true;
  job.directories = scratch.directories;
  job.engine = "/run/fake-engine.sock";
  job.storage.id = "fake";
  job.from_near_side = side == Side::far;
  EXPECT_TRUE(make_directories(job.plan.workspace));
  EXPECT_TRUE(write_file_atomically(job.plan.workspace + "/a.txt", "one\n"));
  agent = [this](docker::FakeProcess& process, const wire::Go&) {
    process.write("the agent says hello\n");
    work(process);
    return 7;
  };
}

void TestSession::furnish(docker::FakeDocker& docker) {
  docker.with_world([](docker::FakeWorld& world) {
    world.add_image(guard_reference(), {{"bottle.image", "guard"}});
    world.add_image(kImage);
    (void)world.create_network(kEgressNetwork,
                               {{"Driver", "bridge"},
                                {"IPAM", {{"Config", {{{"Subnet", "10.99.0.0/24"}, {"Gateway", "10.99.0.1"}}}}}},
                                {"Options", {{"com.docker.network.bridge.enable_icc", "false"}}}});
    (void)world.create_volume("precious", {});
    (void)world.create_container("database", {{"Image", kImage}, {"HostConfig", {{"NetworkMode", "none"}}}});
  });
  docker.set_program(guard_reference(),
                     [this](docker::FakeProcess& process) { return serve_as_guard(process, guard, guard_end); });
  docker.set_program(kImage, [this](docker::FakeProcess& process) {
    process.read_line();
    process.write("\x1b]bottle;" + wire::encode(report) + "\x07");
    auto go =
        wire::decode<wire::Go>(process.read(std::strtoul(process.read(8).c_str(), nullptr, 16)), wire::From::ours);
    return go ? agent(process, *go) : 126;
  });
}

// Does the near side's part. Delivers the workspace once the session waits for it.
void TestSession::deliver(const std::atomic<bool>& over) const {
  std::string path = scratch.directories.session(kSession) + "/delivery";
  Result<UniqueFd> connected = fail(Code::not_found, path);
  while (!over && !(connected = connect_to(path))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (!connected) return;
  UniqueFd socket = std::move(*connected);
  DeliveryWriter writer([&](std::string_view bytes) { return send_bytes(socket.get(), bytes); });
  docker::TarWriter tar([&](std::string_view bytes) { return writer.data(bytes); });
  auto sent = [&]() -> Result<> {
    TRY(writer.begin("/"));
    TRY(tar.file("workspace/a.txt", 0644, 0, 0, "one\n"));
    TRY(tar.finish());
    TRY(writer.end_archive());
    return writer.finish();
  }();
  char ok[3];
  (void)::recv(socket.get(), ok, sizeof ok, MSG_WAITALL);
}

void Launcher::await(const std::string& what, const std::function<bool(const Frame&)>& is_wanted) {
  while (auto frame = receive_frame(fd_.get())) {
    frames_.push_back(*frame);
    if (is_wanted(*frame)) return;
  }
  ADD_FAILURE() << "the session ended before " << what;
}

void Launcher::await_output(const std::string& text) {
  std::string output;
  await("the output " + text, [&](const Frame& frame) {
    if (frame.type == FrameType::output) output += frame.bytes;
    return output.find(text) != std::string::npos;
  });
}

Outcome Launcher::outcome() {
  while (auto frame = fd_ ? receive_frame(fd_.get()) : fail(Code::closed, "")) frames_.push_back(*frame);
  Outcome outcome;
  for (const auto& frame : frames_) {
    if (frame.type == FrameType::result)
      if (auto result = wire::decode<wire::SessionResult>(frame.bytes, wire::From::ours)) outcome.result = *result;
    if (frame.type == FrameType::failure)
      if (auto error = wire::decode<Error>(frame.bytes, wire::From::ours)) outcome.failure = *error;
    if (frame.type == FrameType::output) outcome.output += frame.bytes;
  }
  if (fd_) EXPECT_NE(outcome.result.has_value(), outcome.failure.has_value()) << "the end is told exactly once";
  return outcome;
}

Outcome TestSession::run(docker::FakeDocker& docker, const std::function<void(Launcher&)>& take_part) {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Launcher launcher{UniqueFd(ends[1])};
  if (job.side() == Side::far) launcher.send(FrameType::values, wire::encode(Values{}));
  std::atomic<bool> over = false;
  auto near = std::async(std::launch::async, [&] {
    if (job.side() == Side::far) deliver(over);
    if (take_part) take_part(launcher);
  });
  {
    Clients clients{UniqueFd(ends[0])};
    session::run(job, clients, docker.connector(), input_patience);
    clients.drain(std::chrono::seconds(10));
  }
  over = true;
  near.get();
  return launcher.outcome();
}

std::vector<docker::FakeCall> TestSession::run_well() {
  docker::FakeDocker docker;
  furnish(docker);
  auto outcome = run(docker);
  EXPECT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  return docker.calls();
}

Moment TestSession::moment(docker::FakeDocker& docker, const docker::FakeCall& call) const {
  Moment now{call, {}, scratch.path + "-" + random_hex(4), scratch.path};
  docker.with_world([&](docker::FakeWorld& world) {
    now.world = world;
    copy_tree(scratch.path, now.directory);
  });
  return now;
}

void TestSession::go_to(const Moment& moment, docker::FakeDocker& docker, PendingCall pending) {
  fs::remove_all(scratch.path);
  copy_tree(moment.directory, scratch.path);
  std::string ledger = scratch.directories.session(kSession) + "/ledger";
  if (auto text = read_file(ledger)) {
    for (size_t at = 0; (at = text->find(moment.original, at)) != std::string::npos; at += scratch.path.size())
      text->replace(at, moment.original.size(), scratch.path);
    EXPECT_TRUE(write_file_atomically(ledger, *text));
  }
  furnish(docker);
  docker::FakeCall call = moment.call;
  call.effect = [effect = moment.call.effect](docker::FakeWorld& world) {
    auto done = effect(world);
    bury_owner(world);
    return done;
  };
  docker.restore(moment.world, pending == PendingCall::carried_out ? &call : nullptr);
  kill_owner(docker);
  auto world = moment.world;
  auto there = world.container(Names(kSession).agent);
  worked = there && world.file(**there, "/workspace/made.txt") && world.file(**there, "/workspace/made.txt")->text;
}

void TestSession::kill_owner(docker::FakeDocker& docker) {
  docker.with_world(bury_owner);
  std::string alive = Owner::self().to_label(), dead = label_of_the_dead();
  for (const char* below : {"sessions", "graves"}) {
    std::string path = scratch.path + "/" + below + "/" + kSession + "/ledger";
    auto text = read_file(path);
    size_t at = text ? text->find("\"" + alive + "\"") : std::string::npos;
    if (at != std::string::npos) EXPECT_TRUE(write_file_atomically(path, text->replace(at + 1, alive.size(), dead)));
  }
}

std::vector<Swept> TestSession::sweep_all(docker::FakeDocker& docker) {
  return sweep(scratch.directories, find_orphans(scratch.directories), docker.connector());
}

std::set<std::string> TestSession::left(docker::FakeDocker& docker) const {
  std::set<std::string> all;
  for (const auto& name : docker.world().names())
    if (name.find(std::string("bottle-") + kSession) != std::string::npos) all.insert(name);
  return all;
}

bool TestSession::is_home() const {
  std::string results = scratch.directories.results_of(kSession);
  for (const char* name : {"/changes.patch", "/workspace.tar"})
    if (auto text = read_file(results + name); text && text->find(kWork) != std::string::npos) return true;
  return false;
}

void TestSession::check(docker::FakeDocker& docker, const std::string& when) {
  auto world = docker.world();
  auto container = world.container(Names(kSession).agent);
  const docker::FakeFile* made = container ? world.file(**container, "/workspace/made.txt") : nullptr;
  auto view = read_ledger(scratch.directories, kSession);
  bool is_held = made && *made->text == kWork && view && view->work;
  if (worked) EXPECT_TRUE(is_home() || is_held) << when;
  bool is_recorded = view || read_grave(scratch.directories, kSession);
  for (const auto& name : left(docker)) EXPECT_TRUE(is_recorded) << when << " left " << name;
  auto names = world.names();
  for (const std::string name : {"container database", "volume precious", "network bottle-egress", "image agent:1"})
    EXPECT_TRUE(names.contains(name)) << when << " touched " << name;
}

void TestSession::check_end(docker::FakeDocker& docker, const std::string& when) {
  docker.catch_up();
  check(docker, when);
  EXPECT_EQ(left(docker), std::set<std::string>()) << when;
  if (worked) EXPECT_TRUE(is_home()) << when;
  EXPECT_TRUE(find_orphans(scratch.directories).empty()) << when;
}

}  // namespace bottle::session
