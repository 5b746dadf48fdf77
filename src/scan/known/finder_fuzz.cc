// Checks, for any patterns and text, that the finder finds what a search through each whole reading finds,
// and that a stream that is cut anywhere gives the same output as the whole stream.
#include <cstdlib>
#include <set>
#include <string>

#include "scan/known/filter.h"

using namespace bottle::scan;

namespace {

using Span = std::tuple<uint64_t, uint64_t, uint32_t>;

// Holds a reading of the whole text, with the position of each of its bytes.
struct Whole {
  std::string bytes;
  std::vector<uint64_t> begin, end;
};

Whole unescaped(const Whole& from, Notation notation) {
  Whole to;
  Unescaper unescaper(notation);
  uint64_t at = 0;
  auto add = [&](const Unescaper::Outs& outs) {
    for (const auto& out : outs) {
      to.bytes += static_cast<char>(out.byte);
      to.begin.push_back(at);
      at += out.length;
      to.end.push_back(at);
    }
  };
  for (size_t i = 0; i < from.bytes.size(); ++i) {
    Unescaper::Outs outs;
    unescaper.put(static_cast<uint8_t>(from.bytes[i]), static_cast<uint16_t>(from.end[i] - from.begin[i]), outs);
    add(outs);
  }
  return to;
}

void search(const Whole& in, const std::vector<std::string>& patterns, std::set<Span>& spans) {
  for (uint32_t p = 0; p < patterns.size(); ++p)
    for (size_t at = 0; (at = in.bytes.find(patterns[p], at)) != std::string::npos; ++at)
      spans.insert({in.begin[at], in.end[at + patterns[p].size() - 1], p});
}

std::string filtered(const Dictionary& dictionary, std::string_view text, size_t piece) {
  Filter filter(&dictionary, [](const Sight& sight) {
    return Verdict{sight.bytes.size() % 3 ? Verdict::Do::replace : Verdict::Do::keep, sight.whole ? "#" : "*"};
  });
  std::string out;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) filter.feed(text.substr(0, piece), out);
  filter.release(out);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size < 4) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  size_t piece = data[0] % 17 + 1, count = data[1] % 4 + 1;
  bytes.remove_prefix(2);
  Dictionary dictionary;
  for (uint32_t i = 0; i < count && !bytes.empty(); ++i) {
    size_t length = std::min<size_t>(static_cast<unsigned char>(bytes[0]) % 12 + 1, bytes.size() - 1);
    dictionary.add(i, bytes.substr(1, length));
    bytes.remove_prefix(1 + length);
  }
  std::vector<std::string> patterns = dictionary.texts();
  dictionary.build();

  Whole plain{std::string(bytes), {}, {}};
  for (size_t i = 0; i < bytes.size(); ++i) {
    plain.begin.push_back(i);
    plain.end.push_back(i + 1);
  }
  Whole percent = unescaped(plain, Notation::percent), backslash = unescaped(plain, Notation::backslash);
  std::set<Span> expected, found;
  for (const Whole& reading : {plain, percent, backslash, unescaped(plain, Notation::html),
                               unescaped(percent, Notation::percent), unescaped(backslash, Notation::backslash)})
    search(reading, patterns, expected);
  for (size_t cut : {piece, size}) {
    Finder finder(&dictionary);
    std::vector<Find> finds;
    for (size_t at = 0; at < bytes.size(); at += cut) {
      finder.feed(bytes.substr(at, cut), finds);
      if (finder.open_from() > finder.fed()) std::abort();
    }
    found.clear();
    for (const auto& find : finds) found.insert({find.begin, find.end, find.pattern});
    if (found != expected) std::abort();
  }
  if (filtered(dictionary, bytes, piece) != filtered(dictionary, bytes, size)) std::abort();
  return 0;
}
