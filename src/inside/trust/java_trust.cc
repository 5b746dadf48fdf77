// Writes JKS, the oldest format of key stores, because all versions of Java read it. It is a list of entries with
// lengths, and a keyed checksum at the end that Java checks only if a password is given.
#include "inside/trust/java_trust.h"

#include "inside/trust/bytes.h"
#include "inside/trust/pem.h"

namespace bottle::inside {
namespace {

void put_text(std::string& out, std::string_view text) {
  put(out, text.size(), 2);
  out += text;
}

}  // namespace

std::string java_trust_store(std::string_view pem) {
  auto all = certificates(pem);
  std::string out;
  // This is the magic number of JKS, the format that all versions of Java read.
  put(out, 0xfeedfeed, 4);
  put(out, 2, 4);  // the version
  put(out, all.size(), 4);
  for (size_t i = 0; i < all.size(); ++i) {
    put(out, 2, 4);  // a trusted certificate
    // Each entry needs a unique alias.
    put_text(out, "authority" + std::to_string(i));
    put(out, 0, 8);  // its date
    put_text(out, "X.509");
    put(out, all[i].size(), 4);
    out += all[i];
  }
  // The format defines this checksum over the password in UTF-16, a fixed text, and everything before.
  std::string salted;
  for (char c : std::string_view("changeit")) salted += {'\0', c};
  return out + sha1(salted + "Mighty Aphrodite" + out);
}

}  // namespace bottle::inside
