// Names the fields of the first messages of a remote machine. The machine may have invented all of it. Each number
// and list therefore has a bound that a real machine stays below, so that no later sum overflows and no later message
// grows without limit. An engine that does not answer is an error in the hello, not a missing hello, so that the
// operator learns why.
#include "wire/start/hello.h"

#include <array>

#include "wire/codec/failure.h"
#include "wire/start/version.h"

namespace bottle::wire {

constexpr int64_t kLatest = int64_t{1} << 53;  // in milliseconds; sums of such times must not overflow
constexpr size_t kIdentity = 1000;             // for the reference and the id of an image

constexpr std::array kInterfaceKinds = {"bridge", "tun", "wireguard", "overlay", "ppp", "vpn", "other"};
static_assert(kInterfaceKinds.size() == static_cast<size_t>(InterfaceKind::other) + 1);

std::string word_of(InterfaceKind kind) { return kInterfaceKinds[static_cast<size_t>(kind)]; }

static void fields(Object& o, Interface& interface) {
  o.words("name", interface.name, kName);
  o.choice("kind", interface.kind, kInterfaceKinds);
}

static void fields(Object& o, Route& route) {
  o.words("device", route.device, kName);
  o.text("to", route.to, kName);
}

static void fields(Object& o, EngineHello& engine) {
  o.words("socket", engine.socket, kPath);
  o.words("api", engine.api, kName);
  o.words("version", engine.version, kName);
  o.flag("rootless", engine.rootless);
  o.texts("runtimes", engine.runtimes, kFew, kName);
  o.words("cgroup", engine.cgroup, kName);
  o.words("cgroup_driver", engine.cgroup_driver, kName);
  o.flag("memory_limit", engine.memory_limit);
  o.flag("cpu_limit", engine.cpu_limit);
  o.flag("pids_limit", engine.pids_limit);
  o.flag("seccomp", engine.seccomp);
  o.words("storage", engine.storage, kName);
  o.text_if_any("id", engine.id, kName);  // compared, so it is not cleaned like text for people
}

// An engine that does not answer has only this field.
static void fields(Object& o, Result<EngineHello>& engine) {
  if (!o.optional("error", !engine)) return fields(o, engine ? *engine : engine.emplace());
  Error why = engine ? Error{} : engine.error();
  o.object("error", why);
  engine = std::unexpected(std::move(why));
}

void fields(Object& o, Hello& hello) {
  // Distinguishes a hello from anything else that a login script may print.
  o.constant("bottle", "far");
  o.version("version", kVersion);
  o.number("uid", hello.uid);
  o.number("gid", hello.gid);
  o.words("kernel", hello.kernel, kName);
  o.text("machine", hello.machine, kName);
  o.number("clock_ms", hello.clock_ms, int64_t{0}, kLatest);
  o.number("memory", hello.memory);
  o.number("disk_free", hello.disk_free);
  o.number("cpus", hello.cpus);
  o.objects("interfaces", hello.interfaces, kMany);
  o.objects("routes", hello.routes, kMany);
  // Identities are compared with ours, so they are not cut or cleaned like text for people.
  o.texts("images", hello.images, kMany, kIdentity);
  o.flag("mosh", hello.mosh);
  o.flag("token", hello.token);
  o.text_if_any("roots", hello.roots, kName);
  o.number_if_set("engine_at", hello.engine_at);
  o.object("engine", hello.engine);
}

void fields(Object& o, Absent& absent) {
  o.constant("bottle", "absent");
  o.words("machine", absent.machine, kName);
  o.words("system", absent.system, kName);
}

void fields(Object& o, Refused& refused) {
  o.constant("bottle", "refused");
  o.words("error", refused.what, kWords);
  o.words("todo", refused.todo, kWords);
}

Result<std::variant<Hello, Absent, Refused>> decode_greeting(std::string_view line) {
  // Tries the short messages first, so that an error is about the hello, which is the expected message.
  if (auto absent = decode<Absent>(line, From::foreign)) return std::move(*absent);
  if (auto refused = decode<Refused>(line, From::foreign)) return std::move(*refused);
  return TRY(decode<Hello>(line, From::foreign));
}

void fields(Object& o, KnownMachine& known) {
  o.number("learned_ms", known.learned_ms, int64_t{0}, kLatest);
  o.object("hello", known.hello);
}

static void fields(Object& o, ImageLayers::Image& image) { o.texts("layers", image.layers, kFew, kName); }

void fields(Object& o, ImageLayers& layers) { o.objects("images", layers.images, kFew); }

}  // namespace bottle::wire
