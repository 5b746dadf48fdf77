// Provides one example of every message, with all fields set.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/codec/object.h"

namespace bottle::wire {

struct Sample {
  std::string name;  // name of its golden file
  size_t most;       // bytes
  std::function<std::string()> write;
  std::function<Result<std::string>(std::string_view text)> read_and_write;
  From from = From::ours;
  std::set<std::string> tables = {};  // objects whose keys may have any name
  std::string may_be_null = {};       // pointer to a value
  bool passes_over_unknown_keys = false;
  std::string open = {};       // pointer to a message with unknown keys that are ignored
  std::string elsewhere = {};  // pointer to a message that has a separate sample
};
std::vector<Sample> samples();

}  // namespace bottle::wire
