#include "guard/net/stream.h"

#include <sys/socket.h>

#include <openssl/err.h>

#include <cerrno>

namespace bottle::guard {

namespace {
// What TLS holds during a handshake, or while a part of a record is in its buffer, in addition to what an idle
// connection costs.
constexpr size_t kTlsBuffers = 24 * 1024;
size_t g_held = 0;
}  // namespace

size_t held_by_streams() { return g_held; }
size_t* count_of_held() { return &g_held; }

Stream::~Stream() { g_held -= held_; }

void Stream::count() {
  bool busy = ssl && (!SSL_is_init_finished(ssl.get()) || SSL_has_pending(ssl.get()));
  size_t now = in.capacity() + out.capacity() + beside + (busy ? kTlsBuffers : 0);
  g_held += now - held_;
  held_ = now;
}

bool Stream::fill() {
  count();
  if (eof || failed || !source) return false;
  if (g_held > kMostHeld) return failed = true;
  if (!source->ready.read && !(ssl && SSL_has_pending(ssl.get()))) return false;
  ssize_t n;
  if (ssl) {
    constexpr int kReads = 4;  // a record takes up to three
    ERR_clear_error();
    source->tls_reads = kReads;
    n = SSL_read(ssl.get(), scratch, static_cast<int>(kScratch));
    bool stopped = std::exchange(source->tls_reads, -1) == 0;
    if (n <= 0) {
      int error = SSL_get_error(ssl.get(), static_cast<int>(n));
      if (error == SSL_ERROR_WANT_READ && stopped) source->wake();  // continues after others had their turn
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return false;
      (error == SSL_ERROR_ZERO_RETURN ? eof : failed) = true;
      if (error == SSL_ERROR_SSL) {
        why = tls_reason();
        unannounced_end = why.empty() && !source->cut;
      }
      return true;
    }
  } else {
    n = source->recv(scratch, kScratch);
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) {
      // After a failed write has reported a reset, the end looks orderly, although it is not.
      (n == 0 && !source->cut ? eof : failed) = true;
      if (failed) why = source->why();
      return true;
    }
  }
  in.append(scratch, static_cast<size_t>(n));
  received += static_cast<uint64_t>(n);
  count();
  return true;
}

// Notes that nothing more can be written.
void Stream::lose() {
  if (writing == Writing::required) failed = true;
  else writing = Writing::lost;
  out.clear();
  out_at = 0;
  count();
}

bool Stream::flush() {
  bool progress = false;
  while (out_at < out.size() && !failed && source) {
    if (is_deaf()) return lose(), progress;
    ssize_t n;
    if (ssl) {
      ERR_clear_error();
      n = SSL_write(ssl.get(), out.data() + out_at, static_cast<int>(std::min<size_t>(out.size() - out_at, 1 << 20)));
      if (n <= 0) {
        int error = SSL_get_error(ssl.get(), static_cast<int>(n));
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) break;
        return lose(), true;
      }
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
    out.erase(0, out_at);
    out_at = 0;
  }
  count();
  return progress;
}

void Stream::rest() {
  // Processing a session ticket leaves a write buffer behind, even with SSL_MODE_RELEASE_BUFFERS.
  if (ssl && SSL_is_init_finished(ssl.get())) SSL_free_buffers(ssl.get());
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
  if (!ssl || failed || !SSL_is_init_finished(ssl.get())) return;
  ERR_clear_error();
  SSL_shutdown(ssl.get());
}

void Stream::reset() {
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
