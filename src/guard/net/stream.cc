// Reads once per call and writes until the peer takes no more, and keeps the number of bytes that all streams hold.
// With one read per call, the caller can pass bytes on before it reads more, and other connections get their turn.
//
// An idle stream has no buffers. Bytes are read into `scratch`, which all streams share, and only those that arrived
// are copied. Once a transfer has given `in` enough capacity, bytes are read straight into it, without that copy.
//
// These functions count the memory, not their callers, because most changes of the buffers happen here. Callers may
// also change `in` and `out`; the next call counts that.
#include "guard/net/stream.h"

#include <sys/socket.h>

#include <openssl/err.h>

#include <algorithm>
#include <cerrno>

namespace bottle::guard {

namespace {
// What TLS holds during a handshake, or while a part of a record is in its buffer, in addition to what an idle
// connection costs.
constexpr size_t kTlsBuffers = 24 * 1024;
constexpr size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
size_t g_held = 0;
}  // namespace

size_t held_by_streams() { return g_held; }
size_t* count_of_held() { return &g_held; }

Stream::~Stream() {
  drop_half_record();
  g_held -= held_;
}

void Stream::count() {
  bool busy = ssl && (!SSL_is_init_finished(ssl.get()) || SSL_has_pending(ssl.get()));
  size_t now = in.capacity() + out.capacity() + beside + (busy ? kTlsBuffers : 0) + (source ? source->ahead() : 0);
  // The numbers are unsigned and wrap, so a smaller `now` subtracts.
  g_held += now - held_;
  held_ = now;
}

bool Stream::fill() {
  count();
  if (eof || failed || !source) return false;
  // Only a stream that reads fails. Those that write can finish and free their memory.
  if (g_held > kMostHeld) return failed = true;
  if (!source->may_read() && !(ssl && SSL_has_pending(ssl.get()))) return false;
  size_t before = in.size();
  if (!(ssl ? read_tls() : read_plain())) return false;
  received += in.size() - before;
  count();
  return true;
}

bool Stream::read_plain() {
  ssize_t n = 0;
  size_t before = in.size();
  if (in.capacity() - before >= kScratch) {
    in.resize_and_overwrite(before + kScratch, [&](char* bytes, size_t) {
      n = source->recv(bytes + before, kScratch);
      return before + static_cast<size_t>(std::max<ssize_t>(n, 0));
    });
  } else {
    n = source->recv(scratch, kScratch);
    if (n > 0) in.append(scratch, static_cast<size_t>(n));
  }
  if (n < 0 && errno == EAGAIN) return false;
  if (n > 0) return true;
  // After a failed write has reported a reset, the end looks orderly, although it is not.
  (n == 0 && !source->cut ? eof : failed) = true;
  if (failed) why = source->why();
  return true;
}

// Reads one record.
bool Stream::read_tls() {
  // SSL_get_error() also looks at the thread's queue of errors, in which another connection may have left some.
  ERR_clear_error();
  source->tls_reads.left = 1;
  source->tls_reads.stopped = false;
  int n = 0;
  auto read = [&](char* to) { return n = SSL_read(ssl.get(), to, static_cast<int>(kRecord)); };
  size_t before = in.size();
  if (in.capacity() - before >= kRecord) {
    in.resize_and_overwrite(before + kRecord, [&](char* bytes, size_t) {
      return before + static_cast<size_t>(std::max(read(bytes + before), 0));
    });
  } else if (read(scratch) > 0) {
    // So many bytes belong to a larger transfer, for which the buffer grows once to its full size.
    if (before + static_cast<size_t>(n) > 2 * kRecord) in.reserve(kBulk + kRecord);
    in.append(scratch, static_cast<size_t>(n));
  }
  source->tls_reads.left = -1;
  if (n > 0) return true;
  int error = SSL_get_error(ssl.get(), n);
  if (error == SSL_ERROR_WANT_READ && source->tls_reads.stopped) source->wake();  // after the turn of others
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return false;
  (error == SSL_ERROR_ZERO_RETURN ? eof : failed) = true;
  // An empty reason is the end without close_notify (see tls_reason).
  if (error == SSL_ERROR_SSL) {
    why = tls_reason();
    unannounced_end = why.empty() && !source->cut;
  }
  return true;
}

// Handles a failed write as `writing` says.
void Stream::lose() {
  if (writing == Writing::required) failed = true;
  else writing = Writing::lost;
  out.clear();
  out_at = 0;
  count();
}

void Stream::queue(std::string& bytes) {
  // A few bytes are copied, because their memory may be much larger than they are.
  if (out.empty() && bytes.size() >= kRecord) out.swap(bytes);
  else out.append(bytes);
}

bool Stream::flush() {
  bool progress = false;
  while (out_at < out.size() && !failed && source) {
    // After a failed write, further bytes are dropped, so that the caller's loop can end as if they had been sent.
    if (is_deaf()) return lose(), progress;
    ssize_t n;
    if (ssl) {
      ERR_clear_error();
      // After a write that would block, the library must get the same bytes again (SSL_write(3)). `out` only grows at
      // its end, so it gets them, or more.
      size_t size = std::min(unsent(), kRecord);
      source->more_follows = size < unsent();
      n = SSL_write(ssl.get(), out.data() + out_at, static_cast<int>(size));
      source->more_follows = false;
      if (n <= 0) {
        int error = SSL_get_error(ssl.get(), static_cast<int>(n));
        if (error == SSL_ERROR_WANT_WRITE && in_tls_ == 0) in_tls_ = size;
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) break;
        return lose(), true;
      }
      in_tls_ = 0;
      // bio_write() reported success, so that the library can still read.
      if (source->cut) return lose(), true;
    } else {
      n = source->send(out.data() + out_at, out.size() - out_at);
      if (n < 0 && errno == EAGAIN) break;
      if (n < 0) return lose(), true;
    }
    out_at += static_cast<size_t>(n);
    sent += static_cast<uint64_t>(n);
    progress = true;
  }
  if (out_at == out.size()) {
    out.clear();
    out_at = 0;
  } else if (out_at > 256 * 1024) {
    // Removing the written bytes after every write would move the rest each time.
    out.erase(0, out_at);
    out_at = 0;
  }
  count();
  return progress;
}

bool Stream::take_back(uint64_t at) {
  if (at < sent + in_tls_) return false;
  if (at - sent < unsent()) out.resize(out_at + static_cast<size_t>(at - sent));
  return true;
}

void Stream::rest() {
  // Processing a session ticket leaves a write buffer behind, even with SSL_MODE_RELEASE_BUFFERS.
  if (ssl && SSL_is_init_finished(ssl.get())) SSL_free_buffers(ssl.get());
  // A smaller buffer may be within the string object, where it cannot be freed.
  if (in.empty() && in.capacity() > 64) std::string().swap(in);
  if (flushed() && out.capacity() > 64) {
    std::string().swap(out);
    out_at = 0;
  }
  count();
}

void bound_buffers(int socket) {
  int size = 128 << 10;  // in bytes; the kernel doubles it for its own overhead
  setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

void Stream::end_tls() {
  // During a handshake, the library refuses SSL_shutdown() and leaves an error behind.
  if (!ssl || failed || in_tls_ > 0 || !SSL_is_init_finished(ssl.get())) return;
  ERR_clear_error();
  source->more_follows = true;  // the end of the connection, in the same packet
  SSL_shutdown(ssl.get());
  source->more_follows = false;
}

void Stream::drop_half_record() {
  if (std::exchange(in_tls_, 0) > 0 && source) source->reset_on_close();
}

void Stream::reset() {
  drop_half_record();
  ssl.reset();
  source.reset();
  in.clear();
  out.clear();
  out_at = beside = 0;
  eof = failed = unannounced_end = false;
  writing = Writing::required;
  why = {};
  count();
}

}  // namespace bottle::guard
