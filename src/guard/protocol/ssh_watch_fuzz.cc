// Checks that a server's key exchange that is cut anywhere is judged like the whole one, and is never
// accepted with another key. The first byte selects the sizes of the pieces.
#include <cstdlib>

#include "guard/protocol/ssh_watch.h"

using bottle::guard::SshWatch;

namespace {

const std::string kKey = std::string("\0\0\0\x0bssh-ed25519\0\0\0\4abcd", 23);

SshWatch::State judge(std::string_view bytes, size_t piece) {
  SshWatch watch(kKey);
  auto state = SshWatch::State::more;
  while (!bytes.empty() && state == SshWatch::State::more) {
    state = watch.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  if (state == SshWatch::State::refused && !*watch.why()) std::abort();
  // The proof has the key behind its length, and the signature after it.
  if (state == SshWatch::State::matched && (watch.proof().find(kKey) != 4 || watch.proof().size() < kKey.size() + 8))
    std::abort();
  if (watch.feed("more") != state && state != SshWatch::State::more) std::abort();
  return state;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  auto whole = judge(bytes, size);
  if (judge(bytes, data[0] % 23 + 1) != whole && whole == SshWatch::State::matched) std::abort();
  if (whole == SshWatch::State::matched && bytes.find(kKey) == bytes.npos) std::abort();
  return 0;
}
