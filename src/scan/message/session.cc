// Finds secrets that are cut into pieces and sent in several values. The session joins the values of each name, and
// all values in the order in which they come, and scans the joined text whenever a value is added. Only a finding
// that spans the border between old and new text counts, because the scan of a message finds everything within one
// value.
#include "scan/message/session.h"

#include <algorithm>

#include "scan/join.h"

namespace bottle::scan {

BlockResult Session::value(std::string_view name, std::string_view value, std::chrono::steady_clock::time_point now) {
  BlockResult result;
  if (value.empty() || value.size() > kLongestPiece) return result;
  add(all_, value, now, result);
  name = name.substr(0, kLongestPiece);
  auto row = rows_.find(name);
  if (row == rows_.end()) {
    if (rows_.size() == kMostNames)
      // Makes room by removing the name that was not used for the longest time.
      rows_.erase(std::ranges::min_element(rows_, {}, [](const auto& each) { return each.second.last; }));
    row = rows_.emplace(std::string(name), Row{}).first;
  }
  // One finding is enough to refuse the message.
  if (result.findings.empty()) add(row->second, value, now, result);
  return result;
}

// Adds a value to a row, and scans the row if something was in it.
void Session::add(Row& row, std::string_view value, std::chrono::steady_clock::time_point now, BlockResult& result) {
  if (now - row.last > kTogether) row.text.clear();
  row.last = now;
  size_t before = row.text.size();
  row.text.append(value);
  // A secret within one value is found by the scan of its own message.
  if (before > 0) {
    BlockResult found = Detector(catalog_).scan(row.text, true);
    for (Finding& finding : found.findings)
      if (finding.begin < before && finding.end > before && !finding.warns())
        result.findings.push_back(std::move(finding));
    result.incomplete |= found.incomplete;
  }
  // Only the end of the row can continue in a later value.
  if (row.text.size() > kRow) row.text.erase(0, row.text.size() - kRow);
}

}  // namespace bottle::scan
