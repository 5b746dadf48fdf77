// Turns the authorities of a PEM file into a Java key store, because Java cannot read PEM. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::inside {

// Returns a store of the type JKS that trusts every certificate of `pem`. Java reads it without a password, and checks
// it with the password "changeit". Skips text between the certificates, and certificates that are not valid Base64.
std::string java_trust_store(std::string_view pem);

}  // namespace bottle::inside
