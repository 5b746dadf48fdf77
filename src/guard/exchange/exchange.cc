// Runs an exchange and sends the request's body upstream.
//
// A step moves both directions as far as possible without waiting, and run() waits only when nothing has moved. The
// functions of a step return whether something moved, or whether the exchange may go on; once `outcome_` is set, no
// further step follows. A step has no await, so all exchanges share the buffers for its data (`g_payload` and the
// others).
//
// The body goes through two scans. `up_scan_` inserts values and tracks the place of each byte; `up_stream_` finds
// secrets in any disguise. Both may hold bytes back, because a secret may continue in the next piece. When the body
// pauses (HeldBack), these bytes leave, because a server may wait for them before it answers. While bytes arrive, the
// body does not pause, even if none can leave yet.
#include "guard/exchange/exchange.h"

#include <algorithm>

#include "policy/credentials.h"
#include "policy/overrides.h"
#include "scan/join.h"

namespace bottle::guard {
namespace {

// A body into which the guard inserts values is held back until its length is known, because many services do not
// accept chunks. A body that is longer than this is sent in chunks.
constexpr uint64_t kMostCollected = 256 * 1024;

// The most that is kept of a request so that it can be sent again if the server closes the connection at that moment.
constexpr size_t kMostReplay = 256 * 1024;

}  // namespace

bool may_repeat(std::string_view method) {
  for (std::string_view each : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
    if (method == each) return true;
  return false;
}

// Ends the exchange, and records why. Returns false, which the steps return as well.
bool Exchange::fail_with(int status, std::string_view code, std::string_view reason) {
  c_.audit({.action = status == 403 ? "deny" : "close",
            .kind = "http",
            .method = request_.method,
            .path = request_.target,
            .code = code,
            .reason = reason});
  return break_off(status, code);
}

// Ends the exchange because of a finding in the request.
bool Exchange::refuse_request() {
  const Refusal& why = scan_.refusal();
  c_.audit({.action = "deny",
            .kind = "http",
            .method = request_.method,
            .path = request_.target,
            .code = "secret",
            .reason = why.reason,
            .secret = why.secret,
            .rule = why.rule,
            .fingerprint = why.fingerprint});
  return break_off(403, "secret");
}

// Ends the exchange, with an answer from the guard if that is still possible.
bool Exchange::break_off(int status, std::string_view code) {
  c_.upstream.reset();
  Stream& client = c_.client;
  // If no byte of the final answer has left, its queued head can still be replaced. Interim answers before it stay,
  // because a part of them may have left.
  bool still_here = answering_ == Answering::head || (answering_ != Answering::switching && client.sent <= answer_at_);
  if (!still_here) {
    outcome_ = Outcome::abort;  // a truncated answer must not look complete
  } else {
    if (answering_ != Answering::head)
      client.out.erase(std::min<size_t>(client.out_at + (answer_at_ - client.sent), client.out.size()));
    c_.answer(status, code, true);
    outcome_ = Outcome::close;
  }
  return false;
}

// Returns true if new rules forbid the current exchange, which is then aborted.
bool Exchange::withdrawn() {
  // The rules apply to the request as it was sent, with the path as it was judged then.
  if (judged_ == c_.context.config) return false;
  judged_ = c_.context.config;
  auto decision = judged_->rules.request(c_.host, c_.port, request_.method, request_.target);
  const HostSecrets& secrets = c_.tls ? judged_->secrets.of(c_.host) : judged_->secrets.of_unproven();
  // A protocol that the guard does not read may pass only if it would have been passed under the new rules too (see
  // choose_protocol()).
  bool opaque = !request_.upgrade.protocol.empty() && !request_.upgrade.framed;
  if (decision.allowed && !(opaque && (decision.restricted || !secrets.all->empty()))) return false;
  fail_with(403, "not_allowed", "the rules have changed");
  return true;
}

// Sends the head, or sends everything again that the previous upstream lost.
void Exchange::begin(bool kept) {
  kept_ = kept;
  std::string& out = c_.upstream.out;
  if (replay_) out.append(*replay_);
  if (head_.empty()) return;
  // Only a kept connection may have died before the request, so after a new one fails, a request is not sent again.
  // The exception is HTTP/2, where the server can say that it did not process a request, which makes it safe to
  // repeat any method.
  if ((kept && may_repeat(request_.method)) || c_.upstream.source->may_refuse()) replay_.emplace();
  std::string head(std::exchange(head_, {}));
  const http::Body& body = request_.body;
  const Request::Content& content = request_.content;
  bool in_chunks = body.kind() == http::Body::Kind::chunked || (content.grows && body.left() > kMostCollected) ||
                   (content.decodes && body.kind() != http::Body::Kind::none);  // the decoded length has no bound
  up_framing_ = body.kind() == http::Body::Kind::none ? Framing::none : in_chunks ? Framing::chunked : Framing::length;
  if (up_framing_ == Framing::length && content.grows) {
    collected_head_ = head.size();
    collected_ = std::move(head);
  } else {
    append_framing(up_framing_, body.left(), head);
    write_upstream(head);
    // A client that waits for the server's 100 sends no body before the server has the head.
    if (up_framing_ == Framing::length && !request_.client.expects_continue) unread_ = body.left();
  }
  if (content.grows && request_.client.expects_continue) {
    // The request goes to the server only when the whole body has arrived, so the guard sends the 100 itself. One
    // from the server would be a second one.
    c_.client.out.append("HTTP/1.1 100 Continue\r\n\r\n");
    request_.client.expects_continue = false;
  }
}

void Exchange::write_upstream(std::string_view bytes) {
  c_.upstream.out.append(bytes);
  keep_for_replay(bytes);
}

void Exchange::keep_for_replay(std::string_view bytes) {
  if (!replay_) return;
  // A request that is not kept as a whole cannot be sent again.
  if (replay_->size() + bytes.size() > kMostReplay) replay_.reset();
  else replay_->append(bytes);
}

// Collects more of the body from g_scanned. Releases the head and the body when it is complete.
void Exchange::collect() {
  collected_->append(g_scanned);
  if (sending_ != Sending::done) return;
  std::string body = collected_->substr(collected_head_);
  collected_->resize(collected_head_);
  append_framing(Framing::length, body.size(), *collected_);
  write_upstream(*collected_);
  write_upstream(body);
  collected_.reset();
}

// Returns the request's trailers that pass: none that frame, route or sign in (RFC 9110 §6.5.1). Returns nothing if
// they are refused.
std::optional<std::string> Exchange::request_trailers() {
  std::string out;
  for (const auto& [name, value] : request_.body.trailers()) {
    if (!may_be_trailer(name) || policy::presents_credentials(name) || replaces_header(secrets_, name)) continue;
    if (request_.restricted && (policy::overrides_request(name) || policy::names_other_path(name))) continue;
    std::string clean_name = name, clean_value = value;
    if (!scan_.rewrite(Place::header_name, {}, Syntax::token, clean_name) || !scan_.rewrite_header(name, clean_value) ||
        !scan_.scan_parts({{Place::header, clean_name, &clean_value}}))
      return std::nullopt;
    out.append(clean_name).append(": ").append(clean_value).append("\r\n");
  }
  return out;
}

// Frames g_scanned for the upstream. Returns false if the request is refused, or if its trailers exceed a limit. Only
// in the latter case has the exchange ended.
bool Exchange::pass_on() {
  // A body in which values are inserted has another length at the end, so it is collected and sent as a whole.
  if (collected_) return collect(), true;
  if (up_framing_ != Framing::chunked) {
    if (!g_scanned.empty()) unread_ = 0;
    keep_for_replay(g_scanned);
    c_.upstream.queue(g_scanned);
    return true;
  }
  std::string chunk;
  http::append_chunk(chunk, g_scanned);
  if (sending_ == Sending::done) {
    auto trailers = request_trailers();
    if (!trailers || !count_up(trailers->size())) return false;
    chunk.append("0\r\n").append(*trailers).append("\r\n");
  }
  write_upstream(chunk);
  return true;
}

void Exchange::count_memory() {
  // Each stream counts these bytes when it reads more.
  c_.client.beside = (collected_ ? collected_->capacity() : 0) + (replay_ ? replay_->capacity() : 0) +
                     up_stream_.memory() + up_coded_.capacity() + (up_decoder_ ? up_decoder_->memory() : 0);
  c_.upstream.beside = coded_.capacity() + waiting_.capacity() + (decoder_ ? decoder_->memory() : 0) +
                       (watch_ ? watch_->memory() : 0) + withheld_.capacity() + (usage_ ? usage_->memory() : 0);
}

// Counts bytes that go up. Returns false if they exceed a limit; the exchange has then ended.
bool Exchange::count_up(uint64_t bytes) {
  if (c_.context.budget.add_bytes(*request_.account, bytes)) return true;
  return fail_with(403, kLimitReached, c_.context.budget.end_by_bytes(*request_.account));
}

// Scans g_scanned for disguised secrets and credentials. Returns false if the request must be refused.
bool Exchange::scan_body(bool& progress) {
  bool whole = sending_ == Sending::done;
  // One byte more than the limit shows that the body is not short.
  if (piece_.size() <= RequestScan::kMostPieces) piece_.append(g_scanned, 0, RequestScan::kMostPieces + 1);
  g_scan_output.clear();
  // A stream that redacts releases nothing before it has a large piece, and a decoder may need several steps.
  bool came = !g_scanned.empty() || up_stream_.behind();
  bool fine = up_stream_.feed(g_scanned, g_scan_output);
  // Bytes must not wait forever for the rest of a match that may never arrive.
  bool due = held_in_stream_.due(!whole && up_stream_.holds(), !g_scan_output.empty(), c_.now(), came);
  if (fine && due) {
    fine = up_stream_.release(g_scan_output) && scan_.check_last_run(Place::body, up_stream_.last_run());
    held_in_stream_.released();
    progress = true;
  }
  if (fine && whole) fine = up_stream_.end(g_scan_output);
  // From here on, `g_scanned` has the bytes that may leave.
  std::swap(g_scanned, g_scan_output);
  if (fine) scan_.passed(up_stream_);
  else scan_.stopped(up_stream_);
  return fine && (!whole || scan_.check_pieces(Place::body, piece_));
}

// Discards what has arrived of the body, because the server takes no more of it.
bool Exchange::discard() {
  Stream& client = c_.client;
  g_payload.clear();
  size_t before = client.in.size();
  // The framing is broken, so the next request cannot be found. The answer is not affected.
  if (!request_.body.read(client.in, g_payload)) client_keep_ = false;
  if (request_.body.done() || !client_keep_) sending_ = Sending::done;
  bool progress = client.in.size() != before;
  if (sending_ == Sending::discarding) progress |= client.fill();
  return progress;
}

// Decodes a part of up_coded_ into g_payload. Returns false if the bytes do not match the codings.
bool Exchange::decode_piece() {
  constexpr int kMostPieces = 4;  // of ContentDecoder::kPiece each, because few coded bytes can become many
  std::string_view rest = up_coded_;
  for (int i = 0; i < kMostPieces; ++i) {
    size_t before = rest.size(), had = g_payload.size();
    if (!up_decoder_->next(rest, g_payload)) return false;
    if (rest.size() == before && g_payload.size() == had) break;
  }
  up_coded_.erase(0, up_coded_.size() - rest.size());
  return true;
}

// Fills g_payload with the next piece of the body, and notes the body's end. Returns false if the body is malformed.
bool Exchange::next_piece(bool& progress) {
  Stream& client = c_.client;
  if (!client.in.empty() && !request_.body.done() && up_coded_.empty()) {
    size_t before = client.in.size();
    if (!request_.body.read(client.in, up_decoder_ ? up_coded_ : g_payload))
      return fail_with(400, "bad_request", "the request's chunked framing is broken");
    progress |= client.in.size() != before;
  }
  bool whole = request_.body.done();
  if (up_decoder_) {
    bool fine = decode_piece();
    progress |= !g_payload.empty();
    whole = whole && g_payload.empty();  // the decoder has nothing left
    if (!fine || (whole && (!up_coded_.empty() || !up_decoder_->complete())))
      return fail_with(400, "bad_request", "the request's body does not match its content coding");
  }
  // A body with codings ends in a separate step, after all of it has been decoded and scanned.
  if (whole && (g_payload.empty() || !up_stream_.decodes())) sending_ = Sending::done;
  return true;
}

// Moves the request's body one step toward the upstream. Returns true if something moved.
bool Exchange::send_body() {
  Stream &client = c_.client, &up = c_.upstream;
  if (sending_ == Sending::done) return false;
  if (sending_ == Sending::discarding) return discard();
  // The server does not keep up. Bytes that are held back now wait for the server and not for a pause, so their time
  // begins again.
  if (up.unsent() >= kHigh) {
    held_up_.released();
    held_in_stream_.released();
    return false;
  }
  // Reads what has arrived, because the code below decides whether the body pauses.
  bool progress = client.in.empty() && !request_.body.done() && client.fill();
  g_payload.clear();
  g_scanned.clear();
  // Takes no more bytes before all bytes so far have been decoded and scanned.
  if (up_stream_.behind()) progress = true;
  else if (!next_piece(progress)) return false;
  bool came = !g_payload.empty();
  if (came && !up_scan_.feed_buffer(g_payload, g_scanned)) return refuse_request();
  // A possible placeholder that must be swapped must not be split.
  bool holds = sending_ == Sending::streaming && !request_.content.grows && up_scan_.holds();
  bool release = held_up_.due(holds, !g_scanned.empty(), c_.now(), came);
  if (release) held_up_.released();
  if (release && !up_scan_.pause(g_scanned)) return refuse_request();
  // At the end of the body, no more bytes can continue a match, so the bytes that are held back leave.
  if (sending_ == Sending::done && !up_scan_.release(g_scanned)) return refuse_request();
  if (!scan_body(progress)) return refuse_request();
  // Counts the bytes here, because the limit is for bytes that leave, and not for those that the client has sent.
  if (!count_up(g_scanned.size())) return false;
  if (!pass_on()) return !outcome_ && refuse_request();
  count_memory();
  if (sending_ == Sending::done) return true;
  progress |= release;
  // A TLS record has at most 16 KB, and each scan looks at the 4 KB before its piece again, so small pieces cost more.
  while (client.in.size() < kBulk && client.fill()) progress = true;
  // The client left in the middle of its body. The server must not take the incomplete body for a complete one.
  if ((client.eof || client.failed) && client.in.empty() && !request_.body.done()) {
    c_.upstream.reset();
    outcome_ = Outcome::abort;
  }
  return progress;
}

// Returns whether the rest of the body is useless, because the server takes no more or has refused.
bool Exchange::upload_is_over() {
  if (sending_ != Sending::streaming) return false;
  Stream& up = c_.upstream;
  // If the server closed a kept connection at that moment, the request can be sent again.
  if (up.is_deaf()) return answering_ != Answering::head || !replay_;
  if (answering_ != Answering::done) return false;
  // The server may have ended the connection after its answer, which only a read shows.
  if (up.in.empty() && up.source->may_read()) up.fill();
  // A server that answers early with a success, and keeps the connection, may still need the body.
  return status_ >= 300 || up.eof || up.failed || !up.in.empty();
}

// Returns whether the head waits for the beginning of the body. A short body usually arrives together with the head.
// If the request is then refused because of its body, the server has seen no part of it. A body with codings is
// judged one step later.
bool Exchange::head_waits() {
  bool none_or_all = request_.body.left() == unread_ || request_.body.done();
  bool waits = unread_ > 0 && sending_ == Sending::streaming && none_or_all;
  if (waits && !held_head_.due(true, false, c_.now())) return true;
  unread_ = 0;
  held_head_.released();
  return false;
}

// Returns whether the last step stopped only because there is much to decode.
bool Exchange::is_behind() const { return up_stream_.behind() || !up_coded_.empty() || is_behind_answer(); }

// Runs one round of both directions. Returns true if something moved.
bool Exchange::step() {
  Stream &client = c_.client, &up = c_.upstream;
  bool progress = send_body();
  if (outcome_) return progress;
  if (!head_waits()) progress |= up.flush();
  if (answering_ == Answering::head) progress |= answer_head();
  if (!outcome_ && answering_ == Answering::body) progress |= answer_body();
  if (outcome_) return progress;
  if (upload_is_over()) {
    sending_ = Sending::discarding;
    upstream_keep_ = false;  // the server would take the next request for the rest of the body
    held_up_.released();
    held_in_stream_.released();
    progress = true;
  }
  progress |= !client.flushed() && client.flush();
  // The client may give up while the server prepares its answer.
  if (sending_ == Sending::done && client.source->has_ended() && client.in.size() < kHigh) progress |= client.fill();
  if (client.failed) {
    up.reset();
    outcome_ = Outcome::abort;
  }
  return progress;
}

// Decides what happens to both connections after a complete answer.
Outcome Exchange::conclude() {
  Stream& up = c_.upstream;
  bool whole = sending_ == Sending::done;
  // Bytes after the answer belong to no request, so a connection with such bytes must not carry another request.
  if (!upstream_keep_ || !whole || up.eof || up.failed || up.is_deaf() || !up.in.empty()) {
    up.end_tls();
    up.reset();
  }
  return client_keep_ && whole && !c_.client.eof ? Outcome::keep : Outcome::close;
}

Task<Outcome> Exchange::run(bool kept) {
  begin(kept);
  int64_t last = c_.now();
  int rounds = 0;
  while (true) {
    if (withdrawn()) co_return *outcome_;
    bool progress = step();
    if (outcome_) co_return *std::exchange(outcome_, std::nullopt);
    if (answering_ == Answering::switching) co_return co_await upgraded();
    if (answering_ == Answering::done && c_.client.flushed() && sending_ != Sending::streaming) co_return conclude();
    if (progress) {
      last = c_.now();
      if (++rounds % 16 != 0 && !is_behind()) continue;
      c_.waker.wake();  // lets the others have their turn
    }
    if (c_.now() - last >= c_.config->idle_ms) {
      c_.upstream.reset();
      co_return Outcome::abort;
    }
    // Bytes that are held back may have to be released before the idle time is up.
    int64_t until = held_up_.until(held_down_.until(last + c_.config->idle_ms));
    co_await c_.wait(held_watch_.until(held_head_.until(held_in_stream_.until(until))));
  }
}

}  // namespace bottle::guard
