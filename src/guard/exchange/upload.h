// Sends the body of a request upstream, scanned, and with its head before it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "guard/exchange/exchange_core.h"
#include "guard/net/held_back.h"
#include "scan/content/content_decoder.h"

namespace bottle::guard {

// Returns whether a request may be sent again if the server may have received the first one (RFC 9110 §9.2.2).
bool may_repeat(std::string_view method);

// The request's side of one exchange, which owns it.
class Upload {
 public:
  // The state of the request's body.
  enum class State : uint8_t {
    streaming,   // the body goes upstream as it arrives
    discarding,  // the server takes no more of it, but some clients read the answer only after they have sent all
    done,        // the body was read to its end
    broken,      // the framing of a body that is discarded is broken, so that its end cannot be found
  };

  // `head` is the request's head for the upstream, without its framing. All arguments must outlive this object.
  Upload(ExchangeCore& core, std::string_view head);

  // Sends the head, or sends everything again that the previous upstream lost. `kept` is the same as for
  // Exchange::run().
  void begin(bool kept);
  // Moves the body one step toward the upstream.
  Step step();
  // Discards the rest of the body, because it is useless. The body must be streaming.
  void discard_rest();

  bool is_streaming() const { return state_ == State::streaming; }
  bool is_done() const { return state_ == State::done; }
  // Returns whether nothing more is read of the body.
  bool is_read() const { return state_ == State::done || state_ == State::broken; }
  // Returns whether the head must not leave yet. Call it once in each round.
  bool head_waits();
  // Returns whether the request has a body that may have bytes, as it goes upstream.
  bool has_body() const { return framing_ != Framing::none && !is_empty_; }
  // Returns whether everything that was sent is still in memory, and the server has not begun to answer.
  bool can_repeat() const { return replay_.has_value(); }
  // Call it when a part of an answer has arrived: the request must not be sent again.
  void was_answered();
  // Returns whether the last step stopped only because there is much to decode.
  bool is_behind() const { return stream_.behind() || !coded_.empty(); }
  // Returns when bytes that are held back must be released, or `otherwise` if that is earlier.
  int64_t until(int64_t otherwise) const { return held_head_.until(held_in_stream_.until(held_.until(otherwise))); }

 private:
  Step discard();
  Step next_piece();
  scan::ContentDecoder::Step decode_piece();
  Step filter();
  Step scan_piece();
  Step pass_on();
  void write(std::string_view bytes);
  void keep_for_replay(std::string_view bytes);
  void collect();
  std::optional<std::string> trailers();
  void release_holds();
  void count_memory();

  ExchangeCore& core_;
  Connection& c_;
  Request& request_;
  std::string_view head_;
  State state_ = State::streaming;
  scan::Filter filter_;
  scan::Stream stream_;                          // behind filter_
  std::optional<scan::ContentDecoder> decoder_;  // for a body that is passed on without its codings
  std::string coded_;                            // input for decoder_
  Framing framing_ = Framing::none;
  bool is_empty_ = false;  // the length of the body is known to be 0
  HeldBack held_, held_in_stream_, held_head_;
  uint64_t unread_ = 0;      // the length of the body while the head waits for its beginning, or 0
  std::string coded_piece_;  // a coded body, as long as it is so short that it may contain pieces of a secret
  size_t checked_ = 0, coded_checked_ = 0;  // how much of the decoded and of the coded body was checked for pieces
  std::optional<std::string> collected_;    // the request's head and body so far, while the length is unknown
  size_t collected_head_ = 0;
  // Holds everything that was sent to a kept upstream, as long as it may be sent again to another.
  std::optional<std::string> replay_;
};

}  // namespace bottle::guard
