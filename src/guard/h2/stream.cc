// Keeps HTTP/1.1 text in both directions. Frames from the peer become a head and chunks for the guard. Text from the
// guard is parsed and becomes a head and payload for nghttp2.
//
// Flow control follows the reader: a byte goes back to the peer's window only when the guard has read it. A peer can
// therefore not make a stream hold much more than its window and the heads, which are limited separately. A slow
// reader slows down only its own stream.
#include "guard/h2/stream.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "guard/h2/session.h"

namespace bottle::guard::h2 {

Stream::Stream(Session* session, size_t* total) : session_(session), total_(total) { count(); }

Stream::~Stream() {
  if (total_) *total_ -= counted_;
}

void Stream::count() {
  // A window is memory that the peer may fill at any time.
  size_t now = held() + (dropped_ ? 0 : kCost) + (closed() ? 0 : wider_);
  if (total_) *total_ += now - counted_;
  counted_ = now;
}

size_t Stream::read(char* buffer, size_t size) {
  size_t n = std::min(size, in_.size() - in_at_);
  std::memcpy(buffer, in_.data() + in_at_, n);
  in_at_ += n;
  drop_what_was_read();
  // The text is never shorter than its payload, so this gives back at most what was read.
  size_t back = in_.empty() ? debt_ : std::min(debt_, n);
  debt_ -= back;
  if (back > 0 && session_) session_->give_back(*this, back);
  return n;
}

// Gives back the memory of text that was read.
void Stream::drop_what_was_read() {
  if (in_at_ == in_.size()) {
    std::string().swap(in_);
    in_at_ = chunk_ = 0;
    count();
  } else if (in_at_ >= kMostTaken && in_at_ >= in_.size() / 2) {
    in_.erase(0, in_at_);
    if (chunk_at_ < in_at_) chunk_ = 0;  // nothing is added to a chunk that was read in part
    else chunk_at_ -= in_at_;
    in_at_ = 0;
  }
}

size_t Stream::room() const {
  if (closed()) return 0;
  // A head must fit as a whole, because it can only be parsed and sent as a whole.
  size_t most = out_state_ == Out::nothing ? kMostOut + http::kMaxAnswerHead : kMostOut;
  size_t held = pending_.size() + out_.size() - out_at_;
  return most - std::min(most, held);
}

size_t Stream::write(std::string_view text) {
  size_t n = std::min(room(), text.size());
  if (n == 0 || !session_) return 0;
  pending_.append(text.substr(0, n));
  // Invalid text is a fault of the guard itself. The peer must not mistake a part of it for a message.
  if (!process()) session_->reset(*this);
  count();
  session_->work();
  return n;
}

// Translates the text that the guard has written. Returns false if it is not HTTP/1.1.
bool Stream::process() {
  while (out_state_ == Out::nothing) {
    bool final = false;
    if (!take_head(final)) return false;
    // So far, there is only an interim answer or an incomplete head.
    if (!final) return true;
    out_state_ = Out::head;
  }
  if (!body_.done() && !body_.read(pending_, out_)) return false;
  if (body_.done()) out_state_ = std::max(out_state_, Out::all);
  session_->resume(*this);
  return true;
}

// Takes one head from the front of the pending text, if it is complete. `final` becomes whether a body follows.
bool Stream::take_head(bool& final) {
  http::Head head;
  bool request = session_->role_ == Role::client;
  while (true) {
    Parse parsed = request ? http::parse_request(pending_, head) : http::parse_response(pending_, head);
    if (parsed == Parse::incomplete) return true;
    if (parsed == Parse::bad) return false;
    final = request || head.status >= 200;
    if (final) body_ = request ? http::Body::of_request(head) : http::Body::of_response(head, method_);
    if (request) method_ = head.method;
    if (!session_->submit(*this, head)) return false;
    pending_.erase(0, head.size);
    if (final) return true;
  }
}

void Stream::end() {
  if (closed() || !session_) return;
  // A body without a length or chunks ends with the guard's text. Any other body is cut off if it is not complete.
  if (out_state_ != Out::nothing && body_.end()) {
    out_state_ = std::max(out_state_, Out::all);
    session_->resume(*this);
  } else {
    session_->reset(*this);
  }
  session_->work();
}

void Stream::drop() {
  on_change = nullptr;
  // The stream counts up to here, even if the peer has reset it long ago (Session::served).
  place_.reset();
  if (!std::exchange(dropped_, true) && session_) session_->dropped(*this);
  count();
}

// Appends payload to the last chunk if the guard has not read the beginning of that chunk. If small frames became
// separate chunks, they would take six times as much memory as the peer may send.
void Stream::append_to_chunk(std::string_view payload) {
  constexpr size_t kMostShared = 4096;
  if (chunk_ == 0 || chunk_ + payload.size() > kMostShared || in_at_ > chunk_at_) {
    chunk_at_ = in_.size();
    chunk_ = payload.size();
    return http::append_chunk(in_, payload);
  }
  chunk_ += payload.size();
  char size[24];
  int digits = snprintf(size, sizeof size, "%zx", chunk_);
  // Replaces the line end of the chunk with the payload and a new line end, and then corrects the size at its front.
  in_.replace(in_.size() - 2, 2, payload).append("\r\n");
  in_.replace(chunk_at_, in_.find('\r', chunk_at_) - chunk_at_, size, static_cast<size_t>(digits));
}

// Takes the payload of a DATA frame from the peer.
void Stream::receive(std::string_view payload) {
  debt_ += payload.size();
  if (in_framing_ == Framing::none) return;  // an answer that has no body, whatever the server says
  constexpr size_t kMuch = 16 * 1024, kMore = 64 * 1024;
  size_t size = in_.size() + payload.size();
  // Without this, a body that arrives fast would be copied each time the buffer doubles.
  if (size > kMuch && size > in_.capacity()) in_.reserve(std::max(2 * in_.size(), size + kMore));
  if (in_framing_ == Framing::chunked) append_to_chunk(payload);
  else in_.append(payload);
  count();
  changed();
}

void Stream::receive_end(std::string_view trailers) {
  if (all_in()) return;
  if (in_framing_ == Framing::chunked) in_.append("0\r\n").append(trailers).append("\r\n");
  in_state_ = In::all;
  count();
  changed();
}

}  // namespace bottle::guard::h2
