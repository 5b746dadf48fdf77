// Sends the request's head and body upstream.
//
// The body goes through two scans. `filter_` inserts values and tracks the place of each byte; `stream_` finds secrets
// in any disguise. Both may hold bytes back, because a secret may continue in the next piece. When the body pauses
// (HeldBack), these bytes leave, because a server may wait for them before it answers. While bytes arrive, the body
// does not pause, even if none can leave yet.
#include "guard/exchange/upload.h"

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

Upload::Upload(ExchangeCore& core, std::string_view head)
    : core_(core),
      c_(core.c),
      request_(core.request),
      head_(head),
      filter_(core.values.outgoing(RequestPart::body, request_.content.syntax)),
      stream_(core.findings.stream(RequestPart::body, request_.content.syntax,
                                   request_.content.decodes ? "" : request_.content.codings)) {
  if (request_.content.decodes) decoder_ = scan::ContentDecoder::make(request_.content.codings);
}

void Upload::begin(bool kept) {
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
  framing_ = body.kind() == http::Body::Kind::none ? Framing::none : in_chunks ? Framing::chunked : Framing::length;
  is_empty_ = framing_ == Framing::length && body.left() == 0;
  if (framing_ == Framing::length && content.grows) {
    collected_head_ = head.size();
    collected_ = std::move(head);
  } else {
    append_framing(framing_, body.left(), head);
    write(head);
    // A client that waits for the server's 100 sends no body before the server has the head.
    if (framing_ == Framing::length && !request_.client.expects_continue) unread_ = body.left();
  }
  if (content.grows && request_.client.expects_continue) {
    // The request goes to the server only when the whole body has arrived, so the guard sends the 100 itself. One
    // from the server would be a second one.
    c_.client.out.append("HTTP/1.1 100 Continue\r\n\r\n");
    request_.client.expects_continue = false;
  }
}

void Upload::write(std::string_view bytes) {
  c_.upstream.out.append(bytes);
  keep_for_replay(bytes);
}

void Upload::keep_for_replay(std::string_view bytes) {
  if (!replay_) return;
  // A request that is not kept as a whole cannot be sent again.
  if (replay_->size() + bytes.size() > kMostReplay) replay_.reset();
  else replay_->append(bytes);
}

// Collects more of the body from g_scanned. Releases the head and the body when it is complete.
void Upload::collect() {
  collected_->append(g_scanned);
  if (state_ != State::done) return;
  std::string body = collected_->substr(collected_head_);
  collected_->resize(collected_head_);
  append_framing(Framing::length, body.size(), *collected_);
  write(*collected_);
  write(body);
  collected_.reset();
}

// Returns the request's trailers that pass: none that frame, route or sign in (RFC 9110 §6.5.1). Returns nothing if
// they are refused.
std::optional<std::string> Upload::trailers() {
  std::string out;
  for (const auto& [name, value] : request_.body.trailers()) {
    if (!may_be_trailer(name) || policy::presents_credentials(name) || replaces_header(core_.secrets, name)) continue;
    if (request_.restricted && (policy::overrides_request(name) || policy::names_other_path(name))) continue;
    std::string clean_name = name, clean_value = value;
    if (!core_.values.rewrite(RequestPart::header_name, {}, Syntax::token, clean_name) ||
        !core_.values.rewrite_header(name, clean_value) ||
        !core_.findings.scan_parts({{RequestPart::header, clean_name, &clean_value}}))
      return std::nullopt;
    out.append(clean_name).append(": ").append(clean_value).append("\r\n");
  }
  return out;
}

// Frames g_scanned for the upstream.
Step Upload::pass_on() {
  // A body in which values are inserted has another length at the end, so it is collected and sent as a whole.
  if (collected_) return collect(), Step::idle;
  if (framing_ != Framing::chunked) {
    if (!g_scanned.empty()) unread_ = 0;
    keep_for_replay(g_scanned);
    c_.upstream.queue(g_scanned);
    return Step::idle;
  }
  std::string chunk;
  http::append_chunk(chunk, g_scanned);
  if (state_ == State::done) {
    auto last = trailers();
    if (!last) return core_.refuse_request();
    if (core_.count_up(last->size()) == Step::over) return Step::over;
    chunk.append("0\r\n").append(*last).append("\r\n");
  }
  write(chunk);
  return Step::idle;
}

void Upload::count_memory() {
  // The stream counts these bytes when it reads more.
  c_.client.beside = (collected_ ? collected_->capacity() : 0) + (replay_ ? replay_->capacity() : 0) +
                     stream_.memory() + coded_.capacity() + (decoder_ ? decoder_->memory() : 0);
}

void Upload::was_answered() {
  if (!replay_) return;
  replay_.reset();
  count_memory();
}

// Scans g_scanned for disguised secrets and credentials.
Step Upload::scan_piece() {
  Step progress = Step::idle;
  bool whole = state_ == State::done;
  // One byte more than the limit shows that the body is not short.
  if (stream_.decodes() && coded_piece_.size() <= FindingScan::kMostPieces)
    coded_piece_.append(g_scanned, 0, FindingScan::kMostPieces + 1);
  g_scan_output.clear();
  // A stream that redacts releases nothing before it has a large piece, and a decoder may need several steps.
  bool came = !g_scanned.empty() || stream_.behind();
  core_.findings.add_work_for_time();  // an upload may take hours
  bool fine = stream_.feed(g_scanned, g_scan_output);
  // Bytes must not wait forever for the rest of a match that may never arrive.
  bool due = held_in_stream_.due({.holds = !whole && stream_.holds(), .moved = !g_scan_output.empty(), .came = came},
                                 c_.now());
  if (fine && due) {
    fine = stream_.release(g_scan_output);
    held_in_stream_.released();
    progress = Step::moved;
  }
  if (fine && whole) fine = stream_.end(g_scan_output);
  // From here on, `g_scanned` has the bytes that may leave.
  std::swap(g_scanned, g_scan_output);
  if (fine) core_.findings.passed(stream_);
  else core_.findings.stopped(stream_);
  auto moment = whole ? FindingScan::Moment::end : due ? FindingScan::Moment::pause : FindingScan::Moment::flow;
  fine = fine && core_.findings.check_pieces(RequestPart::body, stream_, moment, checked_) &&
         (!stream_.decodes() || core_.findings.check_coded_pieces(coded_piece_, moment, coded_checked_));
  return fine ? progress : core_.refuse_request();
}

void Upload::discard_rest() {
  state_ = State::discarding;
  release_holds();
}

// Bytes that are held back wait for something else than a pause from now on, so their time begins again.
void Upload::release_holds() {
  held_.released();
  held_in_stream_.released();
}

// Discards what has arrived of the body, because the server takes no more of it.
Step Upload::discard() {
  Stream& client = c_.client;
  g_payload.clear();
  size_t before = client.in.size();
  // Without the framing, the next request cannot be found. The answer is not affected.
  if (!request_.body.read(client.in, g_payload)) state_ = State::broken;
  else if (request_.body.done()) state_ = State::done;
  Step progress = moved_if(client.in.size() != before);
  if (state_ == State::discarding) progress |= moved_if(client.fill());
  return progress;
}

// Decodes a part of coded_ into g_payload, because few coded bytes can become many. Returns the step of the decoder.
scan::ContentDecoder::Step Upload::decode_piece() {
  std::string_view rest = coded_;
  auto step = decoder_->next(rest, g_payload);
  coded_.erase(0, coded_.size() - rest.size());
  return step;
}

// Fills g_payload with the next piece of the body, and notes the body's end.
Step Upload::next_piece() {
  Stream& client = c_.client;
  Step progress = Step::idle;
  if (!client.in.empty() && !request_.body.done() && coded_.empty()) {
    size_t before = client.in.size();
    if (!request_.body.read(client.in, decoder_ ? coded_ : g_payload))
      return core_.fail_with({400, "bad_request", "the request's chunked framing is broken"});
    progress |= moved_if(client.in.size() != before);
  }
  bool whole = request_.body.done();
  if (decoder_) {
    auto decoded = decode_piece();
    bool behind = decoded == scan::ContentDecoder::Step::more;
    progress |= moved_if(behind || !g_payload.empty());
    whole = whole && !behind && g_payload.empty();  // the decoder has nothing left
    if (decoded == scan::ContentDecoder::Step::wrong || (whole && (!coded_.empty() || !decoder_->complete())))
      return core_.fail_with({400, "bad_request", "the request's body does not match its content coding"});
  }
  // A body with codings ends in a separate step, after all of it has been decoded and scanned.
  if (whole && (g_payload.empty() || !stream_.decodes())) state_ = State::done;
  return progress;
}

// Inserts values into g_payload, and puts what may be scanned into g_scanned.
Step Upload::filter() {
  bool came = !g_payload.empty();
  if (came && !filter_.feed_buffer(g_payload, g_scanned)) return core_.refuse_request();
  // A possible placeholder that must be swapped must not be split.
  bool holds = state_ == State::streaming && !request_.content.grows && filter_.holds();
  bool release = held_.due({.holds = holds, .moved = !g_scanned.empty(), .came = came}, c_.now());
  if (release) held_.released();
  if (release && !filter_.pause(g_scanned)) return core_.refuse_request();
  // At the end of the body, no more bytes can continue a match, so the bytes that are held back leave.
  if (state_ == State::done && !filter_.release(g_scanned)) return core_.refuse_request();
  return moved_if(release);
}

Step Upload::step() {
  Stream &client = c_.client, &up = c_.upstream;
  if (is_read()) return Step::idle;
  if (state_ == State::discarding) return discard();
  // The server does not keep up. Bytes that are held back now wait for the server and not for a pause.
  if (up.unsent() >= kHigh) {
    release_holds();
    return Step::idle;
  }
  // Reads what has arrived, because the code below decides whether the body pauses.
  Step progress = moved_if(client.in.empty() && !request_.body.done() && client.fill());
  g_payload.clear();
  g_scanned.clear();
  // Takes no more bytes before all bytes so far have been decoded and scanned.
  progress |= stream_.behind() ? Step::moved : next_piece();
  if (progress == Step::over) return progress;
  if ((progress |= filter()) == Step::over) return progress;
  if ((progress |= scan_piece()) == Step::over) return progress;
  // Counts the bytes here, because the limit is for bytes that leave, and not for those that the client has sent.
  if (core_.count_up(g_scanned.size()) == Step::over || pass_on() == Step::over) return Step::over;
  count_memory();
  if (state_ == State::done) return Step::moved;
  // A TLS record has at most 16 KB, and each scan looks at the 4 KB before its piece again, so small pieces cost more.
  while (client.in.size() < kBulk && client.fill()) progress = Step::moved;
  // The client left in the middle of its body. The server must not mistake the incomplete body for a complete one.
  if ((client.eof || client.failed) && client.in.empty() && !request_.body.done()) {
    up.reset();
    return core_.end(Outcome::abort);
  }
  return progress;
}

// Returns whether the head waits for the beginning of the body. A short body usually arrives together with the head.
// If the request is then refused because of its body, the server has seen no part of it. A body with codings is
// judged one step later.
bool Upload::head_waits() {
  bool none_or_all = request_.body.left() == unread_ || request_.body.done();
  bool waits = unread_ > 0 && state_ == State::streaming && none_or_all;
  if (waits && !held_head_.due({.holds = true}, c_.now())) return true;
  unread_ = 0;
  held_head_.released();
  return false;
}

}  // namespace bottle::guard
