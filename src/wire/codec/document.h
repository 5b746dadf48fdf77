// Defines the state of a Document, for the codec's own files, which include the JSON library.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Holds what a Document and the Objects in it share. It lives as long as the Document.
struct Document::State {
  Kind kind;
  From from;
  bool reading;
  nlohmann::json json = nlohmann::json::object();
  std::optional<std::string> error = {};  // the first error, such as "remote.far.port is missing"
  Code code = Code::protocol;             // the code of that error when reading
  std::string* skipped = nullptr;         // set while unknown keys are not an error; gets the first one
};

}  // namespace bottle::wire
