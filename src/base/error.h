// Defines Result<T> and Error. Every function of ours that can fail returns a Result.
#pragma once

#include <cerrno>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace bottle {

// Names the kinds of errors that callers distinguish. The details are in the text.
enum class Code {
  invalid,      // the input is wrong
  not_found,    // the thing does not exist
  denied,       // it exists, but may not be used
  conflict,     // something else is in its place
  unavailable,  // the other side does not answer, or cannot do it
  timed_out,    // a limit in time that we set was reached
  canceled,     // the operator or another part of this program stopped it
  closed,       // the other side has ended the connection
  limit,        // a limit in size or number was reached
  no_space,     // a disk or a quota is full: the same call works once there is room
  protocol,     // the other side breaks its protocol
  internal      // all other failures
};

// Returns the code's name as it is written above.
std::string_view to_string(Code code);

// Says what failed during which actions (outermost first), and what the operator can do about it, if anything.
struct Error {
  Code code = Code::internal;
  std::string what;
  // A sentence or a command for the operator, or an empty string if there is nothing to do.
  std::string todo = {};

  // Prefixes "while doing": Error{"no such file"}.during("reading /x") reads "reading /x: no such file".
  Error during(std::string_view doing) && {
    what = std::string(doing) + ": " + what;
    return std::move(*this);
  }
};

template <typename T = void>
using Result = std::expected<T, Error>;

// Returns an error in the form in which a function returns it: `return fail(Code::limit, "…")`.
inline std::unexpected<Error> fail(Code code, std::string what, std::string todo = {}) {
  return std::unexpected(Error{code, std::move(what), std::move(todo)});
}

// Returns the result, with "doing: " before an error's text: `TRY(during("reading the rules", read_file(path)))`.
template <typename T>
Result<T> during(std::string_view doing, Result<T> result) {
  if (!result) return std::unexpected(std::move(result.error()).during(doing));
  return result;
}

// Returns what `next` returns for the value of `first`, or the error of `first`. `next` returns a Result. A Result
// without a value calls it without an argument.
template <typename T, typename Next>
auto then(const Result<T>& first, Next&& next) {
  if constexpr (std::is_void_v<T>) {
    using Then = std::invoke_result_t<Next>;
    return first ? std::invoke(std::forward<Next>(next)) : Then(std::unexpected(first.error()));
  } else {
    using Then = std::invoke_result_t<Next, const T&>;
    return first ? std::invoke(std::forward<Next>(next), *first) : Then(std::unexpected(first.error()));
  }
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
