#include "session/clients.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/unix_socket.h"

namespace bottle::session {
namespace {
constexpr size_t kRemembered = 64 << 10;
}

Clients::Clients(UniqueFd first) { clients_.push_back({std::move(first), {}}); }

Result<> Clients::listen(const std::string& path) {
  sockaddr_un address = TRY(unix_address(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("making a socket");
  ::umask(0077);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return fail_errno("binding " + path);
  if (::listen(fd.get(), 8) != 0) return fail_errno("listening on " + path);
  listener_ = std::move(fd);
  return {};
}

void Clients::send(FrameType type, std::string_view bytes) {
  for (auto it = clients_.begin(); it != clients_.end();)
    it = send_frame(it->fd.get(), type, bytes) ? std::next(it) : clients_.erase(it);
}

void Clients::add_to(std::vector<pollfd>& fds) const {
  if (listener_) fds.push_back({listener_.get(), POLLIN, 0});
  for (const auto& client : clients_) fds.push_back({client.fd.get(), POLLIN, 0});
}

void Clients::handle(const std::vector<pollfd>& fds, const std::function<void(const Frame&)>& on_frame) {
  for (const auto& p : fds) {
    if (!p.revents) continue;
    if (p.fd == listener_.get()) {
      UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) continue;
      if (!recent_.empty()) (void)send_frame(fd.get(), FrameType::output, recent_);
      clients_.push_back({std::move(fd), {}});
      continue;
    }
    for (auto it = clients_.begin(); it != clients_.end(); ++it) {
      if (it->fd.get() != p.fd) continue;
      take(*it, on_frame);
      if (!it->fd) clients_.erase(it);
      break;
    }
  }
}

void Clients::take(Client& client, const std::function<void(const Frame&)>& on_frame) {
  char buffer[65536];
  ssize_t n = ::recv(client.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return client.fd.reset();
  client.frames.feed({buffer, static_cast<size_t>(n)});
  while (auto frame = client.frames.next()) {
    if (frame->type == FrameType::detach) return client.fd.reset();
    on_frame(*frame);
  }
}

bool Clients::first_is_gone() {
  if (clients_.empty()) return true;
  char c;
  return ::recv(clients_.front().fd.get(), &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void Clients::remember(std::string_view output) {
  recent_.append(output);
  if (recent_.size() > 2 * kRemembered) recent_.erase(0, recent_.size() - kRemembered);
}

}  // namespace bottle::session
