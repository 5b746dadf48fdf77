// One side of a connection: a Source, TLS on it or not, and what was read or is still to be written.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "guard/core/loop.h"
#include "guard/core/tls.h"

namespace bottle::guard {

// Bytes that all streams of the process hold: buffers, and what TLS takes. The agent decides how many connections there
// are and how slowly they read, so there is a limit: beyond kMostHeld a stream that wants more fails.
size_t held_by_streams();
inline constexpr size_t kMostHeld = 128 << 20;

// What a peer does not read, the kernel holds, too, several megabytes for a connection that was quick before, and none
// of that counts above. This sets a limit of a quarter of a megabyte each way for the socket, and for those it accepts.
// A client is near; a host may be far away and slow with so little, so the first kWideConnections to hosts go without.
void bound_buffers(int socket);
inline constexpr size_t kWideConnections = 16;

struct Stream {
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  std::unique_ptr<Source> source;  // before ssl: the BIO names it
  Ssl ssl;
  std::string in, out;
  size_t out_at = 0;
  size_t beside = 0;    // bytes that are held for it elsewhere: they count, too
  bool eof = false;     // an orderly end: FIN, or close_notify under TLS
  bool failed = false;  // nothing more can be read or written
  // Whether a peer that takes no more is still read, because what it said before counts: an early answer to an upload,
  // a TLS alert. Else a failed write ends both directions.
  bool reads_on = false;
  bool deaf = false;     // with reads_on: the peer takes no more; what is written is dropped
  std::string_view why;  // of `failed`, where TLS says more than that the connection broke
  uint64_t received = 0, sent = 0;

  explicit operator bool() const { return source != nullptr; }
  // Reads once. True if that changed anything: bytes in `in`, or `eof`, or `failed`.
  bool fill();
  // Writes what the peer takes. True if bytes went.
  bool flush();
  bool flushed() const { return out_at == out.size(); }
  size_t unsent() const { return out.size() - out_at; }
  // Frees buffers: an idle connection costs little.
  void rest();
  // Sends close_notify if TLS is up; does not wait.
  void end_tls();
  void reset();

 private:
  void count();
  void lose();
  size_t held_ = 0;
};

}  // namespace bottle::guard
