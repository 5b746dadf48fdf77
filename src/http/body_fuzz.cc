// Checks that a body that arrives in pieces has the same payload as one that arrives whole. The first byte selects the
// framing, and the second one the sizes of the pieces.
#include <cstdlib>

#include "http/body.h"

using bottle::http::Body;

namespace {

struct Outcome {
  bool ok = true, done = false;
  std::string payload;
};

Outcome read(Body body, std::string_view bytes, size_t piece) {
  Outcome outcome;
  std::string in;
  while (!bytes.empty() && outcome.ok && !body.done()) {
    in += bytes.substr(0, piece);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    outcome.ok = body.read(in, outcome.payload);
  }
  outcome.done = outcome.ok && body.done();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size < 2) return 0;
  Body::Kind kinds[] = {Body::Kind::chunked, Body::Kind::length, Body::Kind::until_close};
  Body body(kinds[data[0] % 3], data[0]);
  std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  auto whole = read(body, bytes, size), cut = read(body, bytes, data[1] % 19 + 1);
  if (whole.payload.size() > bytes.size()) std::abort();
  // A broken framing may be detected earlier or later, but a complete body must be complete in both cases.
  if (whole.ok != cut.ok && whole.done != cut.done) std::abort();
  if (whole.done && (!cut.done || whole.payload != cut.payload)) std::abort();
  // The body, framed again, must carry the same payload.
  if (whole.done) {
    std::string again;
    bottle::http::append_chunk(again, whole.payload);
    auto back = read(Body(Body::Kind::chunked), again + "0\r\n\r\n", size);
    if (!back.done || back.payload != whole.payload) std::abort();
  }
  return 0;
}
