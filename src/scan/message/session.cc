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
  auto joined = by_name_.find(name);
  if (joined == by_name_.end()) {
    if (by_name_.size() == kMostNames)
      // Makes room by removing the name that was not used for the longest time.
      by_name_.erase(std::ranges::min_element(by_name_, {}, [](const auto& each) { return each.second.last; }));
    joined = by_name_.emplace(std::string(name), Joined{}).first;
  }
  // One finding is enough to refuse the message.
  if (result.findings.empty()) add(joined->second, value, now, result);
  return result;
}

// Appends a value to earlier ones, and scans the joined text if there were any.
void Session::add(Joined& joined, std::string_view value, std::chrono::steady_clock::time_point now,
                  BlockResult& result) {
  if (now - joined.last > kTogether) joined.text.clear();
  joined.last = now;
  size_t before = joined.text.size();
  joined.text.append(value);
  // A secret within one value is found by the scan of its own message.
  if (before > 0) {
    BlockResult found = Detector(catalog_).scan(joined.text, true);
    for (Finding& finding : found.findings)
      if (finding.begin < before && finding.end > before && !finding.warns())
        result.findings.push_back(std::move(finding));
    result.incomplete |= found.incomplete;
  }
  // A secret can continue in a later value only from the end of the joined text.
  if (joined.text.size() > kMostJoined) joined.text.erase(0, joined.text.size() - kMostJoined);
}

}  // namespace bottle::scan
