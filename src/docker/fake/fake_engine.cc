// Every call first asks the test how it should end (begin()), and then changes the world under one lock, so that each
// call happens as a whole or not at all. Containers run as threads that talk to their client through a socket pair,
// with the engine's framing. The effect of a call is a function that changes the world. A late call runs it only when
// the test catches up or when is_abandoned() is called for its connection, like an engine that has not read its
// socket yet.

#include "docker/fake/fake_engine.h"

#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "docker/answers.h"

namespace bottle::docker {
namespace {

using Json = nlohmann::json;

constexpr int kKilled = 137;  // 128 + SIGKILL

// Returns the error that the client of an engine sees for this fault.
std::unexpected<Error> lost(const std::string& doing, Fault fault) {
  if (fault == Fault::silent || fault == Fault::late) return fail(Code::timed_out, doing + ": no answer in time");
  if (fault == Fault::lost) return fail(Code::closed, doing + ": the engine closed the connection");
  return fail(Code::internal, doing + ": the engine says: it was refused by the test");
}

Result<std::string> read_all(const Engine::Reader& reader) {
  std::string all, buffer(64 << 10, '\0');
  for (;;) {
    size_t n = TRY(reader(buffer.data(), buffer.size()));
    if (n == 0) return all;
    all.append(buffer, 0, n);
  }
}

Result<> done(Result<std::string> text) {
  (void)TRY(std::move(text));
  return {};
}

// Applies an instruction such as LABEL key="value" to the image.
void apply(const std::string& change, FakeImage& image) {
  size_t equals = change.find('=');
  if (!change.starts_with("LABEL ") || equals == std::string::npos) return;
  std::string value = change.substr(equals + 1);
  if (value.starts_with('"')) value = value.substr(1, value.size() - 2);
  image.labels[change.substr(6, equals - 6)] = value;
}

}  // namespace

// -- programs

// The other end is shut down when the container stops, which ends every read.
std::string FakeProcess::read(size_t size) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    ssize_t n = ::read(fd_.get(), bytes.data() + have, size - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += static_cast<size_t>(n);
  }
  bytes.resize(have);
  return bytes;
}

// Looks at what has arrived before it takes a line, because a call for each byte makes long input slow.
std::string FakeProcess::read_line() {
  std::string line;
  for (char arrived[4096]; !line.ends_with('\n');) {
    ssize_t n = ::recv(fd_.get(), arrived, sizeof arrived, MSG_PEEK);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return line;
    std::string_view bytes(arrived, static_cast<size_t>(n));
    line += read(std::min(bytes.find('\n'), bytes.size() - 1) + 1);
  }
  line.pop_back();
  return line;
}

void FakeProcess::write(std::string_view bytes, int stream) {
  std::string all;
  // An engine frames the output of a container without a terminal in this way (demux.h).
  if (!terminal_) {
    all = {static_cast<char>(stream), 0, 0, 0};
    for (int shift : {24, 16, 8, 0}) all += static_cast<char>(bytes.size() >> shift);
  }
  all += bytes;
  for (std::string_view left = all; !left.empty();) {
    ssize_t n = ::send(fd_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    left.remove_prefix(static_cast<size_t>(n));
  }
}

void FakeProcess::hang_up() { ::shutdown(fd_.get(), SHUT_RDWR); }

void FakeProcess::put(const std::string& path, const std::string& text) {
  docker_->with_world([&](FakeWorld& world) {
    auto container = world.container(container_);
    // A test's program may still run for a moment after its container was killed, and must leave no trace then.
    if (container && (*container)->state == FakeContainer::State::running)
      world.put(**container, path, {.text = std::make_shared<const std::string>(text)});
  });
}

std::optional<std::string> FakeProcess::file(const std::string& path) const {
  return docker_->with_world([&](FakeWorld& world) -> std::optional<std::string> {
    auto container = world.container(container_);
    const FakeFile* file = container ? world.file(**container, path) : nullptr;
    return file ? std::optional(*file->text) : std::nullopt;
  });
}

FakeDocker::~FakeDocker() {
  {
    // Shutting the sockets down ends programs that wait for input.
    std::scoped_lock hold(mutex_);
    for (auto& [id, stdio] : stdio_)
      if (stdio.other >= 0) ::shutdown(stdio.other, SHUT_RDWR);
  }
  // This happens without the lock, because a program that ends takes it.
  for (auto& thread : threads_) thread.join();
}

void FakeDocker::run(const std::string& id, FakeProcess process, const Program& program) {
  // The program runs without the lock, because it uses the engine's files.
  int status = program ? program(process) : 0;
  std::scoped_lock hold(mutex_);
  auto stdio = stdio_.find(id);
  if (stdio == stdio_.end() || stdio->second.other != process.fd_.get())
    return;  // the container has been started again
  finish(id, status);
  stdio_.erase(id);
}

void FakeDocker::finish(const std::string& id, int status) {
  if (auto stdio = stdio_.find(id); stdio != stdio_.end() && stdio->second.other >= 0)
    ::shutdown(stdio->second.other, SHUT_RDWR);
  auto container = world_.container(id);
  // It was removed or stopped in the meantime, and its exit status is set.
  if (!container || (*container)->state != FakeContainer::State::running) return;
  (*container)->state = FakeContainer::State::exited;
  (*container)->exit = status;
  ended_.notify_all();
}

Result<> FakeDocker::start(FakeWorld& world, const std::string& reference) {
  FakeContainer* container = TRY(world.container(reference));
  if (container->state == FakeContainer::State::running) return {};
  // An engine starts no container whose network is gone.
  for (const auto& network : container->networks) (void)TRY(world.network(network));
  container->state = FakeContainer::State::running;
  FakeProcess process;
  process.docker_ = this;
  process.container_ = container->id;
  process.terminal_ = member(container->config, "Tty") == true;
  auto& stdio = stdio_[container->id];
  // Without an attached client, there is no descriptor, and the program reads nothing.
  process.fd_ = std::move(stdio.own);
  stdio.other = process.fd_.get();
  Program program;
  for (const auto& tag : world.images.at(container->image).tags)
    if (auto it = programs_.find(tag); it != programs_.end()) program = it->second;
  threads_.emplace_back([this, id = container->id, process = std::move(process), program]() mutable {
    run(id, std::move(process), program);
  });
  return {};
}

Result<Attached> FakeDocker::attach(const std::string& reference) {
  std::scoped_lock hold(mutex_);
  FakeContainer* container = TRY(world_.container(reference));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("making a socket pair");
  stdio_[container->id].own.reset(ends[0]);
  return Attached(UniqueFd(ends[1]), "");
}

void FakeDocker::kill(const std::string& container) {
  std::scoped_lock hold(mutex_);
  if (auto found = world_.container(container)) finish((*found)->id, kKilled);
}

// -- calls

void FakeDocker::restore(FakeWorld world, const FakeCall* under_way) {
  std::scoped_lock hold(mutex_);
  world_ = std::move(world);
  if (under_way && under_way->connection) late_[under_way->connection] = {under_way->effect, 0};
}

void FakeDocker::catch_up() {
  std::scoped_lock hold(mutex_);
  for (const auto& [connection, late] : std::exchange(late_, {})) (void)late.first(world_);
}

Fault FakeDocker::begin(FakeCall call) {
  {
    std::scoped_lock hold(mutex_);
    // Numbers are counted for each method and object, so that they do not depend on the order of threads.
    for (const auto& before : calls_) call.nth += before.method == call.method && before.object == call.object;
    calls_.push_back({call.method, call.object, call.nth});
  }
  // The lock is not held, because the test's function may look at the world.
  return fault_ ? fault_(call) : Fault::none;
}

Result<std::string> FakeDocker::perform(const std::string& method, const std::string& object, const Effect& effect,
                                        const Note& note) {
  uint64_t end = 0;
  if (note) {
    end = with_world([&](FakeWorld&) { return ++connections_; });
    TRY(note(end));
  }
  std::string doing = method + " " + object;
  Fault fault = begin({.method = method, .object = object, .connection = end, .effect = effect});
  if (fault == Fault::refused || fault == Fault::cut || fault == Fault::shortened || fault == Fault::silent)
    return lost(doing, fault);
  std::scoped_lock hold(mutex_);
  if (fault == Fault::late) {
    // Only a request that creates something can be late, because only such a request leaves something behind
    // (docs/decisions/005-…). Without a note, no one can ask for it, and it is done in catch_up().
    if (!end && (method.starts_with("create ") || method.starts_with("import "))) end = ++connections_;
    if (end) late_[end] = {effect, 0};
    return lost(doing, fault);
  }
  std::string answer = TRY(during(doing, effect(world_)));
  if (fault == Fault::lost) return lost(doing, fault);
  return answer;
}

Result<Json> FakeDocker::ask(const std::string& method, const std::string& object,
                             const std::function<Result<Json>(FakeWorld&)>& answer) {
  Json json;
  (void)TRY(perform(method, object, [&](FakeWorld& world) -> Result<std::string> {
    json = TRY(answer(world));
    return "";
  }));
  // The forgery comes after the effect, because a hostile engine lies about what it has done.
  if (forge_) forge_({method, object}, json);
  return json;
}

class FakeEngine : public Engine {
 public:
  explicit FakeEngine(FakeDocker& docker) : docker_(docker) {}

  const std::string& socket() const override { return socket_; }
  const std::string& api_version() const override { return version_; }
  void stop_on(std::stop_token) override {}
  void note_creates(std::function<Result<>(uint64_t end)> note) override { note_ = std::move(note); }

  bool is_abandoned(uint64_t end) override {
    std::scoped_lock hold(docker_.mutex_);
    auto late = docker_.late_.find(end);
    if (late == docker_.late_.end()) return false;
    // At the first call, the request is still under way. Before the second call returns, the engine has carried it
    // out.
    if (late->second.second++ == 0) return true;
    (void)late->second.first(docker_.world_);
    docker_.late_.erase(late);
    return false;
  }

  Result<EngineInfo> info() override {
    auto answer = docker_.ask("info", "", [](FakeWorld&) {
      Json all = Json::parse(
          R"({"ID":"fake","ServerVersion":"1","KernelVersion":"6","DefaultRuntime":"runc",
              "Runtimes":{"runc":{"path":"runc"}},"SecurityOptions":["name=seccomp,profile=builtin"]})");
      utsname machine{};
      ::uname(&machine);
      all["Architecture"] = machine.machine;
      return all;
    });
    return read_info(TRY(std::move(answer)));
  }

  // -- containers

  Result<std::string> create_container(const std::string& name, const Json& config) override {
    return docker_.perform(
        "create container", name, [=](FakeWorld& world) { return world.create_container(name, config); }, note_);
  }
  Result<> start_container(const std::string& id, int) override {
    return act("start container", id, [this, id](FakeWorld& world) { return docker_.start(world, id); });
  }
  Result<> stop_container(const std::string& id, int) override {
    return act("stop container", id, [this, id](FakeWorld& world) -> Result<> {
      docker_.finish((TRY(world.container(id)))->id, 143);  // 128 + SIGTERM
      return {};
    });
  }
  Result<> remove_container(const std::string& name) override {
    return act("remove container", name, [this, name](FakeWorld& world) {
      if (auto found = world.container(name)) docker_.finish((*found)->id, kKilled);
      return world.remove_container(name);
    });
  }
  Result<int> wait_container(const std::string& id, int timeout_ms) override {
    (void)TRY(docker_.perform("wait for container", id, [](FakeWorld&) { return ""; }));
    std::unique_lock hold(docker_.mutex_);
    (void)TRY(docker_.world_.container(id));
    auto ended = [&] {
      auto container = docker_.world_.container(id);
      return !container || (*container)->state == FakeContainer::State::exited;
    };
    auto patience = std::chrono::milliseconds(timeout_ms > 0 ? timeout_ms : 60000);
    // Waits without the lock, and the container may be gone when it wakes.
    if (!docker_.ended_.wait_for(hold, patience, ended))
      return fail(Code::timed_out, "waiting for the container " + id);
    auto container = docker_.world_.container(id);
    // A container that was removed by force has been killed.
    return container ? (*container)->exit : kKilled;
  }
  Result<Json> inspect_container(const std::string& id) override {
    return docker_.ask("inspect container", id,
                       [&](FakeWorld& world) -> Result<Json> { return world.describe(*TRY(world.container(id))); });
  }
  Result<uint64_t> layer_size(const std::string& id) override {
    (void)TRY(docker_.ask("measure container", id,
                          [&](FakeWorld& world) -> Result<Json> { return world.describe(*TRY(world.container(id))); }));
    return 0;
  }
  Result<Attached> attach(const std::string& id) override {
    (void)TRY(docker_.perform("attach to container", id, [](FakeWorld&) { return ""; }));
    return docker_.attach(id);
  }
  Result<> resize(const std::string& id, int rows, int) override {
    return act("resize container", id, [=](FakeWorld& world) -> Result<> {
      (TRY(world.container(id)))->log += "resized to " + std::to_string(rows) + " rows\n";
      return {};
    });
  }
  Result<std::string> logs(const std::string& id, int) override {
    return docker_.perform("read log of container", id,
                           [&](FakeWorld& world) -> Result<std::string> { return (TRY(world.container(id)))->log; });
  }

  // -- archives

  Result<> put_archive(const std::string& id, const std::string& path, const Reader& reader) override {
    Fault fault = docker_.begin({.method = "put archive", .object = id + path});
    if (fault != Fault::none && fault != Fault::lost) return lost("sending files to " + path, fault);
    // A missing container is found before the archive is read, as an engine does.
    (void)TRY(docker_.with_world([&](FakeWorld& world) { return world.container(id); }));
    std::string archive = TRY(read_all(reader));
    TRY(docker_.with_world(
        [&](FakeWorld& world) -> Result<> { return world.unpack(*TRY(world.container(id)), path, archive); }));
    if (fault == Fault::lost) return lost("sending files to " + path, fault);
    return {};
  }
  Result<> get_archive(const std::string& id, const std::string& path, const Writer& writer) override {
    return stream("get archive", id + path, writer,
                  [&](FakeWorld& world) -> Result<std::string> { return world.pack(*TRY(world.container(id)), path); });
  }
  Result<> export_container(const std::string& id, const Writer& writer) override {
    return stream("export container", id, writer,
                  [&](FakeWorld& world) -> Result<std::string> { return world.pack(*TRY(world.container(id)), "/"); });
  }

  // -- networks and volumes

  Result<std::string> create_network(const std::string& name, const Json& config) override {
    return docker_.perform(
        "create network", name, [=](FakeWorld& world) { return world.create_network(name, config); }, note_);
  }
  Result<> connect_network(const std::string& network, const std::string& container, const Json&) override {
    return act("connect network", network + " " + container, [=](FakeWorld& world) -> Result<> {
      (void)TRY(world.network(network));
      (TRY(world.container(container)))->networks.insert(network);
      return {};
    });
  }
  Result<Json> inspect_network(const std::string& name) override {
    return docker_.ask("inspect network", name,
                       [&](FakeWorld& world) -> Result<Json> { return world.describe(*TRY(world.network(name))); });
  }
  Result<> remove_network(const std::string& name) override {
    return act("remove network", name, [=](FakeWorld& world) { return world.remove_network(name); });
  }
  Result<Json> inspect_volume(const std::string& name) override {
    return docker_.ask("inspect volume", name, [&](FakeWorld& world) -> Result<Json> {
      auto found = world.volumes.find(name);
      if (found == world.volumes.end()) return fail(Code::not_found, "the engine says: no such volume: " + name);
      return Json{{"Name", name}, {"Labels", found->second.labels}};
    });
  }
  Result<> remove_volume(const std::string& name) override {
    return act("remove volume", name, [=](FakeWorld& world) { return world.remove_volume(name); });
  }

  // -- images

  Result<bool> image_exists(const std::string& reference) override {
    auto found = inspect_image(reference);
    if (!found && found.error().code != Code::not_found) return std::unexpected(std::move(found.error()));
    return found.has_value();
  }
  Result<Json> inspect_image(const std::string& reference) override {
    return docker_.ask("inspect image", reference,
                       [&](FakeWorld& world) -> Result<Json> { return world.describe(*TRY(world.image(reference))); });
  }
  Result<> import_image(const std::string& reference, const Reader& reader,
                        const std::vector<std::string>& changes) override {
    std::string archive = TRY(read_all(reader));
    return act("import image", reference, [=](FakeWorld& world) -> Result<> {
      FakeContainer unpacked;
      TRY(world.unpack(unpacked, "/", archive));
      auto& image = world.add_image(reference);
      image.files = unpacked.files;
      for (const auto& change : changes) apply(change, image);
      return {};
    });
  }
  Result<> remove_image(const std::string& reference) override {
    return act("remove image", reference, [=](FakeWorld& world) { return world.remove_image(reference); });
  }
  Result<> tag_image(const std::string& id, const std::string& reference) override {
    return act("tag image", reference, [=](FakeWorld& world) -> Result<> {
      FakeImage* image = TRY(world.image(id));
      for (auto& [unused, each] : world.images) each.tags.erase(reference);
      image->tags.insert(reference);
      return {};
    });
  }
  Result<Json> images() override { return list("images", ""); }
  Result<Json> containers() override { return list("containers", ""); }
  Result<> save_image(const std::string& reference, const Writer& writer) override {
    return stream("save image", reference, writer, [&](FakeWorld& world) -> Result<std::string> {
      return (TRY(world.image(reference)))->id + " " + reference;
    });
  }
  Result<> load_image(const Reader& reader) override {
    std::string archive = TRY(read_all(reader));
    return act("load image", "", [=](FakeWorld& world) -> Result<> {
      world.add_image(archive.substr(archive.find(' ') + 1));
      return {};
    });
  }
  Result<std::vector<std::string>> layers(const std::string& reference) override {
    auto image = TRY(inspect_image(reference));
    return image["RootFS"]["Layers"].get<std::vector<std::string>>();
  }
  Result<Json> list_by_label(const std::string& kind, const std::string& label) override { return list(kind, label); }

 private:
  Result<> act(const std::string& method, const std::string& object,
               const std::function<Result<>(FakeWorld&)>& effect) {
    return done(docker_.perform(method, object, [effect](FakeWorld& world) -> Result<std::string> {
      TRY(effect(world));
      return "";
    }));
  }
  Result<Json> list(const std::string& kind, const std::string& label) {
    return docker_.ask("list", kind, [&](FakeWorld& world) { return world.list(kind, label); });
  }
  static constexpr size_t kEndMark = 1024;  // bytes at the end of an archive

  Result<> stream(const std::string& method, const std::string& object, const Writer& writer,
                  const FakeDocker::Effect& effect) {
    Fault fault = docker_.begin({.method = method, .object = object});
    if (fault != Fault::none && fault != Fault::cut && fault != Fault::shortened)
      return lost(method + " " + object, fault);
    std::string bytes = TRY(docker_.with_world([&](FakeWorld& world) { return effect(world); }));
    std::string_view left = bytes;
    if (fault == Fault::cut) left = left.substr(0, left.size() / 2);
    if (fault == Fault::shortened) left = left.substr(0, left.size() - std::min<size_t>(left.size(), kEndMark));
    for (constexpr size_t kPiece = 64 << 10; !left.empty(); left.remove_prefix(std::min(kPiece, left.size())))
      TRY(writer(left.substr(0, kPiece)));
    if (fault == Fault::cut) return lost(method + " " + object, Fault::lost);
    return {};
  }

  FakeDocker& docker_;
  std::string socket_ = "/run/fake-engine.sock", version_ = "1.47";
  FakeDocker::Note note_;
};

std::unique_ptr<Engine> FakeDocker::connect() { return std::make_unique<FakeEngine>(*this); }

}  // namespace bottle::docker
