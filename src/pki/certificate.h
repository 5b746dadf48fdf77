// X.509 as little as a session needs it: P-256 keys, certificates with a few extensions, PEM. The one place next to the
// guard's TLS that sees OpenSSL.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::pki {

struct Free {
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_REQ* p) const { X509_REQ_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Request = std::unique_ptr<X509_REQ, Free>;

Key new_key();

// Not signed yet: a random serial, valid from `before_hours` ago (clocks differ) for `days`, the subject CN=`name` (64
// bytes at most) as its issuer too. Its public key is only written: X509_get0_pubkey has it once it is read again, or
// after X509_set_pubkey. Null if the library fails.
Certificate new_certificate(EVP_PKEY* key, std::string_view name, int before_hours, int days);

// Adds one extension in OpenSSL's own notation: extend(c, issuer, NID_basic_constraints, "critical,CA:FALSE").
bool extend(X509* certificate, X509* issuer, int nid, const char* value);

std::string to_pem(X509* certificate);
std::string to_pem(X509_REQ* request);

// The first certificate in `pem`. Code::invalid if there is none.
Result<Certificate> certificate_from(std::string_view pem);

// The library's last error, for the operator.
std::string last_error();

}  // namespace bottle::pki
