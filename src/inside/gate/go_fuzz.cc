// Reads a go message as it arrives over the pipe, and parses only its JSON.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "base/unique_fd.h"
#include "inside/gate/gate.h"

using namespace bottle;

namespace {

void judge(const Result<inside::Go>& go) {
  if (!go) return;
  if (go->argv.empty() || go->argv[0].empty()) std::abort();
  if (!go->cwd.empty() && go->cwd[0] != '/') std::abort();
  for (const auto& [name, value] : go->env)
    if (name.empty() || name.find('=') != name.npos || name.find('\0') != name.npos || value.find('\0') != value.npos)
      std::abort();
  for (const auto& word : go->argv)
    if (word.find('\0') != word.npos) std::abort();
  for (const auto& file : go->files)
    if (file.path[0] != '/' || file.path.find('\0') != file.path.npos || file.mode < 0 || file.mode > 0777)
      std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  judge(wire::decode<wire::Go>(text, wire::From::ours));
  if (size > 8) judge(wire::decode<wire::Go>(text.substr(8), wire::From::ours));
  if (size > 60000) return 0;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  UniqueFd out(ends[0]), in(ends[1]);
  if (::write(in.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
  in.reset();
  judge(inside::read_go(out.get(), 1000));
  return 0;
}
