// Reads the decisions of a session's guard, and of the broker on this machine, while they are written.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::app {

// Returns whether the session has not ended.
bool runs_now(const std::string& session);

class Decisions {
 public:
  explicit Decisions(const std::string& session);
  // Passes each line to `take`, in the order of time. With `follow`, waits for further lines as long as the session
  // runs. Stops when the reader of stdout is gone.
  Result<> each(bool follow, const std::function<void(const std::string& line)>& take);
  // Goes to the end of what is there, so that each() passes only later lines.
  Result<> skip();
  // Returns whether there is a record. Call it after each().
  bool exist() const { return guard_.fd || near_.fd; }

 private:
  struct File {
    std::string path, rest = {};
    UniqueFd fd = {};
    Result<std::vector<std::string>> more();
    Result<> skip();
  };
  Result<std::vector<std::string>> more();
  std::string session_;
  File guard_, near_;
};

// Says that a session has no record.
std::unexpected<Error> no_decisions(const std::string& session);

}  // namespace bottle::app
