// Implements one side of an HTTP/2 connection (RFC 9113). It has no socket and no clock: it takes bytes from the peer
// and produces bytes for the peer. nghttp2 reads and writes the frames; this class bounds the work and the memory
// that a peer can cause.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "guard/h2/allowance.h"
#include "guard/h2/stream.h"

struct nghttp2_session;

namespace bottle::guard::h2 {

enum class Role : uint8_t { server, client };

inline constexpr uint32_t kMostStreams = 100;                 // streams that a client may have open at the same time
inline constexpr size_t kMostFields = http::kMaxHeaders + 4;  // of a request
inline constexpr size_t kMostHead = http::kMaxHead;  // bytes of a request's fields, as RFC 9113 §6.5.2 counts them
inline constexpr size_t kMostBlock = 2 * http::kMaxAnswerHead;  // bytes of the frames of one head
// The initial windows: how many bytes a client or a server may send on a stream before the guard has read them. A
// stream whose body is read fast gets a larger window, because a distant or busy peer with a small one mostly waits.
inline constexpr uint32_t kClientWindow = 64 << 10, kServerWindow = 256 << 10;
inline constexpr uint32_t kMostClientWindow = 1 << 20, kMostServerWindow = 4 << 20;
// No window becomes larger while all sessions hold this many bytes, including what larger windows may take.
inline constexpr size_t kMostForWindows = 32 << 20;
inline constexpr size_t kMostDecoded = 4 * http::kMaxAnswerHead;  // bytes of fields after one head is decompressed

// Runs one side of the connection, on one thread. After the session is destroyed or cut, the streams that the guard
// still holds are broken or complete, and no longer call it.
class Session {
 public:
  // Adds to `total`, unless it is null, the bytes of memory that the session and its streams hold, including streams
  // that outlive the session. `total` must outlive all of them.
  explicit Session(Role role, size_t* total = nullptr);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes bytes from the peer. `now` is in milliseconds. Returns false if the connection must end. why() then says why,
  // and the caller should still send what transmit() returns.
  bool receive(std::string_view bytes, int64_t now);
  // Appends bytes for the peer to `out`, until it has `most` bytes or there are no more. Returns whether it appended
  // any.
  bool transmit(std::string& out, size_t most);
  // Returns why the session ended, or an empty string after an orderly end.
  const std::string& why() const { return why_; }
  // Returns whether the peer broke the protocol or exceeded a limit. It gets a last frame, and nothing more is read
  // from it.
  bool failed() const { return failed_; }
  // Returns whether neither side has anything more to send.
  bool over() const;
  // Cuts off all streams, because the connection has ended. `why` is the reason from TLS, if there is one.
  void cut(std::string_view why = {});
  // Accepts no new streams. The existing ones continue.
  void shut_down();

  // Returns the next stream that the client has opened, or null. Its whole head can be read, unless it has a fault().
  std::shared_ptr<Stream> accept();
  // Opens a stream to the server. The request goes out once the guard has written its head.
  std::shared_ptr<Stream> open();
  // Returns whether the server accepts another stream now. Until settled(), it accepts one.
  bool has_room() const;
  // Returns whether the peer has said how many streams it accepts.
  bool settled() const { return most_streams_.has_value(); }
  size_t streams() const { return streams_.size() + unborn_.size(); }
  // Returns the number of streams that the guard works on.
  size_t served() const { return static_cast<size_t>(places_.use_count()) - 1; }
  // Returns the number of frames without data that wait for transmit().
  size_t queued() const;
  // Returns the number of requests and answers so far that were malformed and therefore refused, and what was wrong
  // with the last one.
  uint64_t malformed() const { return malformed_; }
  const std::string& fault() const { return fault_; }

  // The session calls it when a stream has made something to transmit.
  std::function<void()> on_work;

 private:
  friend class Stream;
  struct Callbacks;
  using Streams = std::map<int32_t, std::shared_ptr<Stream>>;

  Stream* find(int32_t id) const;
  void work() {
    if (on_work) on_work();
  }
  bool fail(const char* why);
  bool refuse(Stream& stream, const char* why);
  bool pass_fault(Stream& stream, const Fields& fields, bool ended);
  bool note_malformed(std::string what);

  // Stream calls these functions.
  void give_back(Stream& stream, size_t bytes);
  void widen(Stream& stream, size_t bytes);
  void reset(Stream& stream);
  void resume(Stream& stream);
  void dropped(Stream& stream);
  bool submit(Stream& stream, const http::Head& head);

  // nghttp2's callbacks call these functions. They return false if the connection must end.
  bool begin_frame(uint8_t type, uint8_t flags, int32_t id);
  bool names_skipped_stream(int32_t id);
  bool begin_head(int32_t id, bool request);
  bool take_field(int32_t id, std::string_view name, std::string_view value, bool valid);
  bool frame_received(uint8_t type, uint8_t flags, int32_t id);
  bool head_received(Stream& stream, bool ended);
  bool data_received(int32_t id, std::string_view payload);
  void frame_sent(uint8_t type, uint8_t flags, int32_t id, size_t length);
  void ended_by(uint32_t code);
  void note_refusal(Stream& stream, uint32_t code);
  void stream_closed(int32_t id, uint32_t code);
  long provide(Stream& stream, char* buffer, size_t size, uint32_t* flags);

  Role role_;
  size_t* total_;
  nghttp2_session* session_ = nullptr;
  Streams streams_;                                    // the streams that are open in nghttp2
  std::map<Stream*, std::shared_ptr<Stream>> unborn_;  // streams whose request has no head yet
  std::map<int32_t, std::shared_ptr<Stream>> new_;     // streams that accept() will return
  // Each stream that the guard works on holds a copy, even after the peer has reset the stream.
  std::shared_ptr<char> places_ = std::make_shared<char>();
  int32_t highest_ = 0;        // the highest id of a stream that the client has opened
  std::set<int32_t> skipped_;  // some lower ids that the client did not use and must not use any more
  int64_t now_ = 0;
  size_t block_ = 0, decoded_ = 0;  // bytes of the head that is arriving
  bool in_head_ = false, shut_ = false, failed_ = false;
  std::optional<uint32_t> most_streams_;  // that the peer accepts, once it has said so
  std::string why_, fault_;
  std::string error_;  // what nghttp2 said last
  uint64_t malformed_ = 0;
  Allowance resets_{200, 50}, controls_{2000, 200};
};

}  // namespace bottle::guard::h2
