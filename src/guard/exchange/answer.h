// Sends an answer to the client, scanned and searched.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "guard/exchange/answer_search.h"
#include "guard/exchange/exchange_core.h"
#include "guard/exchange/upload.h"
#include "guard/net/held_back.h"
#include "scan/content/content_decoder.h"

namespace bottle::guard {

// The answer's side of one exchange, which owns it. ExchangeCore::answering is its state.
class Answer {
 public:
  // Both arguments must outlive this object.
  Answer(ExchangeCore& core, Upload& upload)
      : core_(core),
        c_(core.c),
        request_(core.request),
        upload_(upload),
        filter_(core.values.incoming()),
        search_(core) {}

  // Waits for the answer from the connected upstream. `kept` is the same as for Exchange::run().
  void begin(bool kept) { kept_ = kept; }
  // Moves the answer one step toward the client.
  Step step();

  // Return, once the final head has come, its status and whether the connections can carry another request.
  int status() const { return status_; }
  bool keeps_client() const { return client_keep_; }
  bool keeps_upstream() const { return upstream_keep_; }
  // Returns whether the client finds the end of the body only by the end of the connection.
  bool ends_with_connection() const;
  // Makes keeps_upstream() false.
  void drop_upstream() { upstream_keep_ = false; }
  AnswerSearch& search() { return search_; }
  // Returns when bytes that are held back must be released, or `otherwise` if that is earlier.
  int64_t until(int64_t otherwise) const { return held_in_search_.until(held_.until(otherwise)); }

 private:
  // Says whether the coding of the body is removed.
  enum class Decoding : uint8_t {
    none,     // the body has no coding, or keeps it
    running,  // more decoded bytes may come, even after the whole body has arrived
    ended,    // all of the body was decoded
  };
  Step step_head();
  Parse parse_head();
  Step no_answer();
  Step interim_answer(size_t line_end);
  Step switch_protocols(size_t line_end);
  Step take_off_codings();
  void begin_body();
  void write_head(size_t line_end, bool final);
  Step step_body();
  Step next_payload();
  Step decode_payload(Step progress);
  Step withhold(Step progress);
  Step end();
  void write_body();
  void count_memory();

  ExchangeCore& core_;
  Connection& c_;
  Request& request_;
  Upload& upload_;
  scan::Filter filter_;
  AnswerSearch search_;
  http::ArrivingHead arriving_;
  int interim_ = 0;  // answers before the final one
  http::Body body_;
  Framing framing_ = Framing::none;
  std::optional<scan::ContentDecoder> decoder_;  // for an answer that arrives with a coding and is passed on without it
  std::string coded_;                            // input for the decoder
  Decoding decoding_ = Decoding::none;
  HeldBack held_, held_in_search_;
  std::string withheld_;       // scanned bytes that wait until the search has decided about them
  std::string waiting_;        // scanned bytes for the client that wait for the end of a chunk
  int64_t waiting_since_ = 0;  // milliseconds
  bool kept_ = false;          // an earlier request has used the upstream
  int repeated_ = 0;           // how often the request was sent again
  int status_ = 0;
  bool client_keep_ = true, upstream_keep_ = true;
};

}  // namespace bottle::guard
