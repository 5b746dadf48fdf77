// bench_scan_files FILE... measures the cost of scanning files in pieces, as a stream scans them when they are sent.
// It prints the CPU time for each byte, and for each byte of the slowest piece, and the largest
// part of the allowance of work that a piece took.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "scan/detector.h"
#include "scan_input.h"

using namespace bottle::scan;
using bottle::bench::cpu_nanoseconds;

int main(int count, char** arguments) {
  auto catalog = Catalog::builtin();
  if (!catalog) return 1;
  catalog->add_known("secret", "q7Hs82-kLmz0_PwX3rTn5v");
  catalog->allow_value("q7Hs82-kLmz0_PwX3rTn5v");  // as the guard does
  catalog->build();
  Detector detector(&*catalog);
  for (int i = 1; i < count; ++i) {
    std::ifstream file(arguments[i], std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    constexpr size_t kPiece = 32 * 1024, kReach = 4096;
    double all = 0, slowest = 0, work = 0;
    size_t refused = 0;
    for (size_t at = 0; at < text.size(); at += kPiece) {
      size_t from = at - std::min(at, kReach);
      std::string_view block = std::string_view(text).substr(from, at + kPiece - from);
      double best = 1e18;
      for (int round = 0; round < 3; ++round) {
        double begin = cpu_nanoseconds();
        BlockResult result = detector.scan(block);
        best = std::min(best, cpu_nanoseconds() - begin);
        if (round == 0) refused += result.incomplete;
        size_t bytes = block.size() + result.unpacked;
        size_t most = Detector::kMostWork * bytes + Detector::kFreeWork;
        work = std::max(work, static_cast<double>(result.work) / static_cast<double>(most));
      }
      all += best;
      // A short last piece would only show what a scan costs regardless of the size.
      if (at == 0 || block.size() > kPiece / 2) slowest = std::max(slowest, best / static_cast<double>(block.size()));
    }
    std::printf(
        "%6.2f ns a byte, %6.2f in the slowest piece, most work %3.0f %% of the allowance, %zu pieces refused: %s\n",
        all / static_cast<double>(std::max<size_t>(text.size(), 1)), slowest, 100 * work, refused, arguments[i]);
  }
}
