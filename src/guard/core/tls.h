// TLS on both sides of an inspected connection. The session CA's key never leaves this process's memory.
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

struct FreeTls {
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL_SESSION* p) const { SSL_SESSION_free(p); }
};
using Ssl = std::unique_ptr<SSL, FreeTls>;

// A P-256 authority that lives as long as the process, the one key of its leaves, and the leaves it has signed. It
// serves once it has a certificate: the session's root signs one on request, or it signs its own.
class SessionCa {
 public:
  static Result<std::unique_ptr<SessionCa>> make();
  static Result<std::unique_ptr<SessionCa>> self_signed();

  std::string request() const;  // PKCS#10, in PEM
  // Takes the certificate that answers the request. Code::invalid if it is for another key or no authority; once only.
  Result<> adopt(std::string_view pem);
  bool certified() const { return certificate_ != nullptr; }

  std::string pem() const;                       // the authority's certificate
  Result<X509*> leaf(const policy::Host& host);  // borrowed; signed at first use
  EVP_PKEY* leaf_key() const { return leaf_key_.get(); }
  // A server-side connection that presents `host` and refuses any other SNI. HTTP/1.1 only.
  Result<Ssl> accept(const policy::Host& host);

 private:
  Result<> serve();

  pki::Key key_, leaf_key_;
  pki::Certificate certificate_;
  std::unique_ptr<SSL_CTX, FreeTls> context_;
  std::map<std::string, pki::Certificate> leaves_;
};

// Whether the handshake of an accept() failed because the client named another host.
bool refused_name(const SSL* ssl);

// Verifies against exactly these roots (PEM; empty: nothing verifies). Null if memory or the library fails.
SSL_CTX* make_upstream_context(const std::string& roots);
// A client-side connection that verifies `host`, resuming an earlier session with host:port if there is one.
Result<Ssl> connect_tls(SSL_CTX* context, const policy::Host& host, uint16_t port);

// Puts the connection on a Source, which must outlive it.
void attach(SSL* ssl, Source* source);

// Before any other use of the library in this process: no configuration file, and a pool for its record buffers.
void start_tls();

// Whether the server of a connect_tls() has asked for a client certificate. It got none.
bool wanted_certificate(const SSL* ssl);

// The library's last error in short ("tlsv13 alert certificate required"), or empty. Never freed.
std::string_view tls_reason();

// The library's last error, for the operator.
std::string tls_error(const SSL* ssl = nullptr);

}  // namespace bottle::guard
