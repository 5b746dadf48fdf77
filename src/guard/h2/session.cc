// Begins and ends a session, moves its bytes, and serves the calls of its streams (frames.cc has those of nghttp2). If
// the protocol provides for it, a last frame tells the peer why a session failed.
#include "guard/h2/session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "guard/h2/callbacks.h"

namespace bottle::guard::h2 {
namespace {

// The window of the whole connection needs no tight bound, because each stream has its own. A stream that is not read
// must not stop the others.
constexpr int32_t kConnectionWindow = 64 << 20;
// Returns the bytes that count for a session in addition to those of its streams. A session takes about 18 KB, mostly
// for a buffer of nghttp2. For a session with a client, only half of that counts, so that 10,000 idle clients stay
// below the limit. The limit on the number of connections bounds the other half, as it does for the memory of idle
// TLS connections.
size_t cost(Role role) { return role == Role::server ? 8 * 1024 : 16 * 1024; }

}  // namespace

// nghttp2 sends the settings with the first bytes. The windows bound how much a peer may send before the guard has
// passed it on: per stream, and for the whole connection.
Session::Session(Role role, size_t* total) : role_(role), total_(total) {
  if (total_) *total_ += cost(role_);
  auto make = role == Role::server ? nghttp2_session_server_new2 : nghttp2_session_client_new2;
  if (make(&session_, Callbacks::all(), this, Callbacks::options(role)) != 0) {
    session_ = nullptr;
    fail("out of memory for an HTTP/2 session");
    return;
  }
  std::vector<nghttp2_settings_entry> settings;
  if (role == Role::server) {
    settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMostStreams},
                {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kClientWindow},
                {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMostHead}};
  } else {
    settings = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kServerWindow},
                {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, http::kMaxAnswerHead}};
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

Session::~Session() {
  cut();
  if (session_) nghttp2_session_del(session_);
  if (total_) *total_ -= cost(role_);
}

void Session::cut(std::string_view why) {
  on_work = nullptr;
  failed_ = true;
  auto cut_off = [this, why](Stream& stream) {
    stream.session_ = nullptr;
    note_refusal(stream, NGHTTP2_NO_ERROR);
    stream.why_ = why;
    // A request that was not sent can go out on another connection.
    if (role_ == Role::client && stream.asked_ != Stream::Asked::refused && stream.fault_.empty()) stream.fault_ = why_;
    stream.close(!stream.all_in() || stream.out_state_ != Stream::Out::sent);
    stream.changed();
  };
  for (auto& [id, stream] : std::exchange(streams_, {})) cut_off(*stream);
  for (auto& [key, stream] : std::exchange(unborn_, {})) cut_off(*stream);
}

Stream* Session::find(int32_t id) const {
  auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

bool Session::fail(const char* why) {
  failed_ = true;
  if (why_.empty()) why_ = why;
  return false;
}

bool Session::receive(std::string_view bytes, int64_t now) {
  now_ = now;
  if (failed_) return false;
  // Feeds nghttp2 in pieces, so that the limit of a head also applies within the bytes of a single read.
  while (!bytes.empty() && !failed_) {
    std::string_view piece = bytes.substr(0, 16 * 1024);
    bytes.remove_prefix(piece.size());
    if (in_head_) block_ += piece.size();
    ssize_t n = nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(piece.data()), piece.size());
    if (n < 0) fail(nghttp2_strerror(static_cast<int>(n)));
    else if (in_head_ && block_ > kMostBlock) fail("a head came in too many frames");
  }
  if (!failed_) return true;
  nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  return false;
}

bool Session::transmit(std::string& out, size_t most) {
  bool any = false;
  while (session_ && out.size() < most) {
    const uint8_t* bytes = nullptr;
    ssize_t n = nghttp2_session_mem_send(session_, &bytes);
    if (n < 0) fail(nghttp2_strerror(static_cast<int>(n)));
    if (n <= 0) break;
    out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
    any = true;
  }
  return any;
}

bool Session::over() const {
  return !session_ || failed_ || (!nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_));
}

size_t Session::queued() const { return session_ ? nghttp2_session_get_outbound_queue_size(session_) : 0; }

void Session::shut_down() {
  if (std::exchange(shut_, true) || !session_) return;
  int32_t last = nghttp2_session_get_last_proc_stream_id(session_);
  if (role_ == Role::server && !streams_.empty()) last = std::max(last, streams_.rbegin()->first);
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0);
}

std::shared_ptr<Stream> Session::accept() {
  if (new_.empty() || failed_) return nullptr;
  auto stream = std::move(new_.begin()->second);
  new_.erase(new_.begin());
  return stream;
}

// --- calls from streams ---

// Resets a stream whose text is incomplete or not valid HTTP.
void Session::reset(Stream& stream) {
  stream.pending_.clear();
  if (stream.closed()) return;
  uint32_t code = role_ == Role::server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL;
  if (stream.id_ >= 0) nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, code);
  stream.close(!stream.all_in() || role_ == Role::server);
  stream.changed();
}

void Session::resume(Stream& stream) {
  if (!std::exchange(stream.deferred_, false) || stream.closed()) return;
  nghttp2_session_resume_data(session_, stream.id_);
}

void Session::dropped(Stream& stream) {
  if (auto unborn = unborn_.find(&stream); unborn != unborn_.end()) {
    stream.session_ = nullptr;
    unborn_.erase(unborn);
    return work();
  }
  if (size_t debt = std::exchange(stream.debt_, 0)) give_back(stream, debt);
  std::string().swap(stream.in_);
  stream.in_at_ = 0;
  if (stream.closed()) return;
  if (role_ == Role::client || !stream.all_written()) reset(stream);
  else if (stream.out_state_ == Stream::Out::sent && !stream.all_in())
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_NO_ERROR);
  work();
}

// Sends a head that the guard has written. As a client, this opens the stream, which only now gets its number. A body
// is not passed along: nghttp2 calls provide() whenever the peer's window allows more of it.
bool Session::submit(Stream& stream, const http::Head& head) {
  bool interim = role_ == Role::server && head.status < 200;
  if (interim && head.status == 101) return false;
  Fields fields = role_ == Role::client ? request_fields(head) : answer_fields(head);
  auto values = name_values(fields);
  nghttp2_data_provider provider{.source = {}, .read_callback = Callbacks::provide};
  bool body = !interim && !stream.body_.done();
  if (role_ == Role::client) {
    int32_t id =
        nghttp2_submit_request(session_, nullptr, values.data(), values.size(), body ? &provider : nullptr, nullptr);
    if (id < 0) return false;
    stream.id_ = id;
    auto unborn = unborn_.extract(&stream);
    streams_[id] = std::move(unborn.mapped());
    return true;
  }
  int error =
      interim ? nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, values.data(), values.size(),
                                       nullptr)
              : nghttp2_submit_response(session_, stream.id_, values.data(), values.size(), body ? &provider : nullptr);
  return error == 0;
}

}  // namespace bottle::guard::h2
