// Sends the head and the scanned body of an answer to the client.
//
// The server is not trusted. The head is parsed strictly, or repaired so that it can be read in only one way, and
// then written again, so the client cannot read a different framing than the guard did. The body is filtered for
// values of secrets and, if it is text, searched for instructions to the agent. If the guard must look into an answer
// and cannot remove its coding, it refuses the answer.
//
// The client can get an error instead of the answer only before the first byte of the head has left. After that, an
// answer that must stop is cut off so that it cannot look complete.
#include "guard/exchange/answer.h"

#include <algorithm>

namespace bottle::guard {
namespace {

// Returns whether the header applies only to the coded form of a body.
bool describes_coding(std::string_view name) {
  for (std::string_view each : {"content-encoding", "content-md5", "content-digest", "digest", "etag", "accept-ranges"})
    if (http::iequals(name, each)) return true;
  return false;
}

}  // namespace

// Writes the client's version of the head at the front of upstream.in (parsed in g_head).
void Answer::write_head(size_t line_end, bool final) {
  const http::Head& head = g_head;
  std::string& out = c_.client.out;
  // This keeps the status and the reason, which follow the 8 bytes of the version.
  out.append("HTTP/1.1").append(c_.upstream.in, 8, line_end - 8).append("\r\n");
  const http::Header* connection = head.find("connection");
  for (const auto& each : head.headers) {
    if (hop_by_hop(each.name) || (connection && http::has_token(connection->value, each.name)) ||
        http::iequals(each.name, "x-bottle-deny") || http::iequals(each.name, "x-bottle-error") ||
        (decoder_ && describes_coding(each.name)))
      continue;
    out.append(each.name).append(": ").append(each.value).append("\r\n");
  }
  if (head.status == 101)
    out.append("Connection: upgrade\r\nUpgrade: ").append(request_.upgrade.protocol).append("\r\n");
  if (final) {
    if (framing_ == Framing::chunked) out.append("Transfer-Encoding: chunked\r\n");
    else if (head.content_length && !head.chunked && !decoder_ && head.status != 204)  // a 204 has no body
      out.append("Content-Length: ").append(std::to_string(*head.content_length)).append("\r\n");
    // HTTP/1.0 closes the connection unless both sides say otherwise.
    if (!client_keep_) out.append("Connection: close\r\n");
    else if (request_.client.minor == 0) out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

// How often a request is sent again, if the connection was a kept one or the server says that it did not process the
// request. A server may have closed each connection that the guard has kept. A server that refuses requests on new
// connections will refuse all.
constexpr int kMostRepeated = 10, kMostRefused = 2;

// Handles an upstream that has ended before it sent a whole head.
Step Answer::no_answer() {
  Stream& up = c_.upstream;
  if (auto fault = up.source->fault(); !fault.empty())
    return core_.fail_with({502, "bad_answer", "the server's answer is not valid: " + std::string(fault)});
  const bool blank = up.in.find_first_not_of("\r\n") == up.in.npos;  // see repair_response()
  const bool refused = up.source->refused(), silent = blank && up.why.empty();
  const int most = kept_ ? kMostRepeated : refused ? kMostRefused : 0;
  // The server may close a kept connection at the moment when it is used again. It may nevertheless have acted on the
  // request.
  if (silent && upload_.can_repeat() && (refused || may_repeat(request_.method)) && repeated_ < most) {
    ++repeated_;
    return core_.end(Outcome::retry);
  }
  if (silent && kept_) {
    c_.audit(request_.line(Action::close, "upstream_gone",
                           "the server closed a connection that was kept open for further requests"));
    return core_.end(Outcome::hang_up);
  }
  bool asked = up.ssl && wanted_certificate(up.ssl.get());
  std::string reason = "the server closed the connection without an answer";
  if (!up.why.empty()) reason.append(": ").append(up.why);
  if (asked) reason += kAsksForCertificate;
  return core_.fail_with({502, asked || !up.why.empty() ? "upstream_tls" : "no_answer", reason});
}

// Handles a 101. The server must have switched to the requested protocol.
Step Answer::switch_protocols(size_t line_end) {
  const http::Head& head = g_head;
  const http::Header* to = head.find("upgrade");
  if (request_.upgrade.protocol.empty() || !to || !http::has_token(to->value, request_.upgrade.protocol))
    return core_.fail_with({502, "bad_answer", "the server switched to a protocol that the client did not ask for"});
  // The guard removed the client's offer. Compressed messages could not be scanned.
  if (request_.upgrade.framed && head.find("sec-websocket-extensions"))
    return core_.fail_with({502, "bad_answer", "the server chose a WebSocket extension that the client did not offer"});
  if (!upload_.is_read()) return Step::idle;  // the client still sends the request's body
  core_.answering = Answering::switching;
  write_head(line_end, false);
  c_.upstream.in.erase(0, head.size);
  return Step::moved;
}

Parse Answer::parse_head() {
  std::string& in = c_.upstream.in;
  return arriving_.read(in, [&] {
    auto parsed = in.empty() ? Parse::incomplete : http::parse_response(in, g_head);
    return parsed == Parse::bad ? http::repair_response(in, g_head) : parsed;
  });
}

// Handles an answer that comes before the final one.
Step Answer::interim_answer(size_t line_end) {
  constexpr int kMost = 1000;  // some servers send one every few seconds while they work
  if (++interim_ > kMost)
    return core_.fail_with({502, "bad_answer", "the server's answer is not valid: too many interim answers"});
  upload_.was_answered();
  // HTTP/1.0 has no interim answers, and a client gets a 100 only if it expects one.
  bool wanted = request_.client.minor == 1 && (g_head.status != 100 || request_.client.expects_continue);
  if (wanted) write_head(line_end, false);
  c_.upstream.in.erase(0, g_head.size);
  return Step::moved;
}

Step Answer::step() {
  Step progress = core_.answering == Answering::head ? step_head() : Step::idle;
  if (progress != Step::over && core_.answering == Answering::body) progress |= step_body();
  return progress;
}

// Moves the head of the answer one step toward the client.
Step Answer::step_head() {
  Stream& up = c_.upstream;
  if (c_.client.unsent() >= kHigh) return Step::idle;  // bounds a series of interim answers
  auto parsed = parse_head();
  if (parsed == Parse::bad)
    return core_.fail_with({502, "bad_answer", std::string("the server's answer is not valid: ") + g_head.why});
  if (parsed == Parse::incomplete) {
    if (up.fill()) return Step::moved;
    return up.eof || up.failed ? no_answer() : Step::idle;
  }
  // Most heads contain no secret, and one pass shows that.
  std::string_view raw = std::string_view(up.in).substr(0, g_head.size);
  if (c_.config->secrets.any_in(raw) && !core_.values.check_answer(raw)) return core_.refuse_answer();
  const http::Head& head = g_head;
  size_t line_end = up.in.find("\r\n");
  if (head.status == 101) return switch_protocols(line_end);
  if (head.status < 200) return interim_answer(line_end);
  // The parent proxy's sign-in concerns the guard, not the agent.
  if (head.status == 407 && asks_parent(c_))
    return core_.fail_with({502, "parent_proxy", "the parent proxy answered 407" + std::string(kParentWantsLogin)});
  body_ = http::Body::of_response(head, request_.method);
  // The codings come first, because the searches below depend on whether they get decoded bytes.
  if (take_off_codings() == Step::over) return Step::over;
  if (!body_.done() && search_.begin(decoder_.has_value()) == Step::over) return Step::over;
  begin_body();
  write_head(line_end, true);
  core_.answering = Answering::body;
  up.in.erase(0, head.size);
  return Step::moved;
}

// Requests to a host with a bound secret ask for answers without a coding. If an answer has one anyway, it is removed
// so that the answer can be scanned.
Step Answer::take_off_codings() {
  if (core_.secrets.bound.empty() || body_.done()) return Step::idle;
  auto decoder = scan::ContentDecoder::make(g_head.list("content-encoding"));
  // There is no coding, or only `identity`.
  if (decoder && decoder->plain()) return Step::idle;
  // A part of a coded body cannot be decoded without what comes before it.
  if (!decoder || g_head.find("content-range"))
    return core_.fail_with(
        {502, "encoded_answer",
         "the server encoded its answer although it was asked not to, and the guard cannot decode it to "
         "look for secrets"});
  decoder_ = std::move(decoder);
  decoding_ = Decoding::running;
  return Step::idle;
}

bool Answer::ends_with_connection() const {
  return framing_ == Framing::none &&
         (decoder_ || body_.kind() == http::Body::Kind::chunked || body_.kind() == http::Body::Kind::until_close);
}

// Decides how the answer's body goes to the client, and what happens to both connections afterward.
void Answer::begin_body() {
  const http::Head& head = g_head;
  status_ = head.status;
  // The server has answered, so the request was processed and must not be sent again.
  upload_.was_answered();
  // If a 204 announces a body, the server may send one, which must not be mistaken for the next answer.
  bool announces = head.status == 204 && (head.chunked || head.content_length.value_or(0) > 0);
  // A server that answers with an error may leave the body unread, and then parse it as the next request.
  bool may_ignore_body = request_.closes || (status_ >= 400 && upload_.has_body());
  upstream_keep_ = head.keeps_open() && body_.kind() != http::Body::Kind::until_close && !announces && !may_ignore_body;
  core_.answer_at = c_.client.sent + c_.client.unsent();
  bool in_chunks = decoder_ || body_.kind() == http::Body::Kind::chunked;
  framing_ = in_chunks && request_.client.minor == 1 ? Framing::chunked : Framing::none;
  // If the request's body is still arriving, the rest of it would precede the client's next request.
  client_keep_ = request_.client.keep && upload_.is_done() && !ends_with_connection();
}

// Puts the next piece of the answer into g_payload, without its coding.
Step Answer::next_payload() {
  std::string& in = c_.upstream.in;
  Step progress = Step::idle;
  g_payload.clear();
  std::string& to = decoder_ ? coded_ : g_payload;
  // Bytes are decoded only as fast as the client takes them, so coded bytes must not pile up.
  if (!in.empty() && !body_.done() && coded_.size() < kHigh) {
    size_t before = in.size();
    if (!body_.read(in, to))
      return core_.fail_with({502, "bad_answer", "the chunked framing of the server's answer is broken"});
    progress = moved_if(in.size() != before);
    // Such chunks can be read in more than one way, so they must not decide where another answer begins.
    upstream_keep_ = upstream_keep_ && !body_.has_bare_lf();
  }
  // Most clients accept an end without close_notify as the end of a body without length or chunks.
  if (!body_.done() && in.empty() && (c_.upstream.eof || c_.upstream.unannounced_end)) body_.end();
  return decoder_ ? decode_payload(progress) : progress;
}

// Decodes the next piece of coded_ into g_payload. `progress` says whether bytes have come.
Step Answer::decode_payload(Step progress) {
  using Decoded = scan::ContentDecoder::Step;
  std::string_view rest = coded_;
  Decoded decoded = decoder_->next(rest, g_payload);
  if (decoded == Decoded::wrong)
    return core_.fail_with({502, "bad_answer", "the server's answer is not what its Content-Encoding says"});
  bool moved = decoded == Decoded::more || !g_payload.empty();
  coded_.erase(0, coded_.size() - rest.size());
  if (!body_.done() || moved) return progress | moved_if(moved);
  decoding_ = Decoding::ended;
  if (coded_.empty() && decoder_->complete()) return progress;
  return core_.fail_with({502, "cut_short", "the encoded body of the server's answer is incomplete"});
}

// Withholds the last piece of an answer until the search has seen all of it, because a client that has the whole
// answer may leave. Also withholds a piece while the following text decides whether it is an injection, at most until
// the answer pauses or kHigh bytes wait. `progress` says whether something has moved so far.
Step Answer::withhold(Step progress) {
  bool behind = search_.behind();
  if (!search_.blocks() && !behind && withheld_.empty()) return progress;
  withheld_.append(g_scanned);
  g_scanned.clear();
  if (behind) return progress;
  bool waits = search_.undecided();
  if (held_in_search_.due({.holds = waits, .moved = progress == Step::moved}, c_.now()) ||
      (waits && withheld_.size() >= kHigh)) {
    held_in_search_.released();
    progress = Step::moved;
    if (!search_.settle()) return search_.stop();
    waits = false;
  }
  if (!waits) std::swap(g_scanned, withheld_), withheld_.clear();
  return progress;
}

// Frames the scanned bytes for the client.
void Answer::write_body() {
  std::string& out = c_.client.out;
  if (framing_ != Framing::chunked) {
    c_.client.queue(g_scanned);
    return;
  }
  // If the last byte or two of a chunk are held back for a moment, the rest waits for them, because many clients
  // treat a chunk as a message.
  if (waiting_.empty()) waiting_since_ = c_.now();
  waiting_.append(g_scanned);
  bool in_time = c_.now() - waiting_since_ < kMostQuiet;
  if (core_.answering != Answering::done && filter_.holds_little() && waiting_.size() < 16 * 1024 && in_time) return;
  http::append_chunk(out, waiting_);
  waiting_.clear();
}

// Ends the answer, because its whole body has arrived.
Step Answer::end() {
  // A server may send only the beginning of a secret. If that is more than half of it, it counts as the secret.
  if (!filter_.pause(g_scanned)) return core_.refuse_answer();
  if (!search_.end()) return search_.stop();
  g_scanned.insert(0, std::exchange(withheld_, {}));
  std::string trailers;
  for (const auto& [name, value] : body_.trailers())
    if (may_be_trailer(name)) trailers.append(name).append(": ").append(value).append("\r\n");
  if (!core_.values.check_answer(trailers)) return core_.refuse_answer();
  // This comes before write_body(), which then keeps no bytes back, and before count_tokens() writes its line.
  core_.answering = Answering::done;
  search_.count_tokens();
  held_.released();
  write_body();
  if (framing_ == Framing::chunked) c_.client.out.append("0\r\n").append(trailers).append("\r\n");
  count_memory();
  return Step::moved;
}

void Answer::count_memory() {
  // The stream counts these bytes when it reads more.
  c_.upstream.beside = coded_.capacity() + waiting_.capacity() + (decoder_ ? decoder_->memory() : 0) +
                       search_.memory() + withheld_.capacity();
}

// Moves the body of the answer one step toward the client.
Step Answer::step_body() {
  Stream &client = c_.client, &up = c_.upstream;
  // The client does not keep up. See Upload::step().
  if (client.unsent() >= kHigh) {
    held_.released();
    held_in_search_.released();
    return Step::idle;
  }
  Step progress = Step::moved;
  g_scanned.clear();
  if (search_.behind()) g_payload.clear();
  else progress = next_payload();
  if (progress == Step::over) return progress;
  if (!search_.feed(g_payload)) return search_.stop();
  if (!filter_.feed_buffer(g_payload, g_scanned)) return core_.refuse_answer();
  if (body_.done() && decoding_ != Decoding::running && !search_.behind()) return end();
  // If an answer pauses, it must not wait for bytes that only look like the beginning of a secret.
  if (held_.due({.holds = filter_.holds(), .moved = !g_scanned.empty()}, c_.now())) {
    held_.released();
    if (!filter_.pause(g_scanned)) return core_.refuse_answer();
    progress = Step::moved;
  }
  progress = withhold(progress);
  if (progress == Step::over) return progress;
  write_body();
  count_memory();
  // Reads bytes for the next step only now, when those of this one are in the client's buffer.
  while (up.in.size() < kBulk && up.fill()) progress = Step::moved;
  if (progress != Step::idle || (!up.failed && !up.eof)) return progress;
  std::string fault(up.source->fault());  // the guard ended the connection
  return core_.fail_with({502, "cut_short",
                          fault.empty() ? "the server ended the connection in the middle of its answer"
                                        : "the server sent invalid data in the middle of its answer: " + fault});
}

}  // namespace bottle::guard
