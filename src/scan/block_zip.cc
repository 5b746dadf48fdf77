// Scans the entries of zip files.
#include "scan/block_scan.h"
#include "scan/encoding/decode.h"

namespace bottle::scan {

// Each entry begins with a header that has its name, and deflated data after it. Stored data is found as it is.
void BlockScan::zip_entries(const View& view) {
  constexpr size_t kHeader = 30, kMethod = 8, kNameSize = 26, kExtraSize = 28, kDeflated = 8;
  // The second half of the mark is rarer than the first one, so the search is faster.
  constexpr std::string_view kMark = "PK\3\4", kEnd = "\3\4";
  auto number = [&](size_t at) {
    return static_cast<size_t>(static_cast<unsigned char>(view.text[at])) |
           static_cast<size_t>(static_cast<unsigned char>(view.text[at + 1])) << 8;
  };
  for (size_t end = view.text.find(kEnd); end != view.text.npos; end = view.text.find(kEnd, end + 1)) {
    if (end < 2 || view.text.substr(end - 2, kMark.size()) != kMark) continue;
    size_t begin = end - 2;
    if (begin + kHeader > view.text.size() || number(begin + kMethod) != kDeflated) continue;
    size_t data = begin + kHeader + number(begin + kNameSize) + number(begin + kExtraSize);
    if (data >= view.text.size()) continue;
    std::string text = decompress(Compression::deflate, view.text.substr(data), Detector::kMostUnpacked);
    if (text.size() >= 8) unpacked(view, text, begin, view.text.size(), "zip");
  }
}

}  // namespace bottle::scan
