// Result<T> and Error: how every function of ours that can fail says so.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace bottle {

// Few and behavioural: a caller branches on the code, a person reads the text.
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

// What went wrong, while doing what (outermost first) and, where there is one, what to do about it.
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

// An error of the operating system; errno is read if `number` is not given.
std::unexpected<Error> fail_errno(std::string_view doing, int number = errno);

}  // namespace bottle

// TRY(expr): the value of a Result, or return its error from this function. Never inside a braced initialiser:
// members that are already built would leak.
#define TRY(...)                                                              \
  __extension__({                                                             \
    auto&& try_result_ = (__VA_ARGS__);                                       \
    if (!try_result_) return std::unexpected(std::move(try_result_.error())); \
    std::move(try_result_).operator*();                                       \
  })
