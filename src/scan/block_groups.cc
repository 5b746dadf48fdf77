// Scans texts that are put together from pieces: from values, from groups of equal size, and from dumps.
#include <algorithm>

#include "scan/block_scan.h"
#include "scan/encoding/groups.h"
#include "scan/join.h"

namespace bottle::scan {

void BlockScan::joined(const View& outer, const std::vector<Region>& regions) {
  Decoded values = joined_values(outer.text, regions);
  if (values.text.size() < kShortestRun || values.text.size() > decoded_left_) return;
  if (was_seen(values.text, outer.depth + 1, true)) return;
  decoded_left_ -= values.text.size();
  result_.decoded += values.text.size();
  view({.text = values.text,
        .outer = &outer,
        .map = &values,
        .encoding = "pieces",
        .depth = outer.depth + 1,
        .joined = true});
}

void BlockScan::groups(const View& view, const Spot& at) {
  if (view.joined) return;
  for (bool little_endian : {false, true}) {
    Decoded dump = dumped(view.text, at.begin, little_endian);
    if (!dump.text.empty()) inner(view, dump, "dump");
  }
  // Groups are short texts. More of them would take as long as the rest of the block.
  size_t end = std::min(at.end, at.begin + grouped_left_ / at.period * at.period);
  if (end < at.begin + 2 * at.period) return;
  grouped_left_ -= end - at.begin;
  Decoded joined = ungrouped(view.text, {at.begin, end, at.period});
  if (joined.text.size() < kShortestRun || joined.text.size() > decoded_left_) return;
  if (was_seen(joined.text, view.depth + 1, true)) return;
  decoded_left_ -= joined.text.size();
  result_.decoded += joined.text.size();
  this->view({.text = joined.text,
              .outer = &view,
              .map = &joined,
              .encoding = "groups",
              .depth = view.depth + 1,
              .joined = true});
}

}  // namespace bottle::scan
