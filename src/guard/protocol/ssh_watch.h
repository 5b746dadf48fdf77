// Reads an SSH server's half of the key exchange as it passes (RFC 4253 §4, §6, §7; RFC 4419; RFC 5656)
// and compares the host key. The client checks whether the server can sign with that key, because the client knows the
// shared secret and the guard does not. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::guard {

// Watches the server's bytes on one connection. Until the key has been seen, anyone may have sent them.
class SshWatch {
 public:
  enum class State { more, matched, refused };
  explicit SshWatch(std::string key_blob) : key_(std::move(key_blob)) {}

  // Once the state is matched or refused, it does not change.
  State feed(std::string_view bytes);
  // Returns why the connection was refused, as a constant text, or an empty text.
  const char* why() const { return why_; }
  // Once the state is matched, returns the server's host key and its signature of the key exchange, each with its
  // length before it, as in the message.
  const std::string& proof() const { return proof_; }

 private:
  State refuse(const char* why);
  State packet(std::string_view payload);

  std::string key_, buffer_, proof_;
  bool greeted_ = false;
  size_t seen_ = 0;
  State state_ = State::more;
  const char* why_ = "";
};

}  // namespace bottle::guard
