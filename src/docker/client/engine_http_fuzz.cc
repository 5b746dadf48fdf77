// Reads any bytes as an engine's whole answer. The first byte of the input says whether a writer takes the body.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "docker/client/http.h"

using namespace bottle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 60000) return 0;  // fits into the socket's buffer
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  UniqueFd engine(ends[1]);
  auto connection = docker::Connection::adopt(UniqueFd(ends[0]), 1000);
  if (::send(engine.get(), data + 1, size - 1, MSG_NOSIGNAL) != static_cast<ssize_t>(size - 1)) std::abort();
  engine.reset();
  size_t written = 0;
  auto writer = [&](std::string_view bytes) -> Result<> {
    written += bytes.size();
    return {};
  };
  auto response = data[0] & 1 ? connection.response(writer) : connection.response();
  if (response) {
    if (response->status < 100 || response->status > 599) std::abort();
    if (written + response->body.size() > size) std::abort();
    for (const auto& [name, value] : response->headers)
      if (name.empty() || std::ranges::any_of(name, [](char c) { return c >= 'A' && c <= 'Z'; })) std::abort();
  } else if (response.error().code == Code::timed_out) {
    std::abort();  // everything had arrived
  }
  return 0;
}
