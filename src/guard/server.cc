// Owns the objects that the process has one of, and runs everything from one loop. The control channel is read line
// by line. An invalid `configure` changes nothing: it is compiled completely, and its listeners are opened, before
// old ones are closed. A listener whose address stays keeps its socket, so that no client is refused in between.
// Connections keep the configuration that they began with until their next request, and are woken so that tunnels
// notice new rules.
//
// Clients that find no room wait in the listener's queue for a second, because bursts pass. After that, they are
// refused, with an answer that says why. As long as clients must wait, the listeners are not watched: they are
// level-triggered, and the loop would spin.
#include "guard/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/hardening.h"
#include "base/os/signals.h"
#include "guard/connection/connection.h"
#include "guard/serve.h"
#include "guard/ssh_agent.h"

namespace bottle::guard {
namespace {

// The most bytes of a configuration or of one message.
constexpr size_t kMostControl = 16 << 20;

// Returns `at` with the port that the system chose, if `at` has port 0.
policy::Endpoint bound_to(int fd, policy::Endpoint at) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0)
    at.port = ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                                                  : reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
  return at;
}

// Reads the configuration of a guard that runs alone.
Result<std::string> read_to_end(int fd) {
  std::string bytes;
  while (true) {
    size_t n = TRY(read_some(fd, {scratch, kScratch}, "reading the configuration"));
    if (n == 0) return bytes;
    bytes.append(scratch, n);
    if (bytes.size() > kMostControl) return fail(Code::limit, "the configuration is larger than 16 MB");
  }
}

}  // namespace

std::string Server::listening() const {
  std::string text;
  for (const auto& each : listeners_)
    text += (text.empty() ? "" : " ") + to_string(bound_to(each.source->fd(), each.at));
  return text;
}

// Returns whether to refuse the clients that wait. A burst of connections is likely to pass, so they wait for a
// moment first.
bool Server::has_been_full() const {
  constexpr int64_t kPatience = 1000;
  return full_since_ != kNever && context_.loop.now() - full_since_ >= kPatience;
}

// Returns whether a client may be accepted, to be served or refused. While the record is congested, clients wait.
bool Server::may_accept() const { return !context_.audit.congested() && (context_.has_room() || has_been_full()); }

// Accepts the clients that wait, and serves or refuses them.
void Server::accept(Source& listener) {
  constexpr int kAtOnce = 64;  // so that the existing connections have their turn
  for (int i = 0; i < kAtOnce; ++i) {
    bool room = context_.has_room();
    if (!room && full_since_ == kNever) full_since_ = context_.loop.now();
    if (!may_accept()) {
      accepting_ = false;
      return;
    }
    UniqueFd fd = accept_connection(listener.fd(), Waits::no);
    if (!fd && (errno == EMFILE || errno == ENFILE) && accept_with_spare(listener)) continue;
    if (!fd) {
      // Listeners are level-triggered, so the loop would spin. A later turn tries again.
      if (is_full(errno)) {
        accepting_ = false;
        pause_until_ = context_.loop.now() + kAcceptPause;
      }
      return;
    }
    // The client's socket exists either way, because only an accepted client can be told that it is refused.
    if (room) {
      full_since_ = kNever;
      serve(context_, fd.release());
    } else {
      refuse(std::move(fd));
    }
  }
}

// Refuses a client although there is no descriptor for it. Returns false if it must wait, with errno unchanged.
bool Server::accept_with_spare(Source& listener) {
  // The calls below change errno, which the caller still needs.
  int error = errno;
  if (full_since_ == kNever) full_since_ = context_.loop.now();
  if (spare_ && has_been_full()) {
    spare_.reset();
    UniqueFd fd = accept_connection(listener.fd(), Waits::no);
    bool refused = static_cast<bool>(fd);
    if (fd) refuse(std::move(fd));
    spare_.reset(fcntl(signals_.fd(), F_DUPFD_CLOEXEC, 3));
    if (refused) return true;
  }
  errno = error;
  return false;
}

// Tells a client that there is no room for it.
void Server::refuse(UniqueFd client) {
  std::string id = context_.new_id();
  context_.audit.write({.id = id,
                        .action = Action::close,
                        .kind = Kind::connect,
                        .code = kTooMany,
                        .reason = "the guard has as many connections as it can hold; close some of them"});
  std::string answer = answer_of_guard(503, kTooMany, id, After::close);
  // The request has usually arrived. If it were not read, closing would reset the connection and discard the answer.
  (void)::recv(client.get(), scratch, kScratch, MSG_DONTWAIT);
  (void)::send(client.get(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(client.get(), SHUT_WR);
}

// Takes the connections that the owner of a broker passes to it.
void Server::take_connections() {
  for (;;) {
    auto fd = take_descriptor(connections_.fd());
    if (!fd && fd.error().code == Code::closed) context_.loop.stop();  // the owner is dead
    if (!fd) return;
    if (!*fd) continue;
    // The flag belongs to the open socket and not to the descriptor, so the sender may not have set it.
    fcntl(fd->get(), F_SETFL, fcntl(fd->get(), F_GETFL) | O_NONBLOCK);
    if (!context_.has_room()) refuse(std::move(*fd));
    else if (context_.config) serve(context_, fd->release());
  }
}

// Opens the listeners that are new. The others have no source in the list, and keep theirs.
Result<std::vector<Server::Listener>> Server::open_new(const Config& config) const {
  std::vector<Listener> next;
  for (const auto& at : config.listen) {
    next.push_back({at, nullptr});
    auto count = [&](const std::vector<Listener>& list) { return std::ranges::count(list, at, &Listener::at); };
    if (count(next) <= count(listeners_)) continue;
    UniqueFd fd = TRY(open_listener(at, SOCK_STREAM));
    next.back().source = std::make_unique<Source>();
    next.back().source->open(fd.release(), nullptr);
  }
  return next;
}

// Accepts clients at the listeners from open_new(), and closes those that are no longer needed.
void Server::listen_on(std::vector<Listener> next) {
  for (auto& each : next) {
    // A listener with the same address moves to the new list, with the clients in its queue.
    auto same = [&](const Listener& old) { return old.source && old.at == each.at; };
    if (!each.source) each.source = std::move(std::ranges::find_if(listeners_, same)->source);
    each.source->on_event = [this, raw = each.source.get()](uint32_t) { accept(*raw); };
    each.source->watch();
  }
  // An event of this turn may still refer to them.
  for (auto& old : listeners_)
    if (old.source) {
      old.source->close();
      retired_.push_back(std::move(old));
    }
  listeners_ = std::move(next);
}

// Makes a configuration the current one.
Result<> Server::configure(const wire::GuardConfig& wanted) {
  std::shared_ptr<const Config> config = TRY(compile(wanted));
  // A guard that runs alone is its own authority. Under a supervisor, the session's root signs its authority.
  if (!context_.ca) context_.ca = has_owner() ? TRY(SessionCa::make()) : TRY(SessionCa::self_signed());
  std::vector<Listener> listeners = TRY(open_new(*config));
  DnsServer::Sockets dns;
  if (config->dns) dns = TRY(dns_.open_new(*config->dns));
  // Nothing fails from here on. Clients come only now, because they need the configuration.
  auto before = std::exchange(context_.config, config);
  listen_on(std::move(listeners));
  if (config->dns) dns_.listen_on(*config->dns, std::move(dns));
  if (!before) {
    // Later configurations only repeat what this guard itself has reported since.
    context_.budget.resume(wanted.used);
    release_program_file();  // most of what ran until now was for the start
  }
  context_.budget.use(config->limits.list());
  context_.resolver.use(config->resolver);
  // Open tunnels judge again whether they may continue.
  for (Waker* each : context_.wakers) each->wake();
  return {};
}

// Messages and audit lines share a buffer, so that they cannot mix and keep their order.
void Server::say(wire::FromGuard message) { context_.audit.raw(wire::encode(message) + "\n"); }

// Tells the owner what was used, soon after a change. Returns after how many milliseconds to call it again, or -1 for
// never. A guard that runs alone has no owner to tell.
int Server::tell_usage() {
  constexpr int kEvery = 20;
  Budget& budget = context_.budget;
  if (!has_owner() || !budget.has_news()) return -1;
  int64_t now = context_.loop.now();
  if (now < usage_at_) return static_cast<int>(usage_at_ - now);
  // Every request changes the counts. Several changes share a message, which the owner writes to its disk.
  usage_at_ = now + kEvery;
  if (context_.audit.congested()) return kEvery;
  for (auto& hit : budget.take_hits()) say(std::move(hit));
  if (auto changed = budget.take_changed(); !changed.empty()) say(wire::Usage{std::move(changed)});
  return budget.has_news() ? kEvery : -1;
}

void Server::take(const wire::Configure& message) {
  if (auto done = configure(message.config); !done) return say(wire::GuardComplaint{done.error().what});
  say(wire::Ready{listening(), context_.ca->request()});
}

void Server::take(const wire::Certificate& message) {
  if (!context_.ca) return say(wire::GuardComplaint{"a certificate arrived before the configuration"});
  if (auto done = context_.ca->adopt(message.pem); !done) say(wire::GuardComplaint{done.error().what});
}

void Server::take(const wire::NearSideUp& message) {
  context_.near_side.set_up(message.up);
  if (!message.up) end_agent_calls(context_);
}

void Server::take(const wire::AgentAnswer& answer) { take_agent_answer(context_, answer); }
void Server::take(const wire::StreamPart& part) { context_.near_side.take(part); }
void Server::take(const wire::Shutdown&) { context_.loop.stop(); }

void Server::read_control() {
  ssize_t n = ::read(control_.fd(), scratch, kScratch);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return context_.loop.stop();  // the owner is dead, and no process would read the audit
  control_in_.append(scratch, static_cast<size_t>(n));
  size_t start = 0;
  for (size_t end; (end = control_in_.find('\n', start)) != std::string::npos; start = end + 1) {
    std::string_view line = std::string_view(control_in_).substr(start, end - start);
    if (line.empty()) continue;
    auto message = wire::decode<wire::ToGuard>(line, wire::From::ours);
    if (message) std::visit([this](const auto& each) { take(each); }, *message);
    else say(wire::GuardComplaint{message.error().what});
  }
  // Complete lines were removed, and the secrets in them are wiped. Freed heap memory goes back to the system,
  // because a configuration with its roots and secrets is large.
  if (start) {
    wipe(control_in_.data(), start);  // it contained secrets
    control_in_.erase(0, start);
    if (control_in_.empty()) {
      std::string().swap(control_in_);
      release_free_memory();
    }
  }
  // A message has no end, so the guard stops. The owner starts another one.
  if (control_in_.size() > kMostControl) context_.loop.stop();
}

// Configures a guard that has no owner: it reads its configuration from a descriptor and makes its own authority.
Result<> Server::stand_alone(Alone& alone) {
  auto text = TRY(read_to_end(alone.config.get()));
  context_.audit.open(alone.audit.get());
  TRY(configure(TRY(wire::decode<wire::GuardConfig>(text, wire::From::ours))));
  wipe(text.data(), text.size());
  if (listeners_.empty()) return fail(Code::invalid, "the configuration has no listen address");
  if (alone.ca_out) {
    TRY(write_all(alone.ca_out.get(), context_.ca->pem()));
    alone.ca_out.reset();
  }
  std::string().swap(text);
  release_free_memory();
  std::string line = "guard: listening on " + listening() + "\n";
  (void)write_all(STDERR_FILENO, line);
  return {};
}

void Server::take_signals(const Signals& signals) {
  while (auto number = signals.next()) {
    if (*number != SIGHUP) return context_.loop.stop();
    reload();
  }
}

// Applies a changed configuration. An invalid one changes nothing.
void Server::reload() {
  auto config = std::get<Alone>(mode_).reload();
  auto done = then(config, [this](const auto& changed) { return configure(changed); });
  std::string line = "guard: the configuration was read again";
  if (!done) line = "guard: the configuration was not changed, and the rules stay as they were: " + done.error().what;
  line += "\n";
  // A terminal that closes sends the same signal.
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EIO) context_.loop.stop();
}

// Allows the process as many descriptors as possible. Serves no more connections than there are descriptors for.
void Server::find_limits() {
  constexpr size_t kEach = 2, kOthers = 64;  // descriptors of a connection, and of everything else
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  // The usual soft limit, 1024, is for programs that use select(2).
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  size_t most = std::max<size_t>(files.rlim_cur, 2 * kOthers) - kOthers;
  context_.most_connections = std::min(kMaxConnections, most / kEach);
}

void Server::watch_signals(const Signals& signals) {
  // The Signals own their descriptor, and a Source owns its own, so it gets a copy.
  signals_.open(fcntl(signals.fd(), F_DUPFD_CLOEXEC, 3), nullptr);
  signals_.on_event = [this, &signals](uint32_t) { take_signals(signals); };
  signals_.watch();
  spare_.reset(fcntl(signals_.fd(), F_DUPFD_CLOEXEC, 3));
}

// Opens the control channel, or takes the configuration if there is no owner.
Result<> Server::begin() {
  if (auto* alone = std::get_if<Alone>(&mode_)) return stand_alone(*alone);
  context_.audit.open(STDOUT_FILENO);
  int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  if (in < 0) return context_.loop.stop(), Result<>();  // without stdin, there is no owner
  control_.open(in, nullptr);
  control_.on_event = [this](uint32_t) { read_control(); };
  control_.watch();
  if (auto* broker = std::get_if<AsBroker>(&mode_)) {
    connections_.open(broker->connections.release(), nullptr);
    connections_.on_event = [this](uint32_t) { take_connections(); };
    connections_.watch();
  }
  return {};
}

// Does what is due. Returns the number of milliseconds until something is due, or -1 if nothing will be.
int Server::turn() {
  // The events of the last turn are over, so nothing refers to these listeners any more.
  retired_.clear();
  int wait = context_.resolver.turn();
  auto sooner = [&](int ms) {
    if (ms >= 0 && (wait < 0 || ms < wait)) wait = ms;
  };
  sooner(tell_usage());
  sooner(dns_.turn());
  sooner(context_.audit.flush(context_.loop.now()));
  if (!accepting_) {
    // Level-triggered listeners would spin while the guard cannot accept.
    bool can = context_.loop.now() >= pause_until_ && may_accept();
    for (auto& each : listeners_)
      context_.loop.events().watch(each.source->fd(), each.source.get(), can ? EventQueue::kIn : 0u);
    accepting_ = can;
    if (!can) sooner(kAcceptPause);
  }
  return wait;
}

int Server::run() {
  find_limits();
  // This comes before the first secret arrives.
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);  // the memory contains secrets and the CA's key
  forbid_core_dumps();
  // write(2) to a pipe has no flag like MSG_NOSIGNAL.
  signal(SIGPIPE, SIG_IGN);
  const Alone* alone = std::get_if<Alone>(&mode_);
  Signals signals = alone && alone->reload ? Signals({SIGTERM, SIGINT, SIGHUP}) : Signals({SIGTERM, SIGINT});
  watch_signals(signals);
  if (auto ready = begin(); !ready) {
    std::string line = "guard: " + ready.error().what + "\n";
    (void)write_all(STDERR_FILENO, line);
    return 1;
  }
  context_.loop.run([this] { return turn(); });
  // The guard's last decisions must reach the record before it ends.
  context_.audit.drain();
  _exit(0);  // connections are coroutines with references everywhere, and the kernel closes them faster
}

}  // namespace bottle::guard
