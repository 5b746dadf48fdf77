// Manages the launchers that watch a session: the one that started it and those that attached later.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/os/poller.h"
#include "base/unique_fd.h"
#include "session/console/outbox.h"
#include "session/console/output_log.h"
#include "wire/event.h"
#include "wire/frames/frames.h"
#include "wire/guard/control.h"

namespace bottle::session {

// Holds the connections of a supervisor's clients and the output for those that come later. Must be used on one thread.
// The clients are processes of this user, so their frames are trusted.
class Clients {
 public:
  // `first` is the connection of the launcher that started the session. It is attached from the beginning. A client for
  // which more than `most_kept` bytes wait is disconnected, and may attach again: nothing but output may be dropped,
  // and a far machine can send any number of events.
  explicit Clients(UniqueFd first, size_t most_kept = 4 * Outbox::kMost);

  // Binds the session's socket with mode 0600, so that only the operator can connect. `path` must not exist yet.
  Result<> listen(const std::string& path);

  // Sends a frame to all clients. The agent's output goes only to those that attached, and is kept for those that
  // will attach. Never blocks: frames that a client does not read yet are kept for it (outbox.h), so that neither the
  // agent nor the session waits for a terminal.
  void send(wire::FrameType type, std::string_view bytes);
  void event(const wire::Event& event) { send(wire::FrameType::event, wire::encode(event)); }

  // Blocks until all clients have read everything, or until no client has read anything for `patience`. Call this
  // before the process exits. A client may be slow to read, because a terminal may be stopped, and a pager may wait
  // for a key.
  void drain(std::chrono::milliseconds patience);

  // Sends the answer to the clients that sent a frame of this type (metrics, decisions) and have not received an
  // answer.
  void answer(wire::FrameType type, std::string_view bytes);

  // add_to() adds the descriptors that the poller should watch, and handle() handles what it found. Every frame except
  // attach, detach and ping is passed to `on_frame`. Without `takes_input`, clients that have sent input must wait.
  void add_to(Poller& poller, bool takes_input = true) const;
  void handle(const Poller& poller, const std::function<void(const wire::Frame&)>& on_frame);

  // After hold_attaches(), requests to attach wait for one of the other two calls, because a near side takes the answer
  // as proof that the agent runs. fail() ends a session whose agent never ran: it sends the error to all clients, but
  // to those that wait for such an answer, or that have sent nothing yet and may be about to ask, it says with
  // Code::not_found that the agent never ran. Only from this code does a near side know that nothing is left to fetch.
  void hold_attaches() { answers_attaches_ = false; }
  void answer_attaches();
  void fail(const Error& error);

  // These functions are for the far side of a remote session. The near side is the last client that sent NearSideHere,
  // as long as it has sent something recently. near_side() returns its number, which is new each time, or 0 if there is
  // none. to_near_side() sends a message to it.
  uint32_t near_side() const;
  void to_near_side(const wire::ToNearSide& message);

  // Returns whether the launcher that started the session has exited. Before the agent runs, that ends the session.
  bool launcher_is_gone();

  // Returns the agent's latest output, which is saved for clients that come after this process has ended.
  const OutputLog& log() const { return log_; }

 private:
  // `launcher` started the session. Any other client is unknown until its first frame is handled.
  enum class Role { launcher, unknown, other };
  struct Client {
    UniqueFd fd;  // empty if the connection is gone; handle() then removes the client
    wire::FrameReader frames;
    Outbox outbox = Outbox();
    bool attached = false;
    Role role = Role::unknown;
    bool types = false;                       // whether it has sent input
    std::set<wire::FrameType> asked = {};     // the answers that it waits for
    std::optional<wire::Attach> attach = {};  // the request to attach that waits for its answer
    uint32_t near_side = 0;
    std::chrono::steady_clock::time_point heard = std::chrono::steady_clock::now();
  };
  // take() reads what a client sent and handles its frames. attach() sends it the output that it asks for. post() sends
  // it a frame, or keeps the frame until it reads.
  void take(Client& client, const std::function<void(const wire::Frame&)>& on_frame);
  void attach(Client& client, const std::string& request);
  void answer_attach(Client& client, const wire::Attach& attach);
  void post(Client& client, wire::FrameType type, std::string_view bytes);
  bool flush(Client& client);  // resets client.fd and returns false if the connection is gone

  UniqueFd listener_;
  std::list<Client> clients_;
  OutputLog log_;
  size_t most_kept_;
  uint32_t near_sides_ = 0;
  bool answers_attaches_ = true;
};

}  // namespace bottle::session
