// The plan names the workspace by its canonical path. The operator has agreed to that directory, so it is checked
// again before each use: an agent of another session, or anyone who can write above it, could have replaced it with a
// link.
#include "workspace/unmoved.h"

#include <filesystem>

#include "base/text/line.h"

namespace bottle::workspace {

Result<> check_unmoved(const std::string& path) {
  std::error_code error;
  // The path had no links when the plan was made, so it must still be its own canonical path.
  std::string now = std::filesystem::canonical(path, error).string();
  if (error) return fail(Code::not_found, "the workspace " + one_line(path) + " cannot be opened: " + error.message());
  if (now == path) return {};
  return fail(Code::denied,
              "the workspace " + one_line(path) + " now leads to " + one_line(now) +
                  ", which is not the directory that the plan names",
              "find out why it was replaced with a link, then start again");
}

}  // namespace bottle::workspace
