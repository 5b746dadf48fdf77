// An error that a process tells another one: why a session could not be.
#pragma once

#include "base/error.h"
#include "wire/codec/codec.h"

namespace bottle::wire {

template <>
inline constexpr Kind kKind<Error> = {"failure", 256 << 10};

void fields(Object& o, Error& error);

// What a command with --json says in place of its result: {"error": {…}}.
struct ErrorReport {
  static constexpr const char* kName = "error";
  static constexpr size_t kMost = kKind<Error>.most;
  Error error;
};
void fields(Object& o, ErrorReport& report);

}  // namespace bottle::wire
