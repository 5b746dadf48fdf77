// Parses any text as each kind of file of an operator or a repository. The first byte selects the kind.
#include <cstdint>
#include <cstdlib>

#include "manifest/manifest.h"

using namespace bottle;

namespace {

// Checks that an error has a position, and that advice comes with a description.
template <typename T>
void judge(const Result<T>& result, const std::string& path) {
  if (result) return;
  if (result.error().what.empty() || !result.error().what.starts_with(path + ":")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 20000) return 0;
  std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0]) {
    case 'y':
      judge(manifest::parse({"bottle.yaml", text}), "bottle.yaml");
      break;
    case 'j':
      judge(manifest::parse({"bottle.json", text}), "bottle.json");
      break;
    case '1':
      judge(manifest::import_v1({"claude-bottle.json", text}), "claude-bottle.json");
      break;
    case 'g':
      judge(manifest::parse_guard({"guard.yaml", text}), "guard.yaml");
      break;
    case 'a':
      judge(manifest::parse_agent({"agent.md", text}), "agent.md");
      break;
    case 'r': {
      // An agent of a repository must never change the policy.
      auto home =
          manifest::load({{"home.yaml", "bottles: {b: {}}\nagents: {mine: {bottle: b}}"}}, {}, {{"agent.md", text}});
      judge(home, "agent.md");
      if (home && (home->bottles.size() != 2 || !home->vms.empty() || home->agents.at("mine").bottle != "b" ||
                   home->agents.size() > 2))
        std::abort();
      break;
    }
    default:
      break;
  }
  return 0;
}
