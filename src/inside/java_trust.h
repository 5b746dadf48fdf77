// The authorities of a PEM file as a Java key store, since Java reads no PEM. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::inside {

// A store of the type JKS with every certificate of `pem` as a trusted one. Java reads it without a password, and
// checks it with the password "changeit". Text between the certificates is skipped, and so is what is not Base64.
std::string java_trust_store(std::string_view pem);

// 20 bytes; for the store's checksum only.
std::string sha1(std::string_view bytes);

}  // namespace bottle::inside
