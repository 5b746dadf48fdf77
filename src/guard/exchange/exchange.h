// Handles one request and its answer on an established client stream. The bodies are streamed and scanned in
// both directions, each at its own pace. ARCHITECTURE.md has the table of the states.
#pragma once

#include <optional>
#include <string>

#include "guard/connection/connection.h"
#include "guard/exchange/answer_watch.h"
#include "guard/exchange/held_back.h"
#include "guard/exchange/message_scan.h"
#include "guard/exchange/request.h"
#include "guard/exchange/request_scan.h"
#include "guard/exchange/usage_watch.h"
#include "scan/content/content_decoder.h"

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

// The state of the request's body.
enum class Sending : uint8_t {
  streaming,   // the body goes upstream as it arrives
  discarding,  // the server takes no more of it, but some clients read the answer only after they have sent everything
  done,        // the body was read to its end
};

// The state of the answer.
enum class Answering : uint8_t {
  head,       // the final head has not arrived yet
  body,       // the head was sent to the client or is in its buffer
  done,       // the whole answer was sent or is in the buffer
  switching,  // a 101 was sent: what follows is not HTTP
};

// Says whether the coding of the answer's body is removed.
enum class Decoding : uint8_t {
  none,     // the body has no coding, or keeps it
  running,  // more decoded bytes may come, even after the whole body has arrived
  ended,    // all of the body was decoded
};

// These hold the parsed head, the payload and the scanned payload of the current step. None of them is kept over an
// await.
inline http::Head g_head;
inline std::string g_payload, g_scanned, g_scan_output;

// Returns whether a request may be sent again if the server may have received the first one (RFC 9110 §9.2.2).
bool may_repeat(std::string_view method);

// Handles one request and its answer. It lives in the frame of the coroutine that serves the client. It reads from
// and writes to both streams of the connection, and nothing else may do so while it runs.
class Exchange {
 public:
  // `head` is the request's head for the upstream, without its framing. All arguments must outlive the exchange.
  Exchange(Connection& c, Request& request, std::string_view head)
      : c_(c),
        request_(request),
        head_(head),
        secrets_(c.tls ? c.config->secrets.of(c.host) : c.config->secrets.of_unproven()),
        scan_(c, secrets_, request),
        up_scan_(scan_.outgoing(Place::body, request.content.syntax)),
        up_stream_(
            scan_.stream(Place::body, request.content.syntax, request.content.decodes ? "" : request.content.codings)),
        down_scan_(scan_.incoming()) {
    if (request.content.decodes) up_decoder_ = scan::ContentDecoder::make(request.content.codings);
  }

  ~Exchange() {
    count_tokens();  // of an answer that was cut short
    c_.client.beside = c_.upstream.beside = 0;
  }

  // Runs the exchange on the connected upstream. `kept` says that an earlier request has used the upstream, so that the
  // server may have closed it since. After Outcome::retry, run() may be called again.
  Task<Outcome> run(bool kept);

 private:
  void begin(bool kept);
  bool step();
  Outcome conclude();
  bool send_body();
  bool head_waits();
  bool next_piece(bool& progress);
  bool decode_piece();
  bool discard();
  bool scan_body(bool& progress);
  bool upload_is_over();
  bool pass_on();
  void write_upstream(std::string_view bytes);
  void keep_for_replay(std::string_view bytes);
  void collect();
  std::optional<std::string> request_trailers();
  bool answer_head();
  Parse parse_answer();
  bool interim_answer(size_t line_end);
  bool no_answer();
  bool switch_protocols(size_t line_end);
  bool take_off_codings();
  void begin_body();
  bool answer_body();
  bool end_answer();
  bool next_payload(bool& progress);
  bool is_behind_answer() const;
  bool is_behind() const;
  bool begin_watch();
  bool watch_answer(std::string_view bytes);
  bool end_watch();
  bool record_injections();
  bool withhold(bool& progress);
  void begin_usage();
  void count_tokens();
  bool count_up(uint64_t bytes);
  void write_body();
  void count_memory();
  void write_head(size_t line_end, bool final);
  bool withdrawn();
  bool fail_with(int status, std::string_view code, std::string_view reason);
  bool refuse_request();
  // Says why an answer ends early.
  struct Stop {
    int status;
    std::string_view code;
    std::string reason;
  };
  // Each of these ends the exchange and returns false.
  bool stop_answer() { return fail_with(stop_->status, stop_->code, stop_->reason); }
  bool refuse_answer() { return fail_with(403, "secret_in_answer", scan_.refusal().reason); }
  bool break_off(int status, std::string_view code);
  Task<Outcome> upgraded();
  void flush_both();
  bool watch_message(std::string_view text, bool whole);
  void count_messages(const std::optional<MessageScan>& to_server, const std::optional<MessageScan>& to_client);
  void rest_messages(std::optional<MessageScan>& to_server, std::optional<MessageScan>& to_client);
  bool pass_up(MessageScan* messages);
  bool pass_down(MessageScan* messages);
  bool release_messages(MessageScan& messages, std::string& out, HeldBack& held, bool came, bool& progress);

  Connection& c_;
  Request& request_;
  std::string_view head_;
  const HostSecrets& secrets_;
  RequestScan scan_;
  scan::Filter up_scan_;
  scan::Stream up_stream_;                          // behind up_scan_
  std::optional<scan::ContentDecoder> up_decoder_;  // for a body that is passed on without its codings
  std::string up_coded_;                            // input for up_decoder_
  scan::Filter down_scan_;
  Sending sending_ = Sending::streaming;
  Answering answering_ = Answering::head;
  http::ArrivingHead arriving_;  // of the answer
  int interim_ = 0;              // answers before the final one
  Framing up_framing_ = Framing::none, down_framing_ = Framing::none;
  HeldBack held_up_, held_down_;
  HeldBack held_in_stream_, held_head_;
  uint64_t unread_ = 0;  // the length of the body while the head waits for its beginning, or 0
  std::string piece_;    // the body, as long as it is so short that it may contain pieces of a secret
  bool client_keep_ = true, upstream_keep_ = true;
  http::Body answer_;
  std::optional<scan::ContentDecoder> decoder_;  // for an answer that arrives with a coding and is passed on without it
  std::string coded_;                            // input for the decoder
  Decoding decoding_ = Decoding::none;
  std::optional<AnswerWatch> watch_;  // set if the answer is searched for prompt injections
  std::string withheld_;              // scanned bytes that wait until the watch has decided about them
  HeldBack held_watch_;
  std::optional<UsageWatch> usage_;  // set if the answer says how many tokens it cost
  std::optional<Stop> stop_;
  std::optional<std::string> collected_;  // the request's head and body so far, while the length is unknown
  size_t collected_head_ = 0;
  std::string waiting_;        // scanned bytes for the client that wait for the end of a chunk
  int64_t waiting_since_ = 0;  // milliseconds
  // Holds everything that was sent to a kept upstream, as long as it may be sent again to another.
  std::optional<std::string> replay_;
  int repeated_ = 0;
  bool kept_ = false;
  int status_ = 0;                                    // of the answer
  std::optional<Outcome> outcome_;                    // if set, the exchange stops
  std::shared_ptr<const Config> judged_ = c_.config;  // the rules by which the request was last allowed
  uint64_t answer_at_ = 0;                            // where the final answer begins in what the client's stream sends
};

}  // namespace bottle::guard
