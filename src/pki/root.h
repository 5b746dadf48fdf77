// The session's root: what the agent trusts for inspected hosts. Its key is made, used and forgotten in the
// supervisor's memory, and signs nothing but guards' authorities; so a guard that died can be followed by another that
// the running agent believes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "pki/certificate.h"

namespace bottle::pki {

class Root {
 public:
  static Result<std::shared_ptr<const Root>> make(const std::string& session);

  std::string pem() const { return to_pem(certificate_.get()); }

  // A certificate (PEM) for the authority whose PKCS#10 request this is: CA with path length 0, TLS servers only.
  // Nothing but the public key is taken from the request; it must be P-256 and have signed the request. Code::invalid
  // otherwise.
  Result<std::string> certify(std::string_view request_pem) const;

 private:
  Key key_;
  Certificate certificate_;
};

}  // namespace bottle::pki
