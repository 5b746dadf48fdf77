// Checks that a body that is cut anywhere decodes to the same, in steps of bounded size, that decoding
// ends, and that all bytes are taken.
#include <cstdlib>

#include "scan/content/content_decoder.h"

using bottle::scan::ContentDecoder;

namespace {

struct Outcome {
  bool ok = true, complete = false;
  std::string text;
};

Outcome decode(std::string_view codings, std::string_view bytes, size_t piece) {
  auto decoder = ContentDecoder::make(codings);
  Outcome outcome;
  constexpr size_t kMost = 1 << 20;  // does not wait for the end of a decompression bomb
  while (!bytes.empty() && outcome.text.size() < kMost) {
    std::string_view in = bytes.substr(0, piece);
    bytes.remove_prefix(in.size());
    for (auto step = ContentDecoder::Step::more; step != ContentDecoder::Step::all;) {
      size_t had = outcome.text.size();
      step = decoder->next(in, outcome.text);
      if (step == ContentDecoder::Step::wrong) return {false, false, outcome.text};
      if (outcome.text.size() - had > ContentDecoder::kPiece) std::abort();
      if (outcome.text.size() >= kMost) break;
    }
    if (!in.empty() && outcome.text.size() < kMost) std::abort();
  }
  outcome.complete = decoder->complete();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size < 2) return 0;
  constexpr std::string_view kCodings[] = {"gzip", "deflate", "gzip, deflate", "gzip,gzip , x-gzip",
                                           "",     "br",      "zstd",          "zstd, gzip"};
  std::string_view codings = kCodings[data[0] % std::size(kCodings)];
  std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  Outcome whole = decode(codings, bytes, size), cut = decode(codings, bytes, data[1] % 31 + 1);
  size_t both = std::min(whole.text.size(), cut.text.size());
  if (whole.text.substr(0, both) != cut.text.substr(0, both)) std::abort();
  if (whole.ok && cut.ok && both < (1 << 20) &&
      (whole.text.size() != cut.text.size() || whole.complete != cut.complete))
    std::abort();
  return 0;
}
