// One side of a connection: a Source, TLS on it or not, and what was read or is still to be written.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "guard/core/loop.h"
#include "guard/core/tls.h"

namespace bottle::guard {

struct Stream {
  std::unique_ptr<Source> source;  // before ssl: the BIO names it
  Ssl ssl;
  std::string in, out;
  size_t out_at = 0;
  bool eof = false;     // an orderly end: FIN, or close_notify under TLS
  bool failed = false;  // nothing more can be read or written
  uint64_t received = 0, sent = 0;

  explicit operator bool() const { return source != nullptr; }
  // Reads once. True if that changed anything: bytes in `in`, or `eof`, or `failed`.
  bool fill();
  // Writes what the peer takes. True if bytes went.
  bool flush();
  bool flushed() const { return out_at == out.size(); }
  size_t unsent() const { return out.size() - out_at; }
  // Frees buffers: an idle connection costs little.
  void rest();
  // Sends close_notify if TLS is up; does not wait.
  void end_tls();
  void reset();
};

}  // namespace bottle::guard
