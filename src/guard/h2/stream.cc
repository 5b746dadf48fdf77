#include "guard/h2/stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "guard/h2/session.h"

namespace bottle::guard::h2 {

size_t Stream::read(char* buffer, size_t size) {
  size_t n = std::min(size, in_.size() - in_at_);
  std::memcpy(buffer, in_.data() + in_at_, n);
  in_at_ += n;
  if (in_at_ == in_.size()) {
    std::string().swap(in_);
    in_at_ = 0;
  }
  // The text is never shorter than its payload, so this gives back at most what was read.
  size_t back = in_.empty() ? debt_ : std::min(debt_, n);
  debt_ -= back;
  if (back > 0 && session_) session_->give_back(*this, back);
  return n;
}

size_t Stream::room() const {
  if (closed()) return 0;
  size_t most = out_state_ == Out::nothing ? kMostOut + http::kMaxAnswerHead : kMostOut;
  size_t held = pending_.size() + out_.size() - out_at_;
  return most - std::min(most, held);
}

size_t Stream::write(std::string_view text) {
  size_t n = std::min(room(), text.size());
  if (n == 0 || !session_) return 0;
  pending_.append(text.substr(0, n));
  if (!process()) session_->reset(*this);
  session_->work();
  return n;
}

// Translates what has been written. Returns false if it is not HTTP/1.1.
bool Stream::process() {
  while (out_state_ == Out::nothing) {
    bool final = false;
    if (!take_head(final)) return false;
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
  place_.reset();
  if (!std::exchange(dropped_, true) && session_) session_->dropped(*this);
}

// Takes payload that the peer has sent.
void Stream::receive(std::string_view payload) {
  debt_ += payload.size();
  if (in_framing_ == Framing::none) return;  // an answer that has no body, whatever the server says
  if (in_framing_ == Framing::chunked) http::append_chunk(in_, payload);
  else in_.append(payload);
  changed();
}

void Stream::receive_end(std::string_view trailers) {
  if (all_in()) return;
  if (in_framing_ == Framing::chunked) in_.append("0\r\n").append(trailers).append("\r\n");
  in_state_ = In::all;
  changed();
}

}  // namespace bottle::guard::h2
