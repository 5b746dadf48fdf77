// Searches what a server sends for prompt injections and for the tokens that it cost.
#pragma once

#include <optional>
#include <string_view>

#include "guard/core/client_error.h"
#include "guard/exchange/exchange_core.h"
#include "guard/watch/answer_watch.h"
#include "guard/watch/usage_watch.h"

namespace bottle::guard {

// Searches an answer, or the messages after a 101, for prompt injections and for the tokens that it cost. It never
// changes them. Functions that return bool return false if the answer must end here; stop() then ends it.
class AnswerSearch {
 public:
  explicit AnswerSearch(ExchangeCore& core) : core_(core) {}
  ~AnswerSearch() { count_tokens(); }  // of an answer that was cut short

  // Begins the search of the answer with the head g_head. `decoded` says that the answer's coding is removed. Returns
  // Step::over if the answer must be searched and has a coding that cannot be removed.
  Step begin(bool decoded);
  // Begins the search of the messages of a WebSocket connection.
  void begin_messages();

  // Takes the next bytes of the answer.
  bool feed(std::string_view bytes);
  // Takes a part of a message; `whole` says that the message ends with it.
  bool feed_message(std::string_view text, bool whole);
  // Judges what has arrived so far, because the answer pauses.
  bool settle();
  // Searches the last bytes of the answer, whose tokens count_tokens() counts.
  bool end();
  // Counts and records the tokens that the answer has cost so far, and reads no more of them.
  void count_tokens();

  // Returns whether not all bytes of the answer so far were searched yet. Nothing more is read before they are, and the
  // answer does not end.
  bool behind() const { return (watch_ && watch_->behind()) || (usage_ && usage_->behind()); }
  // Returns whether a finding stops the answer, so that no byte may pass before it was searched.
  bool blocks() const { return watch_ && watch_->blocks(); }
  // Returns whether the text so far ends with a possible injection, so that the last piece must not pass yet.
  bool undecided() const { return blocks() && watch_->undecided(); }
  // Returns approximately how many bytes this object holds.
  size_t memory() const { return (watch_ ? watch_->memory() : 0) + (usage_ ? usage_->memory() : 0); }

  bool is_stopped() const { return stop_.has_value(); }
  Step stop() { return core_.fail_with(*stop_); }

 private:
  bool watch(std::string_view bytes);
  bool record_injections();

  ExchangeCore& core_;
  std::optional<AnswerWatch> watch_;  // set if the answer is searched for prompt injections
  std::optional<UsageWatch> usage_;   // set if the answer says how many tokens it cost
  std::optional<ClientError> stop_;   // why the answer ends early
};

}  // namespace bottle::guard
