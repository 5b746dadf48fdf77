#include "app/output/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "workspace/paths.h"

namespace bottle::app {
namespace {

size_t columns(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

int report(const Error& error, bool json) {
  if (json) {
    std::cerr
        << nlohmann::json{{"error",
                           {{"code", std::string(to_string(error.code))}, {"what", error.what}, {"todo", error.todo}}}}
               .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
        << "\n";
  } else {
    std::cerr << "bottle: " << error.what << "\n";
    if (!error.todo.empty()) std::cerr << "        " << error.todo << "\n";
  }
  return 125;
}

bool has_colour(int fd) {
  const char* term = std::getenv("TERM");
  const char* no = std::getenv("NO_COLOR");
  return ::isatty(fd) && !(no && *no) && !(term && std::strcmp(term, "dumb") == 0);
}

std::string dim(const std::string& text, int fd) { return has_colour(fd) ? "\033[2m" + text + "\033[0m" : text; }
std::string bold(const std::string& text, int fd) { return has_colour(fd) ? "\033[1m" + text + "\033[0m" : text; }

size_t output_width() {
  winsize size{};
  if (::ioctl(1, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return 100;
  return std::min<size_t>(size.ws_col, 100);
}

std::string one_line(std::string_view text) {
  std::string out;
  for (char c : workspace::printable(text))
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += ' ';
    else out += c;
  return out;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], columns(row[i]));
    }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out += std::string(widths[i] - columns(row[i]) + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string age(long long seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 100) return std::to_string(seconds) + " s";
  if (seconds < 100 * 60) return std::to_string(seconds / 60) + " min";
  if (seconds < 48 * 3600) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

std::string size_text(unsigned long long bytes) {
  char text[32];
  if (bytes >= 1'000'000'000) std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
  else if (bytes >= 1'000'000) std::snprintf(text, sizeof text, "%llu MB", bytes / 1'000'000);
  else std::snprintf(text, sizeof text, "%llu KB", bytes / 1000);
  return text;
}

}  // namespace bottle::app
