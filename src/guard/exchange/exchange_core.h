// Defines what both directions of an exchange share: the connection, the request, the search for secrets, and how the
// exchange ends.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "guard/connection/connection.h"
#include "guard/core/client_error.h"
#include "guard/exchange/finding_scan.h"
#include "guard/exchange/request.h"
#include "guard/exchange/value_scan.h"

namespace bottle::guard {

inline constexpr size_t kHigh = 128 * 1024;  // the number of unsent bytes at which reading from the other side stops

// Says how an exchange ended, and what the caller does with the client's connection (ARCHITECTURE.md has the table).
enum class Outcome {
  keep,     // the client may send its next request
  close,    // the answer is complete, and the connection ends after it
  abort,    // the answer was cut short and must not look complete
  hang_up,  // no answer was sent, so the client decides whether to retry
  retry,    // call run() again with a new upstream: the kept one was dead, and nothing is lost
};

// Says what a step did. Of several steps, the last of these values that one of them returned counts.
enum class Step : uint8_t {
  idle,   // nothing has moved
  moved,  // something has moved
  over,   // the exchange has ended, and ExchangeCore::outcome says how; no further step follows
};
constexpr Step operator|(Step a, Step b) { return std::max(a, b); }
constexpr Step& operator|=(Step& a, Step b) { return a = a | b; }
constexpr Step moved_if(bool moved) { return moved ? Step::moved : Step::idle; }

// The state of the answer.
enum class Answering : uint8_t {
  head,       // the final head has not arrived yet
  body,       // the head was sent to the client or is in its buffer
  done,       // the whole answer was sent or is in the buffer
  switching,  // a 101 was sent: what follows is not HTTP
};

// These hold the parsed head, the payload and the scanned payload of the current step. None of them is kept over an
// await.
inline http::Head g_head;
inline std::string g_payload, g_scanned, g_scan_output;

// Holds the shared part of one exchange, which owns it.
struct ExchangeCore {
  // Both arguments must outlive this object.
  ExchangeCore(Connection& connection, Request& its_request)
      : c(connection),
        request(its_request),
        secrets(c.tls ? c.config->secrets.of(c.host) : c.config->secrets.of_unproven()),
        values(c, secrets, request, refusal),
        findings(c, secrets, request, refusal) {}

  Connection& c;
  Request& request;
  const HostSecrets& secrets;
  ScanRefusal refusal;  // why a scan or a filter has stopped
  ValueScan values;
  FindingScan findings;
  Answering answering = Answering::head;  // it decides how the exchange may end, so both directions see it
  uint64_t answer_at = 0;                 // where the final answer begins in what the client's stream sends
  std::optional<Outcome> outcome;         // if set, the exchange stops

  // Ends the exchange. Returns Step::over, as the following functions do.
  Step end(Outcome how) {
    outcome = how;
    return Step::over;
  }
  // Records why the exchange ends, and ends it, with an answer from the guard if that is still possible.
  Step fail_with(const ClientError& error);
  // Do the same because of `refusal`, which is about the request or about the answer.
  Step refuse_request() { return refuse("secret"); }
  Step refuse_answer() { return refuse("secret_in_answer"); }
  // Counts bytes that go up. If they exceed a limit, ends the exchange and returns Step::over.
  Step count_up(uint64_t bytes);
  // Ends the exchange and returns Step::over if new rules forbid it.
  Step check_current_rules();

 private:
  Step refuse(std::string_view code);
  Step break_off(int status, std::string_view code);

  std::shared_ptr<const Config> judged_ = c.config;  // the rules by which the request was last allowed
};

}  // namespace bottle::guard
