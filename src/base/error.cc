// Maps the operating system's errors to the few kinds that callers distinguish. An error number belongs in this table
// only if some caller acts on its kind. All others are `internal`, because the text already tells the operator which
// it was.

#include "base/error.h"

#include <cstring>

namespace bottle {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::invalid:
      return "invalid";
    case Code::not_found:
      return "not_found";
    case Code::denied:
      return "denied";
    case Code::conflict:
      return "conflict";
    case Code::unavailable:
      return "unavailable";
    case Code::timed_out:
      return "timed_out";
    case Code::canceled:
      return "canceled";
    case Code::closed:
      return "closed";
    case Code::limit:
      return "limit";
    case Code::no_space:
      return "no_space";
    case Code::protocol:
      return "protocol";
    case Code::internal:
      return "internal";
  }
  return "internal";
}

std::unexpected<Error> fail_errno(std::string_view doing, int number) {
  Code code = Code::internal;
  switch (number) {
    // A process that is gone is like a file that is gone: the thing that the caller asked about does not exist.
    case ENOENT:
    case ESRCH:
      code = Code::not_found;
      break;
    case EACCES:
    case EPERM:
      code = Code::denied;
      break;
    case EEXIST:
    case EBUSY:
      code = Code::conflict;
      break;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
      code = Code::unavailable;
      break;
    case ETIMEDOUT:
      code = Code::timed_out;
      break;
    case EPIPE:
    case ECONNRESET:
      code = Code::closed;
      break;
    case ENOSPC:
    case EDQUOT:
      code = Code::no_space;
      break;
    // Descriptors and memory have one thing in common: the call may succeed later, when some were released.
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      code = Code::limit;
      break;
    // Callers react to codes such as `invalid` and `limit` in a specific way. An unexpected error must not look like
    // one of those.
    default:
      break;
  }
  return fail(code, std::string(doing) + ": " + std::strerror(number));
}

}  // namespace bottle
