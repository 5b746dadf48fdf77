// A hook is a script of another author that passes on what a cloud's tools print. Each value has a limit and a form,
// because of where it goes next: into a variable of the next hook, into a line on the terminal, into ssh's command
// line. Unknown keys are ignored, so that a provider can add some; a known key must have the right type.

#include "machine/provider/answers.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/text/json.h"
#include "ssh/target.h"

namespace bottle::machine {
namespace {

using nlohmann::json;

// Returns text of one line without control characters, because it is shown and becomes a variable of the next hook.
Result<std::string> text(const json& answer, const char* key, bool required, size_t most = 512) {
  auto it = answer.find(key);
  // A null is the same as no value, because scripts write one for an empty variable.
  if (it == answer.end() || it->is_null()) {
    if (required) return fail(Code::protocol, std::string("the answer has no \"") + key + "\"");
    return std::string();
  }
  if (!it->is_string()) return fail(Code::protocol, std::string("\"") + key + "\" is not text");
  auto value = it->get<std::string>();
  if (required && value.empty()) return fail(Code::protocol, std::string("\"") + key + "\" is empty");
  // one_line() changes what is not safe for a terminal, so a text that it leaves alone is.
  if (value.size() > most || one_line(value, most) != value)
    return fail(Code::protocol, std::string("\"") + key + "\" is too long or has control characters");
  return value;
}

}  // namespace

Result<json> parse_answer(const std::string& text) {
  // The parser bounds the depth and refuses a key that comes twice.
  auto answer = parse_json(text);
  if (!answer || !answer->is_object()) return fail(Code::protocol, "the answer is not one JSON object");
  return answer;
}

Result<Created> read_created(const json& answer) {
  Created created;
  created.id = TRY(text(answer, "id", true));
  created.cost_per_hour = TRY(text(answer, "cost_per_hour", false, 64));
  auto network = TRY(text(answer, "network", false, 16));
  if (!network.empty() && network != "own" && network != "none")
    return fail(Code::protocol, "\"network\" is neither \"own\" nor \"none\"");
  created.offline = network == "none";
  return created;
}

Result<Where> read_where(const json& answer) {
  Where where;
  where.host = TRY(text(answer, "host", true, 255));
  where.user = TRY(text(answer, "user", false, 64));
  if (where.user.empty()) where.user = kUser;
  if (answer.contains("port")) {
    const json& port = answer["port"];
    if (!port.is_number_unsigned() || port.get<uint64_t>() < 1 || port.get<uint64_t>() > 65535)
      return fail(Code::protocol, "\"port\" is not a valid port");
    where.port = port.get<uint16_t>();
  }
  // The provider must not be able to pass an option or a command to ssh either.
  unsigned char address[16];
  bool v6 = where.host.find(':') != std::string::npos;
  if (v6 && ::inet_pton(AF_INET6, where.host.c_str(), address) != 1)
    return fail(Code::protocol, "'" + where.host + "' is not a valid host");
  auto target = ssh::parse_target(where.user + "@" + (v6 ? "[" + where.host + "]" : where.host));
  // These include no characters that ssh expands.
  static constexpr std::string_view kName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  bool plain = (v6 || where.host.find_first_not_of(kName) == std::string::npos) &&
               where.user.find_first_not_of(kName) == std::string::npos;
  // The text is parsed in the same way as the operator's own --remote. If the parser understands a part differently,
  // the parts differ.
  if (!plain || !target || target->host != where.host || target->user != where.user)
    return fail(Code::protocol, "'" + where.user + "@" + where.host + "' is not a valid place to sign in");
  return where;
}

Result<std::string> read_image(const json& answer) { return text(answer, "image", true); }

Result<std::string> read_fetch(const json& answer, const std::string& value) {
  auto it = answer.find("fetch");
  if (it == answer.end() || !it->is_string()) return fail(Code::protocol, "the answer has no text \"fetch\"");
  auto fetch = it->get<std::string>();
  // The command may have line ends, so one_line() does not apply here.
  if (fetch.empty() || fetch.size() > 64 << 10 || fetch.find('\0') != std::string::npos)
    return fail(Code::protocol, "\"fetch\" is empty, too long or not text");
  // The command is visible on the VM, so it must not contain the value.
  if (fetch.find(value) != std::string::npos) return fail(Code::protocol, "\"fetch\" contains the value itself");
  return fetch;
}

Result<std::string> read_status(const json& answer, StatusOf hook) {
  auto status = TRY(text(answer, "status", true, 32));
  static constexpr std::array kAll = {"deleting", "gone", "pending", "running", "stopped"};
  // After a destroy, only the first two of the list make sense.
  auto end = hook == StatusOf::destroy ? kAll.begin() + 2 : kAll.end();
  if (std::find(kAll.begin(), end, status) == end)
    return fail(Code::protocol, "'" + status + "' is not a valid status");
  return status;
}

Result<std::vector<Listed>> read_list(const json& answer) {
  if (!answer.contains("machines") || !answer["machines"].is_array())
    return fail(Code::protocol, "the answer has no list \"machines\"");
  std::vector<Listed> all;
  for (const json& item : answer["machines"]) {
    // One bad entry makes the whole list invalid, because an inventory that lacks a machine would look complete.
    if (!item.is_object()) return fail(Code::protocol, "\"machines\" contains something other than objects");
    Listed listed;
    listed.id = TRY(text(item, "id", true));
    listed.name = TRY(text(item, "name", false));
    listed.session = TRY(text(item, "session", false));
    listed.owner = TRY(text(item, "owner", false));
    listed.created = TRY(text(item, "created", false, 64));
    listed.status = TRY(text(item, "status", false, 32));
    listed.cost_per_hour = TRY(text(item, "cost_per_hour", false, 64));
    listed.kind = TRY(text(item, "kind", false, 32));
    if (listed.kind.empty()) listed.kind = "vm";
    all.push_back(std::move(listed));
  }
  return all;
}

}  // namespace bottle::machine
