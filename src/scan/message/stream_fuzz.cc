// Checks, for any message and pieces, that bytes pass unchanged, that a secret does not pass, and that the
// memory is bounded.
#include <cstdlib>
#include <string>

#include "scan/disguise_test.h"
#include "scan/message/stream.h"

using namespace bottle::scan;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size < 3) return 0;
  auto on_finding = static_cast<OnFinding>(data[0] % 3);
  size_t piece = data[1] + 1u;
  bool plant = data[2] & 1, pauses = data[2] & 2;
  std::string text(reinterpret_cast<const char*>(data) + 3, size - 3);
  if (plant) text.insert(text.size() * (data[2] >> 2) / 64, kKnown);
  Stream stream(&catalog(), on_finding, data[2] & 128 && !plant ? "gzip" : "");
  std::string out;
  bool going = true;
  for (std::string_view rest = text; going && !rest.empty(); rest.remove_prefix(std::min(piece, rest.size()))) {
    going = stream.feed(rest.substr(0, piece), out);
    if (going && pauses) going = stream.release(out);
    if (stream.memory() > 1 << 20) std::abort();
  }
  if (going) going = stream.end(out);
  if (going && out.size() != text.size()) std::abort();
  bool changed = on_finding == OnFinding::redact && !stream.findings().empty();
  if (!changed && !text.starts_with(out)) std::abort();
  if (going && plant && on_finding != OnFinding::report && out.find(kKnown) != out.npos) std::abort();
  return 0;
}
