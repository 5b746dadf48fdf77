// Checks the answers of a provider's hooks before anything in them is used. The hooks are programs of other people, and
// they describe machines that an agent may have taken over. Every function fails with Code::protocol if an answer does
// not keep the contract (docs/providers.md). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text/line.h"

namespace bottle::machine {

inline constexpr const char* kUser = "bottle";  // the user that the user-data makes

// Holds what `create` printed: the provider's id of the VM, and its price as text for the operator, which may be
// empty.
struct Created {
  std::string id, cost_per_hour;
  bool offline = false;  // it has no network, so its bottle reaches everything through this machine
};

// Holds what `ssh-info` printed: where the VM's sshd is. `host` is a name or an address, and safe as an argument of
// ssh.
struct Where {
  std::string host, user;
  uint16_t port = 22;
};

// Describes an entry of `list`: a machine ("vm"), or what one left ("volume", "address" and so on).
struct Listed {
  std::string id, name, session, owner, created, status, cost_per_hour, kind;
};

// Parses one JSON object. Refuses a key that occurs twice, because two readers could understand it in two ways.
Result<nlohmann::json> parse_answer(const std::string& text);

// Names the two hooks that answer with a status.
enum class StatusOf : uint8_t { status, destroy };

// Read the answers of create, ssh-info, status (or destroy), list, bake and put-secret. Unknown keys are ignored.
// read_fetch() also refuses a command that contains `value`, the secret itself.
Result<Created> read_created(const nlohmann::json& answer);
Result<Where> read_where(const nlohmann::json& answer);
Result<std::string> read_status(const nlohmann::json& answer, StatusOf hook);
Result<std::vector<Listed>> read_list(const nlohmann::json& answer);
Result<std::string> read_image(const nlohmann::json& answer);
Result<std::string> read_fetch(const nlohmann::json& answer, const std::string& value);

}  // namespace bottle::machine
