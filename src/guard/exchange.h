// One request and its answer on an established client stream: bodies streamed and scanned in both directions, each at
// its own pace. ARCHITECTURE.md has the table of the states.
#pragma once

#include <optional>
#include <string>

#include "guard/connection.h"
#include "guard/held_back.h"
#include "guard/message_scan.h"
#include "guard/request.h"
#include "guard/request_scan.h"
#include "scan/content_decoder.h"

namespace bottle::guard {

inline constexpr size_t kHigh = 128 * 1024;  // unsent bytes at which reading from the other side stops

enum class Outcome {
  keep,     // the client may send its next request
  close,    // the answer is whole, and the connection ends behind it
  abort,    // what was sent was cut short and must not look whole
  hang_up,  // nothing was answered: the client's own retry decides
  retry,    // run() again with a new upstream: the kept one was dead, and nothing is lost
};

// The request's body.
enum class Sending : uint8_t {
  streaming,   // goes upstream as it comes
  discarding,  // the server takes no more of it, but the client may read its answer only when it has sent it all
  done,        // read to its end
};

// The answer.
enum class Answering : uint8_t {
  head,       // its final head has not come yet
  body,       // its head is with the client, or in its buffer
  done,       // all of it is
  switching,  // a 101 is: what follows is not HTTP
};

// The parsed head, payload and scanned payload of the step at hand; nothing in them outlives an await.
inline Head g_head;
inline std::string g_payload, g_scanned;

class Exchange {
 public:
  // `head` is what goes upstream for the request, without its framing. All must outlive the exchange.
  Exchange(Connection& c, Request& request, std::string_view head)
      : c_(c),
        request_(request),
        head_(head),
        secrets_(c.tls ? c.config->secrets.of(c.host) : c.config->secrets.of_nobody()),
        scan_(c, secrets_, request),
        up_scan_(scan_.outgoing(Place::body, request.syntax)),
        down_scan_(scan_.incoming()) {}

  ~Exchange() { c_.client.beside = c_.upstream.beside = 0; }

  // On the upstream that is connected. `kept`: by an earlier request, so that the server may have left meanwhile.
  // After Outcome::retry it may be run once more.
  Task<Outcome> run(bool kept);

 private:
  void begin(bool kept);
  bool step();
  Outcome conclude();
  bool send_body();
  bool discard();
  bool upload_is_over();
  bool pass_on();
  void write_upstream(std::string_view bytes);
  void collect();
  std::optional<std::string> request_trailers();
  bool answer_head();
  bool no_answer();
  bool switch_protocols(size_t line_end);
  bool take_off_codings();
  void begin_body();
  bool answer_body();
  bool end_answer();
  bool next_payload(bool& progress);
  void write_body();
  void count_memory();
  void write_head(size_t line_end, bool final);
  bool withdrawn();
  bool fail_with(int status, std::string_view code, std::string_view reason);
  bool refuse_request() { return fail_with(403, "secret", scan_.refusal()); }
  bool refuse_answer() { return fail_with(403, "secret_in_answer", scan_.refusal()); }
  Task<Outcome> upgraded();
  void flush_both();
  bool pass_up(MessageScan* messages);
  bool pass_down(MessageScan* messages);
  bool release_messages(MessageScan& messages, std::string& out, HeldBack& held, bool& progress);

  Connection& c_;
  Request& request_;
  std::string_view head_;
  const HostSecrets& secrets_;
  RequestScan scan_;
  scan::Filter up_scan_, down_scan_;
  Sending sending_ = Sending::streaming;
  Answering answering_ = Answering::head;
  Framing up_framing_ = Framing::none, down_framing_ = Framing::none;
  HeldBack held_up_, held_down_;
  bool client_keep_ = true, upstream_keep_ = true;
  Body answer_;
  std::optional<scan::ContentDecoder> decoder_;  // of an answer that comes coded and goes on plain
  std::string coded_;                            // for it
  bool decoded_all_ = true;
  std::optional<std::string> collected_;  // the request's head and body so far, while the length is not known
  size_t collected_head_ = 0;
  std::string waiting_;        // scanned, for the client, until the end of a chunk is known
  int64_t waiting_since_ = 0;  // milliseconds
  // All that went to a kept upstream so far, while it may be sent again to another.
  std::optional<std::string> replay_;
  bool kept_ = false;
  int status_ = 0;                                    // of the answer
  std::optional<Outcome> outcome_;                    // set: stop
  std::shared_ptr<const Config> judged_ = c_.config;  // the rules by which the request was last allowed
  uint64_t sent_before_ = 0;                          // by the client's stream, when the answer began
};

}  // namespace bottle::guard
