// This file is one stream of an HTTP/2 session: a request and its answer. The guard sees it as a connection that speaks
// HTTP/1.1 and carries a single request. The code is pure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "guard/h2/fields.h"
#include "http/body.h"

namespace bottle::guard::h2 {

class Session;

class Stream {
 public:
  explicit Stream(Session* session) : session_(session) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // --- the guard's side ---

  // Takes text that the peer has sent, and lets the peer send as much again. Returns 0 if there is none now.
  size_t read(char* buffer, size_t size);
  // Returns whether the peer has sent all, and all of it was read.
  bool ended() const { return in_ended_ && in_at_ == in_.size(); }
  // Returns whether the stream was cut off. What arrived before may still be read from a server, but not from a client,
  // which expects no answer any more.
  bool broken() const { return broken_; }
  // Returns whether the peer takes no more text.
  bool closed() const { return closed_; }
  // Returns whether the server refused to process the request, so that it may be sent again in any case.
  bool refused() const { return refused_; }
  // Takes text for the peer, and returns how much of it was taken: nothing while the peer does not read.
  size_t write(std::string_view text);
  bool has_room() const { return room() > 0; }
  // The guard writes no more text. A message whose body has no other end is complete.
  void end();
  // The guard is done with the stream. What it wrote still goes out if the message is complete; otherwise, the stream
  // is reset. Neither this stream nor its session calls `on_change` any more.
  void drop();
  // Returns the number of bytes that the stream holds.
  size_t held() const { return in_.capacity() + out_.capacity() + pending_.capacity(); }
  // Called when one of the answers above has changed. Must not call the session.
  std::function<void()> on_change;

 private:
  friend class Session;
  // The most bytes that wait for the peer.
  static constexpr size_t kMostOut = 64 * 1024;

  size_t room() const;
  void changed() {
    if (on_change) on_change();
  }
  void receive(std::string_view payload);
  void receive_end(std::string_view trailers);
  bool process();
  bool take_head(bool& final);

  Session* session_;             // null after the session's end
  int32_t id_ = -1;              // a request that the guard has not written yet has none
  std::shared_ptr<char> place_;  // counts as one of the streams that the guard works on

  // From the peer.
  Fields fields_;  // of the head or the trailers that are arriving
  size_t fields_size_ = 0;
  bool too_large_ = false, malformed_ = false;
  std::string method_;  // of the request
  std::string in_;      // text for the guard
  size_t in_at_ = 0;
  size_t debt_ = 0;  // bytes of DATA that were not given back to the peer's window
  Framing in_framing_ = Framing::none;
  bool head_seen_ = false, in_ended_ = false, broken_ = false, closed_ = false, refused_ = false;

  // To the peer.
  std::string pending_;  // text that is not translated yet
  std::string out_;      // payload
  size_t out_at_ = 0;
  http::Body body_;
  bool head_sent_ = false, out_ended_ = false, deferred_ = false, end_sent_ = false, dropped_ = false;
};

}  // namespace bottle::guard::h2
