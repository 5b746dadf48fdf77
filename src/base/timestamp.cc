#include "base/timestamp.h"

#include <time.h>

#include <chrono>
#include <cstdio>

namespace bottle {

std::string timestamp() {
  auto now = std::chrono::system_clock::now();
  std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  // gmtime_r(3) and fixed digits make this independent of time zone and locale.
  size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::snprintf(text + n, sizeof text - n, ".%03dZ", static_cast<int>(ms));
  return text;
}

std::optional<timespec> parse_timestamp(const std::string& text) {
  tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!rest) return std::nullopt;
  timespec time{::timegm(&parts), 0};
  if (*rest != '.') return time;
  long scale = 100'000'000;
  for (++rest; *rest >= '0' && *rest <= '9' && scale > 0; ++rest, scale /= 10) time.tv_nsec += (*rest - '0') * scale;
  return time;
}

}  // namespace bottle
