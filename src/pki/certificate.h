// Implements the part of X.509 that a session needs: P-256 keys, certificates with a few extensions, and PEM. Only this
// room and the guard's TLS use OpenSSL.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::pki {

// Frees OpenSSL's objects, so that each of them has an owner.
struct Free {
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_REQ* p) const { X509_REQ_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Request = std::unique_ptr<X509_REQ, Free>;

// Returns a new P-256 key, or null if the library fails. Takes well under a millisecond.
Key new_key();

// Returns an unsigned certificate with a random serial number, valid from `before_hours` ago (because clocks differ)
// for `days` days, with CN=`name` (at most 64 bytes) as subject and issuer. The public key is only encoded into it:
// X509_get0_pubkey finds it once the certificate has been parsed again, or after X509_set_pubkey. Returns null if the
// library fails.
Certificate new_certificate(EVP_PKEY* key, std::string_view name, int before_hours, int days);

// Adds one extension in OpenSSL's own notation: extend(c, issuer, NID_basic_constraints, "critical,CA:FALSE").
bool extend(X509* certificate, X509* issuer, int nid, const char* value);

// Return the object in PEM. It must not be null.
std::string to_pem(X509* certificate);
std::string to_pem(X509_REQ* request);

// Returns the first certificate in `pem`. Fails with Code::invalid if there is none.
Result<Certificate> certificate_from(std::string_view pem);

// Returns the library's last error as text for the operator.
std::string last_error();

}  // namespace bottle::pki
