// Random names come from getentropy(3), which needs no descriptor and does not fail once the kernel is initialized.
// Names of content come from a fast hash that is not cryptographic, because it only has to distinguish builds and
// files that we made ourselves. Where content may be hostile, `pki` computes a digest instead.

#include "base/ids.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/text/parse.h"

namespace bottle {

std::string to_hex(std::string_view bytes) {
  std::string out(2 * bytes.size(), '\0');
  char* at = out.data();
  for (unsigned char c : bytes) {
    *at++ = "0123456789abcdef"[c >> 4];
    *at++ = "0123456789abcdef"[c & 15];
  }
  return out;
}

Result<std::string> from_hex(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += 2) {
    std::string_view digits = text.substr(at, 2);
    auto byte = number_in<uint8_t>(digits, 16);
    if (digits.size() != 2 || !byte) return fail(Code::invalid, "it is not hexadecimal");
    out += static_cast<char>(*byte);
  }
  return out;
}

std::string random_hex(int bytes) {
  char raw[64];
  // There is no fallback, because a name that can be guessed would be worse than the end of the program.
  if (bytes > 64 || ::getentropy(raw, static_cast<size_t>(bytes)) != 0) std::abort();
  return to_hex({raw, static_cast<size_t>(bytes)});
}

// A dash at the beginning could make a command mistake the name for an option.
bool is_session_name(std::string_view name) {
  return !name.empty() && name.size() <= 40 && !name.starts_with('-') &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == name.npos;
}

namespace {

// Like FNV-1a, but with eight bytes per step, because each start names programs of many megabytes. The shift moves
// differences in the upper half down, which a multiplication alone cannot do.
uint64_t mixed(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 1099511628211ull;
  return hash ^ hash >> 29;
}

}  // namespace

void Fingerprint::feed(std::string_view bytes) {
  length_ += bytes.size();
  // Each turn takes all whole words that are at the front, and then completes word_ with what is left, or begins it.
  while (!bytes.empty()) {
    if (held_ == 0) {  // whole words need no copy in word_
      // The local copy stays in a register. hash_ could not, because for all the compiler knows, `bytes` may overlap
      // this object.
      uint64_t hash = hash_, word;
      for (; bytes.size() >= sizeof word; bytes.remove_prefix(sizeof word)) {
        std::memcpy(&word, bytes.data(), sizeof word);
        hash = mixed(hash, word);
      }
      hash_ = hash;
    }
    size_t n = std::min(bytes.size(), sizeof word_ - held_);
    bytes.copy(word_ + held_, n);
    bytes.remove_prefix(n);
    if ((held_ += n) < sizeof word_) return;
    uint64_t word;
    std::memcpy(&word, word_, sizeof word);
    hash_ = mixed(hash_, word);
    held_ = 0;
  }
}

std::string Fingerprint::text() const {
  uint64_t word = 0;
  std::memcpy(&word, word_, held_);
  // The length distinguishes a partial word from one that ends with zero bytes. The last step mixes the length's bits
  // down into the digits that are returned.
  uint64_t hash = mixed(mixed(mixed(hash_, word), length_), 0);
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  // 12 digits are 48 bits, which keep the names short. Two of a million contents share a name with a probability of
  // about 0.2 %.
  return std::string(text, 12);
}

// The functions of Fingerprint give the same digits for the same bytes, so a file can be named while it is read.
std::string content_hash(std::string_view bytes) {
  Fingerprint fingerprint;
  fingerprint.feed(bytes);
  return fingerprint.text();
}

}  // namespace bottle
