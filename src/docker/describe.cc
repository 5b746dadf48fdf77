#include "docker/describe.h"

#include <future>

#include "docker/answers.h"

namespace bottle::docker {

Result<EngineInfo> describe(Engine& engine) {
  auto asked = std::async(std::launch::async, [&] { return engine.inspect_network("none"); });
  auto info = engine.info();
  auto none = asked.get();
  if (!info) return info;
  // A failed call must not look like an engine without this network, which would later seem to be another engine.
  if (!none && none.error().code != Code::not_found) return std::unexpected(std::move(none.error()));
  if (none) info->data_id = text_of(*none, "Id");
  return info;
}

}  // namespace bottle::docker
