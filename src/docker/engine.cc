// Reads the time limit from the environment once, because every call uses it.
#include "docker/engine.h"

#include <algorithm>
#include <cstdlib>

#include "base/text/parse.h"

namespace bottle::docker {

int call_timeout_ms() {
  static const int limit = [] {
    const char* seconds = std::getenv("BOTTLE_ENGINE_TIMEOUT");
    int n = seconds ? number_in<int>(seconds).value_or(0) : 0;
    return n > 0 ? std::min(n, 3600) * 1000 : 60000;
  }();
  return limit;
}

}  // namespace bottle::docker
