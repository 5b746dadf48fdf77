// Connects OpenSSL to a Source: the library reads and writes through a BIO on it and not on a socket. A Source can tell
// without a system call that a read would block, reads several records with one call, and limits how often a call of
// the library may read. A pair of memory BIOs, the usual way to connect the library to an event loop, would copy every
// byte twice more.
#include <openssl/bio.h>

#include <cerrno>

#include "guard/net/loop.h"
#include "guard/net/tls.h"

namespace bottle::guard {
namespace {

// Reads encrypted bytes for the library. The number of reads in a turn is limited, so that one fast peer does not
// hold up the other connections.
int bio_read(BIO* bio, char* buffer, int size) {
  BIO_clear_retry_flags(bio);
  auto* source = static_cast<Source*>(BIO_get_data(bio));
  if (source->ahead() == 0 && source->ready.read) {
    // To the library, this looks like a read that would block. read_tls() sees `stopped` and continues in a later
    // turn.
    if (source->tls_reads.left == 0) {
      source->tls_reads.stopped = true;
      BIO_set_retry_read(bio);
      return -1;
    }
    if (source->tls_reads.left > 0) --source->tls_reads.left;
  }
  ssize_t n = source->recv_ahead(buffer, static_cast<size_t>(size));
  if (n < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
  // Without this flag, which bio_ctrl() reports, the library treats the end as an error of the system and not as the
  // peer's FIN.
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}

int bio_write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  auto* source = static_cast<Source*>(BIO_get_data(bio));
  ssize_t n = source->send(bytes, static_cast<size_t>(size));
  // The library does not read after a failed write, but the peer's last bytes may say why it failed. Stream checks
  // Source::cut.
  if (source->cut) return size;
  if (n < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

long bio_ctrl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  // The library requests a flush after each flight of a handshake, and fails if the BIO does not support the command.
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

BIO_METHOD* bio_method() {
  static BIO_METHOD* method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "source");
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_ctrl);
    return m;
  }();
  return method;
}

}  // namespace

void attach(SSL* ssl, Source* source) {
  BIO* bio = BIO_new(bio_method());
  BIO_set_data(bio, source);
  BIO_set_init(bio, 1);
  // The connection owns the BIO once, although it is set for both directions.
  SSL_set_bio(ssl, bio, bio);
}

}  // namespace bottle::guard
