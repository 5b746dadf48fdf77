// What an Object works on; for the codec's own files, which see JSON.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "wire/codec/codec.h"

namespace bottle::wire {

struct Document::State {
  Kind kind;
  From from;
  bool reading;
  nlohmann::json json = nlohmann::json::object();
  std::optional<std::string> error = {};  // the first one: "remote.far.port is missing"
  Code code = Code::protocol;             // of reading
};

}  // namespace bottle::wire
