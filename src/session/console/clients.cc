// No client may delay the session. Every read and write is non-blocking, and frames that a client does not read stay
// in its outbox. A connection that breaks is only marked (its descriptor is reset), and handle() removes it at its
// end, because a frame of that very client may be in handling, and its handler may send something to all clients.
#include "session/console/clients.h"

#include <sys/socket.h>

#include <utility>

#include "base/os/descriptors.h"
#include "wire/codec/failure.h"

namespace bottle::session {
namespace {

using wire::Frame, wire::FrameType;
constexpr auto kSilence = std::chrono::seconds(15);  // the near side sends something every five seconds
// Returns whether a near side announces itself with this line.
bool is_hello(const std::string& line) {
  auto message = wire::decode<wire::ToFarGuard>(line, wire::From::ours);
  return message && std::holds_alternative<wire::NearSideHere>(*message);
}
}  // namespace

Clients::Clients(UniqueFd first, size_t most_kept) : most_kept_(most_kept) {
  clients_.push_back({.fd = std::move(first), .attached = true, .role = Role::launcher});
}

Result<> Clients::listen(const std::string& path) {
  constexpr int kBacklog = 8;
  listener_ = TRY(listen_at(path, kBacklog));
  return {};
}

void Clients::send(FrameType type, std::string_view bytes) {
  bool output = type == FrameType::output || type == FrameType::diagnostic;
  if (output) log_.append(type, bytes);
  for (auto& client : clients_)
    if (!output || client.attached) post(client, type, bytes);
}

void Clients::drain(std::chrono::milliseconds patience) {
  auto deadline = Deadline::in(patience);
  size_t before = 0;
  for (;;) {
    Poller poller;
    size_t left = 0;
    for (auto& client : clients_) {
      if (!client.fd || !flush(client) || client.outbox.empty()) continue;
      poller.watch_writable(client.fd.get());
      left += client.outbox.size();
    }
    if (left == 0) return;
    if (left != before) deadline = Deadline::in(patience);  // a client reads
    before = left;
    if (deadline.is_over()) return;
    poller.wait(deadline.ms_left());
  }
}

void Clients::add_to(Poller& poller, bool takes_input) const {
  poller.watch(listener_.get());
  for (const auto& client : clients_) {
    // The other messages of a near side, such as a request to stop, cannot wait for the agent to read.
    if (takes_input || !client.types || client.near_side != 0) poller.watch(client.fd.get(), !client.outbox.empty());
    else if (!client.outbox.empty()) poller.watch_writable(client.fd.get());
  }
}

void Clients::handle(const Poller& poller, const std::function<void(const Frame&)>& on_frame) {
  for (auto& client : clients_) {
    int fd = client.fd.get();
    if (poller.writable(fd) && !flush(client)) continue;
    if (poller.readable(fd)) take(client, on_frame);
  }
  std::erase_if(clients_, [](const Client& client) { return !client.fd; });
  // Accepts last, because a new connection may get the number of a descriptor that was closed above.
  if (listener_ && poller.readable(listener_.get()))
    if (UniqueFd fd = accept_connection(listener_.get())) clients_.push_back({.fd = std::move(fd)});
}

// Reads once, so that a client that never stops sending does not keep the others waiting.
void Clients::take(Client& client, const std::function<void(const Frame&)>& on_frame) {
  char buffer[65536];
  ssize_t n = ::recv(client.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return client.fd.reset();
  client.heard = std::chrono::steady_clock::now();
  client.frames.feed({buffer, static_cast<size_t>(n)});
  while (auto frame = client.frames.next()) {
    if (client.role == Role::unknown) client.role = Role::other;
    if (frame->type == FrameType::detach) return client.fd.reset();
    if (frame->type == FrameType::input) client.types = true;
    // answer() sends the answer only to the clients that requested it.
    if (frame->type == FrameType::metrics || frame->type == FrameType::decisions) client.asked.insert(frame->type);
    if (frame->type == FrameType::attach) attach(client, frame->bytes);
    else if (frame->type == FrameType::ping) post(client, FrameType::pong, frame->bytes);
    else if (frame->type != FrameType::guard) on_frame(*frame);
    else {
      // A near side that reconnects gets a new number, and from then on, messages of an older connection are ignored.
      if (is_hello(frame->bytes)) client.near_side = ++near_sides_;
      if (client.near_side && client.near_side == near_sides_) on_frame(*frame);
    }
    if (!client.fd) return;
  }
}

void Clients::answer(FrameType type, std::string_view bytes) {
  for (auto& client : clients_)
    if (client.asked.erase(type) > 0) post(client, type, bytes);
}

void Clients::attach(Client& client, const std::string& request) {
  auto attach = wire::decode<wire::Attach>(request, wire::From::ours);
  client.attached = true;
  // Only a foreign program sends a request that cannot be read.
  if (!attach) return client.fd.reset();
  if (answers_attaches_) return answer_attach(client, *attach);
  client.attach = std::move(*attach);
}

void Clients::answer_attaches() {
  answers_attaches_ = true;
  for (auto& client : clients_)
    if (auto attach = std::exchange(client.attach, {}); attach && client.fd) answer_attach(client, *attach);
}

void Clients::fail(const Error& error) {
  const Error never_ran{Code::not_found, "the agent never ran: " + error.what};
  for (auto& client : clients_) {
    const bool may_attach = client.attach || client.role == Role::unknown;
    post(client, FrameType::failure, wire::encode(may_attach ? never_ran : error));
  }
}

void Clients::answer_attach(Client& client, const wire::Attach& attach) {
  // The position and the output are added together, so that no other output can come between them.
  client.outbox.add_encoded(log_.answer(attach));
  (void)flush(client);
}

void Clients::post(Client& client, FrameType type, std::string_view bytes) {
  if (!client.fd) return;
  client.outbox.add(type, bytes);
  if (flush(client) && client.outbox.size() > most_kept_) client.fd.reset();
}

// Leaves a client whose connection is gone in the list, because a frame of that client may be in handling.
bool Clients::flush(Client& client) {
  if (!client.outbox.flush(client.fd.get())) client.fd.reset();
  return static_cast<bool>(client.fd);
}

// A silent connection may be broken although neither side has noticed, so a near side that has sent nothing recently
// counts as gone.
uint32_t Clients::near_side() const {
  uint32_t last = 0;
  auto now = std::chrono::steady_clock::now();
  for (const auto& client : clients_)
    if (client.fd && client.near_side > last && now - client.heard < kSilence) last = client.near_side;
  return last;
}

void Clients::to_near_side(const wire::ToNearSide& message) {
  uint32_t number = near_side();
  for (auto& client : clients_)
    if (number && client.near_side == number) return post(client, FrameType::guard, wire::encode(message));
}

bool Clients::launcher_is_gone() {
  if (clients_.empty() || clients_.front().role != Role::launcher || !clients_.front().fd) return true;
  // Frames that the launcher sent before it exited may still be unread, so only the connection's state counts.
  return is_hung_up(clients_.front().fd.get());
}

}  // namespace bottle::session
