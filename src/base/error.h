// Defines Result<T> and Error, which every function of ours that can fail returns.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace bottle {

// The kinds of errors that callers distinguish. The details are in the text.
enum class Code {
  invalid,
  not_found,
  denied,
  conflict,
  unavailable,
  timed_out,
  canceled,
  closed,
  limit,
  protocol,
  internal
};

std::string_view to_string(Code code);

// Describes what failed, while doing what (outermost action first), and what the operator can do about it, if anything.
struct Error {
  Code code = Code::internal;
  std::string what;
  std::string todo = {};

  // Prefixes "while doing": Error{"no such file"}.during("reading /x") reads "reading /x: no such file".
  Error during(std::string_view doing) && {
    what = std::string(doing) + ": " + what;
    return std::move(*this);
  }
};

template <typename T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Code code, std::string what, std::string todo = {}) {
  return std::unexpected(Error{code, std::move(what), std::move(todo)});
}

// Returns an error of the operating system: `number`, or errno if it is not given.
std::unexpected<Error> fail_errno(std::string_view doing, int number = errno);

}  // namespace bottle

// TRY(expr) is the value of a Result, or returns its error from the function. Do not use it inside a braced
// initializer, because members that have already been constructed would leak.
#define TRY(...)                                                              \
  __extension__({                                                             \
    auto&& try_result_ = (__VA_ARGS__);                                       \
    if (!try_result_) return std::unexpected(std::move(try_result_.error())); \
    std::move(try_result_).operator*();                                       \
  })
