// Encodes an error that one process reports to another: why a session could not start or continue.
#pragma once

#include "base/error.h"
#include "wire/codec/codec.h"

namespace bottle::wire {

template <>
inline constexpr Kind kKind<Error> = {"failure", 256 << 10};

// Carries the code by its name, so that its number may change.
void fields(Object& o, Error& error);

// A command with --json prints this in place of its result: {"error": {…}}.
struct ErrorReport {
  static constexpr const char* kName = "error";
  static constexpr size_t kMost = kKind<Error>.most;
  Error error;
};
void fields(Object& o, ErrorReport& report);

}  // namespace bottle::wire
