// Includes the headers that most files include, so that each build parses them only once (CMakeLists.txt). Every file
// still includes what it uses, and compiles without this one.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

extern template class nlohmann::basic_json<>;  // in base/text/json.cc: an eighth of the time to compile all
