#include "session/host_routes.h"

#include <cstdlib>
#include <sstream>

#include "base/file.h"

namespace bottle::session {

std::vector<HostRoute> host_routes() {
  std::vector<HostRoute> routes;
  std::istringstream lines(read_file("/proc/net/route").value_or(""));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string device, destination, word, mask;
    words >> device >> destination >> word >> word >> word >> word >> word >> mask;
    HostRoute route{device, static_cast<uint32_t>(std::strtoul(destination.c_str(), nullptr, 16)),
                    static_cast<uint32_t>(std::strtoul(mask.c_str(), nullptr, 16))};
    if (route.mask != 0) routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace bottle::session
