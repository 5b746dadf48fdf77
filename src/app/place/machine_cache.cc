#include "app/place/machine_cache.h"

#include <unistd.h>

#include <chrono>

#include "app/world/world.h"
#include "base/file.h"
#include "base/ids.h"
#include "remote/link/checked_text.h"

namespace bottle::app {
namespace {

using nlohmann::json;

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string directory() { return directories().cache + "/machines"; }

std::string path_of(const session::Far& far) {
  session::Far identity = far;
  identity.control_directory.clear();
  return directory() + "/" + content_hash(wire::encode(identity));
}

}  // namespace

std::optional<json> recall(const session::Far& far) {
  auto text = read_file(path_of(far), 2 << 20);
  json kept = text ? remote::far_words(*text) : json();
  if (!kept.is_object() || !kept["learned_ms"].is_number_integer() || !kept["hello"].is_object()) return std::nullopt;
  json hello = kept["hello"];
  hello["clock_ms"] = hello.value("clock_ms", int64_t{0}) + (now_ms() - kept["learned_ms"].get<int64_t>());
  return hello;
}

void remember(const session::Far& far, const json& hello) {
  if (!make_directories(directory())) return;
  (void)write_file_atomically(path_of(far), json{{"learned_ms", now_ms()}, {"hello", hello}}.dump());
}

void forget(const session::Far& far) { ::unlink(path_of(far).c_str()); }

}  // namespace bottle::app
