#include "scan/session.h"

#include <algorithm>

#include "scan/join.h"

namespace bottle::scan {

std::vector<Finding> Session::value(std::string_view name, std::string_view value,
                                    std::chrono::steady_clock::time_point now) {
  std::vector<Finding> findings;
  if (value.empty() || value.size() > kLongestPiece) return findings;
  add(all_, value, now, findings);
  auto row = rows_.find(name);
  if (row == rows_.end()) {
    if (rows_.size() == kMostNames)
      rows_.erase(std::ranges::min_element(rows_, {}, [](const auto& each) { return each.second.last; }));
    row = rows_.emplace(std::string(name.substr(0, kLongestPiece)), Row{}).first;
  }
  if (findings.empty()) add(row->second, value, now, findings);
  return findings;
}

void Session::add(Row& row, std::string_view value, std::chrono::steady_clock::time_point now,
                  std::vector<Finding>& findings) {
  if (now - row.last > kTogether) row.text.clear();
  row.last = now;
  size_t before = row.text.size();
  row.text.append(value);
  // A secret within one value is found by the scan of its own message.
  if (before > 0)
    for (Finding& finding : Detector(catalog_).scan(row.text, true).findings)
      if (finding.begin < before && finding.end > before && !finding.warns()) findings.push_back(std::move(finding));
  if (row.text.size() > kRow) row.text.erase(0, row.text.size() - kRow);
}

}  // namespace bottle::scan
