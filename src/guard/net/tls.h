// Implements TLS on both sides of an inspected connection. The session CA's key never leaves the memory of
// this process.
#pragma once

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "pki/certificate.h"
#include "policy/host.h"

namespace bottle::guard {

class Source;

// Frees the objects of the library, for std::unique_ptr.
struct FreeTls {
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL_SESSION* p) const { SSL_SESSION_free(p); }
};
using Ssl = std::unique_ptr<SSL, FreeTls>;

// Names the versions of HTTP that a side offers in its handshake.
enum class Offer : uint8_t { http1, http1_and_2, http2 };

// Owns a P-256 certificate authority that lives as long as the process, the one key of all its leaves, and the leaves
// that it has signed. It can serve once it has a certificate. Either the session's root signs that certificate on
// request, or the authority signs it itself.
class SessionCa {
 public:
  // make() returns an authority with keys, which needs adopt() to get a certificate. The one from self_signed() can
  // serve immediately, with a certificate for 300 days. Both fail with Code::internal if the library fails.
  static Result<std::unique_ptr<SessionCa>> make();
  static Result<std::unique_ptr<SessionCa>> self_signed();

  std::string request() const;  // a PKCS#10 request, in PEM
  // Takes the certificate that answers the request. Fails with Code::invalid if it is for another key or not for an
  // authority. Works only once.
  Result<> adopt(std::string_view pem);
  bool certified() const { return certificate_ != nullptr; }

  std::string pem() const;                       // the authority's certificate
  Result<X509*> leaf(const policy::Host& host);  // borrowed; signed at the first use
  // Returns the key of every leaf, which the authority owns.
  EVP_PKEY* leaf_key() const { return leaf_key_.get(); }
  // Returns a server-side connection that presents `host` and refuses any other SNI.
  Result<Ssl> accept(const policy::Host& host, Offer offer = Offer::http1_and_2);

 private:
  Result<> serve();

  pki::Key key_, leaf_key_;
  pki::Certificate certificate_;
  std::unique_ptr<SSL_CTX, FreeTls> context_;
  std::map<std::string, pki::Certificate> leaves_;
};

// Returns whether the handshake of an accept() failed because the client named another host.
bool refused_name(const SSL* ssl);

// Returns a context that trusts exactly these roots (in PEM; if empty, nothing verifies). Returns null if memory runs
// out or the library fails.
SSL_CTX* make_upstream_context(const std::string& roots);
// Returns a client-side connection that verifies `host`. It resumes an earlier session with host:port if there is one.
// Offers the server the HTTP versions in `offer`.
Result<Ssl> connect_tls(SSL_CTX* context, const policy::Host& host, uint16_t port, Offer offer = Offer::http1);

// Returns whether the two sides have agreed on HTTP/2.
bool speaks_http2(const SSL* ssl);

// Returns the number of connections from accept() and connect_tls() that exist. An idle one costs about 16 KB. Both
// functions fail with Code::limit beyond kMostTls.
size_t tls_connections();
inline constexpr size_t kMostTls = 24576;

// Attaches the connection to a Source, which must outlive it.
void attach(SSL* ssl, Source* source);

// Prepares the library: it reads no configuration file and gets a pool for its record buffers. Call it before any
// other use of the library in this process.
void start_tls();

// Returns whether the server of a connect_tls() has asked for a client certificate. The guard never sends one.
bool wanted_certificate(const SSL* ssl);

// Returns the library's last error in short form ("tlsv13 alert certificate required"), or an empty string if there is
// none, or if the peer closed the connection without close_notify. The text is never freed.
std::string_view tls_reason();

// Returns the library's last error, for the operator.
std::string tls_error(const SSL* ssl = nullptr);

}  // namespace bottle::guard
