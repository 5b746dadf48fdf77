// Implements one stream of an HTTP/2 session: a request and its answer. To the guard, it looks like an
// HTTP/1.1 connection with a single request. Pure.
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

// Holds the texts of one request and its answer. The session and the guard share it through pointers. The session
// keeps it as long as nghttp2 does, and the guard as long as it works on it. Either may be done first.
class Stream {
 public:
  // Adds to `total`, unless it is null, the bytes that the stream holds, as long as it exists.
  Stream(Session* session, size_t* total);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // --- the guard's side ---

  // Reads text from the peer, and allows the peer to send as much again. Returns 0 if there is none now.
  size_t read(char* buffer, size_t size);
  // Returns whether the peer has sent everything, and all of it was read.
  bool ended() const { return all_in() && in_at_ == in_.size(); }
  // Returns whether the stream was cut off. What arrived before can still be read if it is from a server, but not if it
  // is from a client, which no longer expects an answer.
  bool broken() const { return life_ == Life::broken; }
  // Returns whether the peer accepts no more text.
  bool closed() const { return life_ != Life::open; }
  // Returns why the head of the peer's message cannot be passed on, or an empty string if it can. If it cannot, there
  // is no text to read, but a request must still be answered. For an answer, this is also the reason if the guard has
  // ended the connection because of what the server sent.
  std::string_view fault() const { return fault_; }
  // Returns whether the server did not process the request, because it says so or did not receive it.
  bool refused() const { return asked_ == Asked::refused; }
  // Returns the reason that Session::cut() got for the end of the connection.
  std::string_view why() const { return why_; }
  // Takes text for the peer. Returns the number of bytes taken, which is 0 while the peer does not read.
  size_t write(std::string_view text);
  bool has_room() const { return room() > 0; }
  // Says that the guard writes no more text. This completes a message whose body has no other end.
  void end();
  // Says that the guard is done with the stream. If the message is complete, it is still sent; otherwise, the stream
  // is reset. Neither this stream nor its session calls `on_change` after that.
  void drop();
  // Returns the number of bytes that the stream holds.
  size_t held() const { return in_.capacity() + out_.capacity() + pending_.capacity(); }
  // The stream calls it when the result of one of the functions above has changed. It must not call the session.
  std::function<void()> on_change;

 private:
  friend class Session;
  // Says how much of the peer's message has arrived.
  enum class In : uint8_t { nothing, head, all };
  // Says how much of the message to the peer is done: its head was written, all of it was written, or its last frame
  // was sent.
  enum class Out : uint8_t { nothing, head, all, sent };
  // Says whether the head of the message to the peer was sent, and whether a server then did not process the request.
  enum class Asked : uint8_t { not_yet, sent, refused };
  enum class Life : uint8_t { open, closed, broken };

  // The most bytes that wait for the peer.
  static constexpr size_t kMostOut = 64 * 1024;
  // After this many bytes were taken from the front of a buffer, the rest moves to its front, unless most of it is
  // still needed. A buffer that never becomes empty would otherwise grow forever.
  static constexpr size_t kMostTaken = 64 * 1024;
  // The bytes of memory that the guard needs to work on a stream, in addition to what the stream holds.
  static constexpr size_t kCost = 8 * 1024;

  size_t room() const;
  bool all_in() const { return in_state_ == In::all; }
  bool all_written() const { return out_state_ >= Out::all; }
  // Ends the stream. A stream that was cut off stays in that state.
  void close(bool cut_off) {
    life_ = cut_off || broken() ? Life::broken : Life::closed;
    count();
  }
  void changed() {
    if (on_change) on_change();
  }
  void count();
  void receive(std::string_view payload);
  void append_to_chunk(std::string_view payload);
  void drop_what_was_read();
  void receive_end(std::string_view trailers);
  bool process();
  bool take_head(bool& final);

  Session* session_;  // null after the end of the session
  size_t* total_;
  size_t counted_ = 0;           // this stream's part of *total_
  int32_t id_ = -1;              // a request that the guard has not written yet has none
  std::shared_ptr<char> place_;  // counts as one of the streams that the guard works on
  Life life_ = Life::open;

  // The message from the peer:
  struct Arriving {
    Fields fields;
    size_t size = 0;
    bool too_large = false, malformed = false;
  };
  Arriving arriving_;  // a head, or trailers
  std::string fault_;
  std::string why_;     // why the stream was cut off, if TLS says so
  std::string method_;  // of the request
  std::string in_;      // text for the guard
  size_t in_at_ = 0;
  size_t chunk_at_ = 0, chunk_ = 0;  // the last chunk of `in_`: its offset, and the size of its payload
  size_t debt_ = 0;                  // bytes of DATA that were not yet returned to the peer's window
  size_t wider_ = 0;                 // by how much the peer's window was enlarged
  size_t returned_ = 0;              // bytes that were returned to the window since it was last enlarged
  Framing in_framing_ = Framing::none;
  In in_state_ = In::nothing;

  // The message to the peer:
  std::string pending_;  // text that is not translated yet
  std::string out_;      // payload
  size_t out_at_ = 0;
  http::Body body_;
  Out out_state_ = Out::nothing;
  bool deferred_ = false;  // nghttp2 waits for more of the body
  bool dropped_ = false;
  Asked asked_ = Asked::not_yet;
};

}  // namespace bottle::guard::h2
