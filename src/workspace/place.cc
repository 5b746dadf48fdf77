#include "workspace/place.h"

#include <filesystem>

#include "base/text/line.h"

namespace bottle::workspace {

Result<> check_place(const std::string& path) {
  std::error_code error;
  std::string now = std::filesystem::canonical(path, error).string();
  if (error) return fail(Code::not_found, "the workspace " + one_line(path) + " cannot be opened: " + error.message());
  if (now == path) return {};
  return fail(Code::denied,
              "the workspace " + one_line(path) + " leads to " + one_line(now) +
                  " now, which it did not when the plan was made",
              "find out who replaced it by a link, then start again");
}

}  // namespace bottle::workspace
