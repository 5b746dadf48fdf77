// Reads what comes before the self-test as it arrives over the pipe.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/unique_fd.h"
#include "inside/gate/gate.h"

using namespace bottle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 60000) return 0;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  UniqueFd out(ends[0]), in(ends[1]);
  if (::write(in.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
  in.reset();
  std::string files;
  auto asked = inside::read_ask(out.get(), 1000, [&](std::string_view piece) { files += piece; });
  if (!asked) return 0;
  // Everything up to the request was read, and nothing after it.
  size_t taken = files.empty() && data[0] == '\n' ? 1 : 1 + 8 + files.size() + 1;
  std::string rest(size + 1, '\0');
  if (static_cast<size_t>(::read(out.get(), rest.data(), rest.size())) != size - taken) std::abort();
  if (data[taken - 1] != '\n') std::abort();
  return 0;
}
