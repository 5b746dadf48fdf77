// Feeds the filter with hostile messages from both sides: the bottle's requests and the agent's answers, separated by
// 0xff bytes.
#include <cstdlib>

#include "sshagent/filter.h"
#include "sshagent/wire.h"

using namespace bottle::sshagent;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Key> keys = {{"key-one", "one", {{"git.example.org", "host-key", "git"}}},
                                        {"key-two", "two", {{"other", "other-key", ""}}}};
  Filter filter(keys);
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  bool to_agent = false;
  while (!rest.empty()) {
    size_t end = std::min(rest.find('\xff'), rest.size());
    std::string_view message = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (to_agent) {
      std::string reason, answer = filter.answer(message, reason);
      if (answer.empty()) std::abort();
      to_agent = false;
      continue;
    }
    auto verdict = filter.request(message);
    if (verdict.pass == !verdict.answer.empty()) std::abort();
    // A signature needs a host that was confirmed, and one of our keys.
    if (verdict.pass && verdict.what == "sign" &&
        (filter.bound_to().empty() || (verdict.key != "key-one" && verdict.key != "key-two")))
      std::abort();
    to_agent = verdict.pass;
  }
  (void)blob_of(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
