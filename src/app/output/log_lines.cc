// These lines contain words of agents and of servers. Each part passes through one_line() before it is padded,
// because one_line() can change its length. The whole line is a Line, which cannot contain anything that has an
// effect on a terminal.
#include "app/output/log_lines.h"

#include <cstdio>

namespace bottle::app {
namespace {

// Fills a column with blanks. A longer text moves the rest of the line to the right.
std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + "  ";
}

// Returns the time of day of a timestamp.
std::string clock_of(const std::string& time) {
  size_t t = time.find('T');
  return t == std::string::npos ? time : time.substr(t + 1, 8);
}

}  // namespace

Line egress_line(const wire::Decision& decision) {
  std::string host = one_line(decision.host);
  if (decision.port) host += ":" + std::to_string(decision.port);
  std::string line = padded(one_line(clock_of(decision.time)), 8) + padded(std::string(word_of(decision.action)), 5) +
                     padded(std::string(word_of(decision.kind)), 7) + padded(host, 36);
  std::string request = decision.method + (decision.method.empty() || decision.path.empty() ? "" : " ") + decision.path;
  for (const std::string& part :
       {request, decision.code, decision.reason, std::string(decision.near ? "decided on this machine" : "")})
    if (!part.empty()) line += one_line(part) + "  ";
  // Many refusals in a short time become one line of the record.
  if (decision.count > 1)
    line += std::to_string(decision.count) + " times since " + one_line(clock_of(decision.first)) + "  ";
  if (decision.bytes)
    line += std::to_string(decision.bytes->out) + " bytes out, " + std::to_string(decision.bytes->in) + " in";
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::string used_line(const wire::ShownUsage& use) {
  std::string line = use.host + ": " + std::to_string(use.requests) +
                     (use.requests == 1 ? " request, " : " requests, ") + std::to_string(use.bytes_up) + " bytes up";
  if (use.tokens_in || use.tokens_out)
    line += ", " + std::to_string(use.tokens_in) + " tokens in, " + std::to_string(use.tokens_out) + " out";
  char cost[64];
  std::snprintf(cost, sizeof cost, ", about %.2f", use.cost);
  if (use.cost > 0) line += cost;
  return line;
}

std::vector<Line> inspection_lines(const wire::WorkResult& back) {
  std::vector<Line> lines;
  if (!back.sorted) return lines;
  for (const auto& flag : back.sorted->flagged) lines.push_back("  " + flag);
  if (lines.empty()) return lines;
  lines.insert(lines.begin(), {"", "Look at these before you run anything:"});
  if (const auto& all = back.sorted->all_flagged; !all.empty()) lines.push_back("  all of them are in " + all);
  return lines;
}

std::vector<Line> result_lines(const wire::SessionResult& result) {
  std::vector<Line> lines;
  lines.push_back("session " + result.session + ": the agent ended with status " + std::to_string(result.exit));
  if (!result.what.empty()) lines.push_back(result.what);
  if (result.back && !result.back->error.empty())
    lines.push_back("bringing the work home failed: " + result.back->error);
  if (result.back)
    for (Line& line : lines_of(result.back->text)) lines.push_back(std::move(line));
  if (result.egress) lines.push_back(std::to_string(result.egress->allowed) + " connections and requests were allowed");
  if (result.egress && !result.egress->used.empty()) lines.push_back("used:");
  if (result.egress)
    for (const auto& use : result.egress->used) lines.push_back("  " + used_line(use));
  if (result.egress && !result.egress->denied.empty()) {
    lines.push_back("blocked:");
    for (const auto& denied : result.egress->denied)
      lines.push_back("  " + padded(one_line(denied.host), 40) + denied.code + ", " + std::to_string(denied.count) +
                      " times");
  }
  if (result.receipt.confirmed) lines.push_back("the engine confirmed that everything of the session is gone");
  else
    for (const auto& left : result.receipt.left) lines.push_back("not removed: " + left + "; run `bottle cleanup`");
  if (result.back)
    for (Line& line : inspection_lines(*result.back)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace bottle::app
