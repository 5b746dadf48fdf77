// Whatever another machine sends, a rule that it proposes for the manifest must name one plain host.
#include <cstdlib>

#include "manifest/edit.h"
#include "policy/host.h"
#include "remote/link/far_message.h"

using namespace bottle;

namespace {

void judge(const std::string& rule) {
  if (rule.empty()) return;
  auto read = manifest::rule_from_yaml(rule);
  auto host = read ? policy::normalise_host(read->host) : std::unexpected(read.error());
  if (!host || host->literal || rule.find('\n') != std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto event = remote::read_far_event(text);
  if (auto* denied = event ? std::get_if<wire::Denied>(&*event) : nullptr) judge(denied->allow.value_or(""));
  auto result = remote::read_far_result(text);
  if (!result || !result->egress) return 0;
  for (const auto& denied : result->egress->denied) judge(denied.allow);
  for (const auto& rule : result->egress->recorded.value_or(std::vector<std::string>())) judge(rule);
  return 0;
}
