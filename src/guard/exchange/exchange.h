// Handles one request and its answer on an established client stream. The bodies are streamed and scanned in
// both directions, each at its own pace. ARCHITECTURE.md has the table of the states.
#pragma once

#include <string_view>

#include "guard/exchange/answer.h"
#include "guard/exchange/exchange_core.h"
#include "guard/exchange/upload.h"

namespace bottle::guard {

// Handles one request and its answer. It lives in the frame of the coroutine that serves the client. It reads from
// and writes to both streams of the connection, and nothing else may do so while it runs.
class Exchange {
 public:
  // `head` is the request's head for the upstream, without its framing. All arguments must outlive the exchange.
  Exchange(Connection& c, Request& request, std::string_view head)
      : c_(c), core_(c, request), upload_(core_, head), answer_(core_, upload_) {}
  ~Exchange() { c_.client.beside = c_.upstream.beside = 0; }

  // Runs the exchange on the connected upstream. `kept` says that an earlier request has used the upstream, so that the
  // server may have closed it since. After Outcome::retry, run() may be called again.
  Task<Outcome> run(bool kept);
  // After Outcome::abort, returns whether a client would mistake the end of the connection for the end of the answer.
  bool looks_whole() const { return answer_.ends_with_connection(); }

 private:
  Step step();
  bool upload_is_useless();
  Outcome conclude();

  Connection& c_;
  ExchangeCore core_;
  Upload upload_;
  Answer answer_;
};

}  // namespace bottle::guard
