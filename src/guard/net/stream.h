// Implements one side of a connection: a Source, with or without TLS, and the bytes that were read or are still to be
// written.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "guard/net/loop.h"
#include "guard/net/tls.h"

namespace bottle::guard {

// Returns the number of bytes that all streams of the process hold in buffers, including those of TLS. The agent
// decides how many connections exist and how slowly they read, so there is a limit: beyond kMostHeld, a stream that
// needs more fails. The memory of an idle stream does not count, because the number of connections is limited
// (kMostTls, kMaxConnections).
size_t held_by_streams();
// Returns a pointer to the same number, for HTTP/2 sessions, which add what they hold and subtract it later.
size_t* count_of_held();
inline constexpr size_t kMostHeld = 128 << 20;

// Limits the kernel's buffers for the socket, and for those that it accepts, to a quarter of a megabyte in each
// direction. Without this limit, the kernel would also hold what a peer does not read, several megabytes for a
// connection that was fast before, and held_by_streams() would not count that. Clients are near, so small buffers
// suffice for them. A host may be far away, where small buffers are slow, so the first kWideConnections to hosts have
// no limit.
void bound_buffers(int socket);
inline constexpr size_t kWideConnections = 16;

// The size of a read from a peer that sends much. In a larger read, each byte costs less.
inline constexpr size_t kBulk = 64 * 1024;

// Holds one side of a connection and its buffers. The coroutine that serves the connection owns and uses it. No
// member blocks: fill() and flush() do what is possible now, and the caller waits on the source's Waker. A caller
// moves bytes by appending to `out` and by removing from `in`.
struct Stream {
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  std::unique_ptr<Source> source;  // declared before `ssl`, whose BIO refers to it
  Ssl ssl;
  std::string in, out;
  size_t out_at = 0;    // bytes of `out` that were written already
  size_t beside = 0;    // bytes that are held for the stream elsewhere and count as well
  bool eof = false;     // an orderly end: FIN, or close_notify with TLS
  bool failed = false;  // nothing more can be read or written
  // The peer ended TLS with a FIN but without close_notify, as many servers do. `failed` is then also set.
  bool unannounced_end = false;
  // Says what a failed write means. With `optional`, reading continues after a failed write, because the peer may
  // have sent something important before: an early answer to an upload, or a TLS alert.
  enum class Writing : uint8_t {
    required,  // a failed write ends both directions
    optional,  // a failed write leads to `lost`
    lost,      // a write has failed, and further bytes are dropped
  } writing = Writing::required;
  std::string_view why;             // the reason for `failed`, if TLS reports more than a broken connection
  uint64_t received = 0, sent = 0;  // bytes of content, without what TLS adds

  explicit operator bool() const { return source != nullptr; }
  // Reads once. Returns true if that changed anything: bytes in `in`, `eof` or `failed`.
  bool fill();
  // Appends `bytes` to `out`. Takes over their memory if there are many, and leaves `bytes` unspecified.
  void queue(std::string& bytes);
  // Writes as much as the peer takes. Returns true if any bytes were written.
  bool flush();
  // Returns whether the peer takes no more, although it may still send.
  bool is_deaf() const { return writing == Writing::lost; }
  // Return whether everything was written, and how many bytes were not. Written bytes may still be in the kernel.
  bool flushed() const { return out_at == out.size(); }
  size_t unsent() const { return out.size() - out_at; }
  // Removes from `out` what follows the first `at` bytes of all that the stream sends, as in `sent`. Returns false,
  // and removes nothing, if some of it may have left.
  bool take_back(uint64_t at);
  // Frees buffers, so that an idle connection costs little.
  void rest();
  // Sends close_notify if TLS is established, unless only a part of a record has left. Does not wait. The source must
  // be shut or closed right afterward.
  void end_tls();
  // Closes the connection without close_notify, and makes the Stream like a new one, except for `received` and
  // `sent`. If only a part of a TLS record has left, this resets the connection, and so does the destructor. The peer
  // then sees an error, and not an end that some programs accept.
  void reset();

 private:
  bool read_plain();
  bool read_tls();
  void count();
  void lose();
  void drop_half_record();
  size_t held_ = 0;
  size_t in_tls_ = 0;  // unsent bytes that TLS has encrypted, and of which a part may have left
};

}  // namespace bottle::guard
