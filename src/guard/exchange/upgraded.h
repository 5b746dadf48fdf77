// Serves a connection after its 101. It scans WebSocket messages, and passes the bytes of other protocols.
#pragma once

#include "guard/exchange/answer_search.h"
#include "guard/exchange/exchange_core.h"
#include "guard/exchange/message_scan.h"
#include "guard/net/held_back.h"

namespace bottle::guard {

// Serves the rest of an exchange that switched to another protocol.
class Upgraded {
 public:
  // Both arguments must outlive this object.
  Upgraded(ExchangeCore& core, AnswerSearch& search)
      : core_(core), c_(core.c), request_(core.request), search_(search) {}

  // Passes bytes in both directions until the connection ends.
  Task<Outcome> run();

 private:
  Step round(std::optional<MessageScan>& scan_up, std::optional<MessageScan>& scan_down);
  MessageRules rules_to_server();
  MessageRules rules_to_client();
  Step pass_up(MessageScan* messages);
  Step pass_down(MessageScan* messages);
  Step release_up(MessageScan* messages, bool came);
  Step release_down(MessageScan* messages, bool came);
  Step refuse_answer() { return search_.is_stopped() ? search_.stop() : core_.refuse_answer(); }
  void flush_both();
  void count_memory(const MessageScan* to_server, const MessageScan* to_client);

  ExchangeCore& core_;
  Connection& c_;
  Request& request_;
  AnswerSearch& search_;
  HeldBack held_up_, held_down_;
  bool half_closed_ = false;  // one side has ended; the other may continue to send, as in any protocol but WebSocket
};

}  // namespace bottle::guard
