#include "session/console/clients.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/os/unix_socket.h"

namespace bottle::session {
namespace {
constexpr auto kSilence = std::chrono::seconds(15);  // the near side sends something every five seconds
bool is_hello(const std::string& line) {
  auto message = wire::decode<wire::ToFarGuard>(line, wire::From::ours);
  return message && std::holds_alternative<wire::NearSideHere>(*message);
}
}  // namespace

Clients::Clients(UniqueFd first) { clients_.push_back({.fd = std::move(first), .attached = true, .first = true}); }

Result<> Clients::listen(const std::string& path) {
  sockaddr_un address = TRY(unix_address(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("making a socket");
  ::umask(0077);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("binding " + path);
  if (::listen(fd.get(), 8) != 0) return fail_errno("listening on " + path);
  listener_ = std::move(fd);
  return {};
}

void Clients::send(FrameType type, std::string_view bytes) {
  bool output = type == FrameType::output || type == FrameType::diagnostic;
  if (output) log_.append(type, bytes);
  for (auto& client : clients_)
    if (!output || client.attached) post(client, type, bytes);
}

void Clients::drain(std::chrono::milliseconds patience) {
  auto until = std::chrono::steady_clock::now() + patience;
  size_t before = 0;
  for (;;) {
    std::vector<pollfd> fds;
    size_t left = 0;
    for (auto& client : clients_) {
      if (!client.fd || !flush(client) || client.outbox.empty()) continue;
      fds.push_back({client.fd.get(), POLLOUT, 0});
      left += client.outbox.size();
    }
    if (fds.empty()) return;
    auto now = std::chrono::steady_clock::now();
    if (left != before) until = now + patience;  // somebody reads
    before = left;
    auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(until - now).count();
    if (wait <= 0 || ::poll(fds.data(), fds.size(), static_cast<int>(wait)) < 0) return;
  }
}

void Clients::add_to(std::vector<pollfd>& fds) const {
  if (listener_) fds.push_back({listener_.get(), POLLIN, 0});
  for (const auto& client : clients_) {
    int events = client.outbox.empty() ? POLLIN : POLLIN | POLLOUT;
    fds.push_back({client.fd.get(), static_cast<short>(events), 0});
  }
}

void Clients::handle(const std::vector<pollfd>& fds, const std::function<void(const Frame&)>& on_frame) {
  for (const auto& p : fds) {
    if (!p.revents) continue;
    if (p.fd == listener_.get()) {
      UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) continue;
      clients_.push_back({.fd = std::move(fd)});
      continue;
    }
    auto client = std::ranges::find(clients_, p.fd, [](const Client& each) { return each.fd.get(); });
    if (client == clients_.end()) continue;
    if ((p.revents & POLLOUT) && !flush(*client)) continue;
    if (p.revents & ~POLLOUT) take(*client, on_frame);
  }
  std::erase_if(clients_, [](const Client& client) { return !client.fd; });
}

void Clients::take(Client& client, const std::function<void(const Frame&)>& on_frame) {
  char buffer[65536];
  ssize_t n = ::recv(client.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return client.fd.reset();
  client.heard = std::chrono::steady_clock::now();
  client.frames.feed({buffer, static_cast<size_t>(n)});
  while (auto frame = client.frames.next()) {
    if (frame->type == FrameType::detach) return client.fd.reset();
    if (frame->type == FrameType::attach) attach(client, frame->bytes);
    else if (frame->type == FrameType::ping) post(client, FrameType::pong, frame->bytes);
    else if (frame->type != FrameType::guard) on_frame(*frame);
    else {
      if (is_hello(frame->bytes)) client.relay = ++relays_;
      if (client.relay && client.relay == relays_) on_frame(*frame);
    }
    if (!client.fd) return;
  }
}

void Clients::attach(Client& client, const std::string& wish) {
  auto attach = wire::decode<wire::Attach>(wish, wire::From::ours);
  client.attached = true;
  if (!attach) return client.fd.reset();
  client.outbox.add_encoded(log_.answer(*attach));
  (void)flush(client);
}

void Clients::post(Client& client, FrameType type, std::string_view bytes) {
  if (!client.fd) return;
  client.outbox.add(type, bytes);
  (void)flush(client);
}

// Leaves a client whose connection is gone in the list, because a frame of that client may be in handling.
bool Clients::flush(Client& client) {
  if (!client.outbox.flush(client.fd.get())) client.fd.reset();
  return static_cast<bool>(client.fd);
}

uint32_t Clients::relay() const {
  uint32_t last = 0;
  auto now = std::chrono::steady_clock::now();
  for (const auto& client : clients_)
    if (client.fd && client.relay > last && now - client.heard < kSilence) last = client.relay;
  return last;
}

void Clients::to_relay(const wire::ToNearSide& message) {
  uint32_t number = relay();
  for (auto& client : clients_)
    if (number && client.relay == number) return post(client, FrameType::guard, wire::encode(message));
}

bool Clients::first_is_gone() {
  if (clients_.empty() || !clients_.front().first || !clients_.front().fd) return true;
  // What it sent before may still be waiting to be read.
  pollfd p{clients_.front().fd.get(), 0, 0};
  return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

}  // namespace bottle::session
