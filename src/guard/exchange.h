// One request and its answer on an established client stream: bodies streamed and scanned in both directions.
#pragma once

#include <optional>
#include <string>

#include "guard/connection.h"
#include "guard/message_scan.h"
#include "guard/request.h"
#include "guard/request_scan.h"
#include "scan/content_decoder.h"

namespace bottle::guard {

inline constexpr size_t kHigh = 128 * 1024;  // unsent bytes at which reading from the other side stops

// Milliseconds of quiet after which the beginning of what could become a secret is not held back any longer.
inline constexpr int64_t kMostQuiet = 15;

enum class Outcome { keep, close, abort, retry };

// The parsed head, payload and scanned payload of the step at hand; nothing in them outlives an await.
inline Head g_head;
inline std::string g_payload, g_scanned;

class Exchange {
 public:
  Exchange(Connection& c, Request& request, bool reused)
      : c_(c),
        request_(request),
        reused_(reused),
        secrets_(c.tls ? c.config->secrets.of(c.host) : c.config->secrets.of_nobody()),
        scan_(c, secrets_, request),
        up_scan_(scan_.outgoing(Place::body, request.syntax)),
        down_scan_(scan_.incoming()) {}

  ~Exchange() { c_.client.beside = c_.upstream.beside = 0; }

  Task<Outcome> run(std::string_view head);

 private:
  void send_head(std::string_view head);
  bool send_body();
  void collect();
  bool answer_head();
  bool take_off_codings();
  void begin_body();
  bool answer_body();
  bool next_payload(bool& progress);
  void write_body();
  void count_memory();
  bool release_little();
  void write_head(size_t line_end, bool final);
  bool withdrawn();
  bool fail_with(int status, std::string_view code, std::string_view reason);
  bool refuse_request() { return fail_with(403, "secret", scan_.refusal()); }
  bool refuse_answer() { return fail_with(403, "secret_in_answer", scan_.refusal()); }
  Task<Outcome> upgraded();
  void flush_both();
  bool pass_up(MessageScan* messages);
  bool pass_down(MessageScan* messages);

  Connection& c_;
  Request& request_;
  bool reused_;
  const HostSecrets& secrets_;
  RequestScan scan_;
  scan::Filter up_scan_, down_scan_;
  bool request_done_ = false, head_sent_ = false, answer_done_ = false, chunk_out_ = false, chunk_up_ = false;
  bool client_keep_ = true, upstream_keep_ = true, switched_ = false;
  Body answer_;
  std::optional<scan::ContentDecoder> decoder_;  // of an answer that comes coded and goes on plain
  std::string coded_;                            // for it
  bool decoded_all_ = true;
  std::optional<std::string> collected_;  // the request's head and body so far, while the length is not known
  size_t collected_head_ = 0;
  std::string waiting_;                               // scanned, for the client, until the end of a chunk is known
  std::optional<Outcome> outcome_;                    // set: stop
  std::shared_ptr<const Config> judged_ = c_.config;  // the rules by which the request was last allowed
  uint64_t sent_before_ = 0;                          // by the client's stream, when the answer began
};

}  // namespace bottle::guard
