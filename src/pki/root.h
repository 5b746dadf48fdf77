// Makes the session's root certificate, which the agent trusts for inspected hosts. Its key never leaves the
// supervisor's memory and signs only the authorities of guards. A running agent therefore trusts a guard that
// replaces a dead one.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "pki/certificate.h"

namespace bottle::pki {

// Holds one session's root. It cannot change, so several threads may use it at the same time.
class Root {
 public:
  // Makes a new key and its certificate, valid for 90 days. Fails with Code::internal if the library does. There is no
  // other copy: when the object is gone, no guard can get a certificate for this session.
  static Result<std::shared_ptr<const Root>> make(const std::string& session);

  // Returns the certificate for the agent's stores of authorities. It contains no secret.
  std::string pem() const { return to_pem(certificate_.get()); }

  // Returns a certificate (PEM) for the authority that made this PKCS#10 request: a CA with path length 0, for TLS
  // servers only. Takes only the public key from the request. Fails with Code::invalid unless the key is P-256 and has
  // signed the request.
  Result<std::string> certify(std::string_view request_pem) const;

 private:
  Key key_;
  Certificate certificate_;
};

}  // namespace bottle::pki
