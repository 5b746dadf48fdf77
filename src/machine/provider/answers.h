// What the hooks of a provider answer, checked before anything is believed: they are programs of others, and speak of
// machines that may have been taken. Pure. Code::protocol for what is not the contract's (docs/providers.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/line.h"

namespace bottle::machine {

inline constexpr const char* kUser = "bottle";  // whom the user-data makes

struct Created {
  std::string id, cost_per_hour;
  bool offline = false;  // nothing leads out of it: what its bottle may reach goes by way of this machine
};

struct Where {
  std::string host, user;
  uint16_t port = 22;
};

// What `list` knows of: a machine ("vm"), or what one left ("volume", "address", …).
struct Listed {
  std::string id, name, session, owner, created, status, cost_per_hour, kind;
};

// One JSON object, in which no key stands twice: that would mean two things to two readers.
Result<nlohmann::json> parse_answer(const std::string& text);

Result<Created> read_created(const nlohmann::json& answer);
Result<Where> read_where(const nlohmann::json& answer);
Result<std::string> read_status(const nlohmann::json& answer, bool of_destroy);
Result<std::vector<Listed>> read_list(const nlohmann::json& answer);
Result<std::string> read_image(const nlohmann::json& answer);
Result<std::string> read_fetch(const nlohmann::json& answer, const std::string& value);

}  // namespace bottle::machine
