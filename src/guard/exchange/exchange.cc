// Runs an exchange.
//
// A step moves both directions as far as possible without waiting, and run() waits only when nothing has moved. A step
// has no await, so all exchanges share the buffers for its data (`g_payload` and the others).
#include "guard/exchange/exchange.h"

#include "guard/exchange/upgraded.h"

namespace bottle::guard {

// Returns whether the rest of the body is useless, because the server takes no more or has refused.
bool Exchange::upload_is_useless() {
  if (!upload_.is_streaming()) return false;
  Stream& up = c_.upstream;
  // If the server closed a kept connection at that moment, the request can be sent again.
  if (up.is_deaf()) return core_.answering != Answering::head || !upload_.can_repeat();
  if (core_.answering != Answering::done) return false;
  // The server may have ended the connection after its answer, which only a read shows.
  if (up.in.empty() && up.source->may_read()) up.fill();
  // A server that answers early with a success, and keeps the connection, may still need the body.
  return answer_.status() >= 300 || up.eof || up.failed || !up.in.empty();
}

// Runs one round of both directions.
Step Exchange::step() {
  Stream &client = c_.client, &up = c_.upstream;
  Step progress = upload_.step();
  if (progress == Step::over) return progress;
  if (!upload_.head_waits()) progress |= moved_if(up.flush());
  progress |= answer_.step();
  if (progress == Step::over) return progress;
  if (upload_is_useless()) {
    upload_.discard_rest();
    answer_.drop_upstream();  // the server would treat the next request as the rest of the body
    progress = Step::moved;
  }
  progress |= moved_if(!client.flushed() && client.flush());
  // The client may give up while the server prepares its answer.
  if (upload_.is_read() && client.source->has_ended() && client.in.size() < kHigh) progress |= moved_if(client.fill());
  if (client.failed) {
    up.reset();
    return core_.end(Outcome::abort);
  }
  return progress;
}

// Decides what happens to both connections after a complete answer.
Outcome Exchange::conclude() {
  Stream& up = c_.upstream;
  bool whole = upload_.is_done();
  // Bytes after the answer belong to no request, so a connection with such bytes must not carry another request.
  if (!answer_.keeps_upstream() || !whole || up.eof || up.failed || up.is_deaf() || !up.in.empty()) {
    up.end_tls();
    up.reset();
  }
  return answer_.keeps_client() && whole && !c_.client.eof ? Outcome::keep : Outcome::close;
}

Task<Outcome> Exchange::run(bool kept) {
  upload_.begin(kept);
  answer_.begin(kept);
  int64_t last = c_.now();
  int rounds = 0;
  while (true) {
    if (core_.check_current_rules() == Step::over) co_return *core_.outcome;
    Step progress = step();
    if (progress == Step::over) co_return *std::exchange(core_.outcome, std::nullopt);
    if (core_.answering == Answering::switching) {
      Upgraded upgraded(core_, answer_.search());
      co_return co_await upgraded.run();
    }
    if (core_.answering == Answering::done && c_.client.flushed() && !upload_.is_streaming()) co_return conclude();
    if (progress == Step::moved) {
      last = c_.now();
      if (++rounds % 16 != 0 && !upload_.is_behind() && !answer_.search().behind()) continue;
      c_.waker.wake();  // lets the others have their turn
    }
    if (c_.now() - last >= c_.config->idle_ms) {
      c_.upstream.reset();
      co_return Outcome::abort;
    }
    // Bytes that are held back may have to be released before the idle time is up.
    co_await c_.wait(upload_.until(answer_.until(last + c_.config->idle_ms)));
  }
}

}  // namespace bottle::guard
