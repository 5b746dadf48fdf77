// nghttp2 parses and checks the frames, and this file limits the effects of each of them. Callbacks of nghttp2 must
// not throw or free its session, so they only change streams and note faults; receive() ends a failed session after
// nghttp2 has returned.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text/words.h"
#include "guard/h2/callbacks.h"
#include "policy/credentials.h"

namespace bottle::guard::h2 {
namespace {

int result(bool ok) { return ok ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE; }

std::string_view text(const uint8_t* bytes, size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }
std::string_view text(nghttp2_rcbuf* buffer) {
  nghttp2_vec v = nghttp2_rcbuf_get_buf(buffer);
  return text(v.base, v.len);
}

std::string_view without_spaces(std::string_view text) {
  size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == text.npos ? std::string_view() : text.substr(first, last + 1 - first);
}

bool ends_stream(uint8_t flags) { return (flags & NGHTTP2_FLAG_END_STREAM) != 0; }

}  // namespace

std::vector<nghttp2_nv> name_values(const Fields& fields) {
  std::vector<nghttp2_nv> out;
  for (const auto& each : fields) {
    // A credential stays out of the compressor's table, because the lengths of later heads would reveal the table's
    // content.
    bool credential = policy::presents_credentials(each.name);
    out.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(each.name.data())),
                   reinterpret_cast<uint8_t*>(const_cast<char*>(each.value.data())), each.name.size(),
                   each.value.size(),
                   static_cast<uint8_t>(credential ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
  }
  return out;
}

int Session::Callbacks::begin_frame(nghttp2_session*, const nghttp2_frame_hd* hd, void* user) {
  return result(of(user).begin_frame(hd->type, hd->flags, hd->stream_id));
}

int Session::Callbacks::begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  return result(of(user).begin_head(frame->hd.stream_id, frame->headers.cat == NGHTTP2_HCAT_REQUEST));
}

int Session::Callbacks::header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                               uint8_t, void* user) {
  return result(of(user).take_field(frame->hd.stream_id, text(name), text(value), true));
}

int Session::Callbacks::invalid_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                                       nghttp2_rcbuf* value, uint8_t, void* user) {
  return result(of(user).take_field(frame->hd.stream_id, text(name), text(value), false));
}

int Session::Callbacks::frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  return result(of(user).frame_received(frame->hd.type, frame->hd.flags, frame->hd.stream_id));
}

int Session::Callbacks::invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
  Session& session = of(user);
  if (session.error_.empty()) session.error_ = nghttp2_strerror(error);
  // nghttp2 resets the stream.
  Stream* stream = session.find(frame->hd.stream_id);
  if (stream && stream->in_state_ == Stream::In::nothing) stream->fault_ = "the head is not valid";
  return result(session.note_malformed(std::exchange(session.error_, {})));
}

int Session::Callbacks::data_chunk(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                                   void* user) {
  return result(of(user).data_received(id, text(data, size)));
}

int Session::Callbacks::frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  if (frame->hd.type == NGHTTP2_GOAWAY) of(user).ended_by(frame->goaway.error_code);
  of(user).frame_sent(frame->hd.type, frame->hd.flags, frame->hd.stream_id, frame->hd.length);
  return 0;
}

int Session::Callbacks::stream_close(nghttp2_session*, int32_t id, uint32_t code, void* user) {
  of(user).stream_closed(id, code);
  return 0;
}

int Session::Callbacks::error(nghttp2_session*, int, const char* message, size_t size, void* user) {
  std::string_view text(message, std::min<size_t>(size, 200));
  of(user).error_ = text.substr(0, text.find(", value: "));  // the value of a header may be a secret
  return 0;
}

ssize_t Session::Callbacks::provide(nghttp2_session*, int32_t id, uint8_t* buffer, size_t size, uint32_t* flags,
                                    nghttp2_data_source*, void* user) {
  Stream* stream = of(user).find(id);
  if (!stream) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  return of(user).provide(*stream, reinterpret_cast<char*>(buffer), size, flags);
}

nghttp2_session_callbacks* Session::Callbacks::all() {
  static nghttp2_session_callbacks* callbacks = [] {
    nghttp2_session_callbacks* c = nullptr;
    nghttp2_session_callbacks_new(&c);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, stream_close);
    nghttp2_session_callbacks_set_error_callback2(c, error);
    return c;
  }();
  return callbacks;
}

nghttp2_option* Session::Callbacks::options(Role role) {
  auto make = [](bool server) {
    nghttp2_option* o = nullptr;
    nghttp2_option_new(&o);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_max_outbound_ack(o, 100);
    nghttp2_option_set_max_reserved_remote_streams(o, 0);
    nghttp2_option_set_max_send_header_block_length(o, 2 * http::kMaxAnswerHead);
    // nghttp2's own limits are wide here, because `resets_` and `kMostBlock` are tighter and give the reason when
    // they end a connection.
    nghttp2_option_set_stream_reset_rate_limit(o, 1000, 100);
    nghttp2_option_set_max_continuations(o, 64);
    // Some servers send spaces around a value. Session::take_field() removes them, as the parser for HTTP/1.1 does.
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(o, !server);
    return o;
  };
  static nghttp2_option *of_server = make(true), *of_client = make(false);
  return role == Role::server ? of_server : of_client;
}

// Returns whether the client never opened the stream and can no longer open it. nghttp2 would treat it as a stream that
// has ended, and ignore its frames.
bool Session::names_skipped_stream(int32_t id) {
  constexpr size_t kMostSkipped = 100;
  for (int64_t each = int64_t{highest_} + (highest_ ? 2 : 1); each < id && skipped_.size() < kMostSkipped; each += 2)
    skipped_.insert(static_cast<int32_t>(each));
  highest_ = std::max(highest_, id);
  return skipped_.contains(id);
}

bool Session::begin_frame(uint8_t type, uint8_t flags, int32_t id) {
  if (type != NGHTTP2_CONTINUATION) in_head_ = false;
  if (type == NGHTTP2_HEADERS && role_ == Role::server && id % 2 == 1 && names_skipped_stream(id)) {
    error_ = "the number of a new stream is not above that of earlier ones";
    nghttp2_session_terminate_session(session_, NGHTTP2_PROTOCOL_ERROR);
    return true;
  }
  if (type == NGHTTP2_RST_STREAM) return resets_.take(now_) || fail("too many streams were reset");
  bool moves_data = (type == NGHTTP2_DATA && ends_stream(flags)) || type == NGHTTP2_HEADERS;
  if (moves_data) return controls_.add(2), true;
  return controls_.take(now_) || fail("too many frames without data arrived");
}

bool Session::begin_head(int32_t id, bool request) {
  in_head_ = true;
  block_ = decoded_ = 0;
  if (role_ == Role::client || !request) return true;
  // The guard may still be busy with streams that the client has reset.
  if (shut_ || served() >= 2 * kMostStreams) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return resets_.take(now_) || fail("too many streams were refused");
  }
  auto stream = std::make_shared<Stream>(this, total_);
  stream->id_ = id;
  streams_[id] = std::move(stream);
  return true;
}

bool Session::take_field(int32_t id, std::string_view name, std::string_view value, bool valid) {
  decoded_ += name.size() + value.size() + 32;
  if (decoded_ > kMostDecoded) return fail("a head is too large");
  Stream* stream = find(id);
  if (!stream) return true;
  Stream::Arriving& arriving = stream->arriving_;
  arriving.malformed |= !valid;
  bool server = role_ == Role::server;
  if (!server) value = without_spaces(value);
  arriving.size += name.size() + value.size() + 32;
  if (arriving.size > (server ? kMostHead : http::kMaxAnswerHead) ||
      arriving.fields.size() >= (server ? kMostFields : http::kMaxAnswerHeaders))
    arriving.too_large = true;
  else arriving.fields.push_back({std::string(name), std::string(value)});
  return true;
}

bool Session::frame_received(uint8_t type, uint8_t flags, int32_t id) {
  if (type == NGHTTP2_HEADERS) in_head_ = false;
  if (type == NGHTTP2_SETTINGS && (flags & NGHTTP2_FLAG_ACK) == 0)
    most_streams_ = nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  Stream* stream = find(id);
  if (!stream) return true;
  if (type == NGHTTP2_HEADERS) return head_received(*stream, ends_stream(flags));
  if (type == NGHTTP2_DATA && ends_stream(flags)) stream->receive_end({});
  return true;
}

bool Session::note_malformed(std::string what) {
  ++malformed_;
  fault_ = std::move(what);
  return resets_.take(now_) || fail("too many messages were malformed");
}

// Refuses a malformed message.
bool Session::refuse(Stream& stream, const char* why) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_PROTOCOL_ERROR);
  stream.close(false);
  if (stream.in_state_ == Stream::In::nothing) stream.fault_ = why;
  return note_malformed(why);
}

// Lets the guard answer a request whose head is too large, so that the client learns why it fails.
bool Session::pass_fault(Stream& stream, const Fields& fields, bool ended) {
  stream.fault_ = "the head is too large";
  stream.in_state_ = ended ? Stream::In::all : Stream::In::head;
  for (const auto& each : fields)
    if (each.name == ":method") stream.method_ = each.value;
  stream.place_ = places_;
  new_[stream.id_] = streams_[stream.id_];
  return resets_.take(now_) || fail("too many heads were too large");
}

bool Session::head_received(Stream& stream, bool ended) {
  const auto [fields, size, too_large, malformed] = std::exchange(stream.arriving_, {});
  if (malformed) return refuse(stream, "a header is not valid");
  if (stream.in_state_ != Stream::In::nothing) {
    if (too_large) return refuse(stream, "the trailers are too large");
    stream.receive_end(trailer_text(fields));
    return true;
  }
  bool server = role_ == Role::server;
  if (too_large && server) return pass_fault(stream, fields, ended);
  if (too_large) return refuse(stream, "the head is too large");
  Text text = server ? request_text(fields, ended) : answer_text(fields, ended, stream.method_);
  if (text.why) return refuse(stream, text.why);
  // Heads have no flow control.
  if (stream.in_.size() - stream.in_at_ > http::kMaxAnswerHead)
    return refuse(stream, "too many interim answers arrived");
  stream.in_.append(text.head);
  stream.count();
  bool interim = !server && text.head[9] == '1';
  if (!interim) {
    stream.in_framing_ = text.framing;
    stream.in_state_ = ended ? Stream::In::all : Stream::In::head;
  }
  if (server) {
    stream.method_ = text.head.substr(0, text.head.find(' '));
    stream.place_ = places_;
    new_[stream.id_] = streams_[stream.id_];
  }
  stream.changed();
  return true;
}

bool Session::data_received(int32_t id, std::string_view payload) {
  controls_.add(3);  // a frame that has only padding moves no data, whatever its length
  // A stream that is not read must hold back only itself.
  nghttp2_session_consume_connection(session_, payload.size());
  Stream* stream = find(id);
  if (!stream || stream->dropped_ || stream->closed()) nghttp2_session_consume_stream(session_, id, payload.size());
  else stream->receive(payload);
  return true;
}

void Session::ended_by(uint32_t code) {
  if (code == NGHTTP2_NO_ERROR || !why_.empty()) return;
  why_ = error_.empty() ? nghttp2_http2_strerror(code) : error_;
}

void Session::frame_sent(uint8_t type, uint8_t flags, int32_t id, size_t length) {
  // A peer may return what it has read to both windows after every few kilobytes, whatever the size of the frames.
  // Programs in Go do it after each read of 4096 bytes.
  constexpr size_t kBetweenUpdates = 1024;
  if (type == NGHTTP2_DATA) controls_.add(4 + static_cast<int64_t>(length / kBetweenUpdates));
  if (Stream* stream = type == NGHTTP2_HEADERS ? find(id) : nullptr) stream->asked_ = Stream::Asked::sent;
  if ((type != NGHTTP2_DATA && type != NGHTTP2_HEADERS) || !ends_stream(flags)) return;
  Stream* stream = find(id);
  if (!stream) return;
  stream->out_state_ = Stream::Out::sent;
  if (role_ == Role::server && stream->dropped_ && !stream->all_in())
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_NO_ERROR);
}

void Session::stream_closed(int32_t id, uint32_t code) {
  auto found = streams_.find(id);
  if (found == streams_.end()) return;
  auto stream = std::move(found->second);
  streams_.erase(found);
  stream->session_ = nullptr;
  note_refusal(*stream, code);
  stream->close(!stream->all_in() || (role_ == Role::server && stream->out_state_ != Stream::Out::sent));
  new_.erase(id);
  stream->changed();
}

// Gives nghttp2 the next bytes of a body.
long Session::provide(Stream& stream, char* buffer, size_t size, uint32_t* flags) {
  size_t n = std::min(size, stream.out_.size() - stream.out_at_);
  std::memcpy(buffer, stream.out_.data() + stream.out_at_, n);
  stream.out_at_ += n;
  if (stream.out_at_ == stream.out_.size()) {
    std::string().swap(stream.out_);
    stream.out_at_ = 0;
    stream.count();
  } else if (stream.out_at_ >= Stream::kMostTaken) {
    stream.out_.erase(0, stream.out_at_);
    stream.out_at_ = 0;
  }
  if (n > 0) stream.changed();
  // Text that did not fit before may fit now.
  if (!stream.out_.empty() || (n == 0 && !stream.all_written())) {
    if (n > 0) return static_cast<long>(n);
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (!stream.all_written()) return static_cast<long>(n);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  Fields trailers;
  for (const auto& [name, value] : stream.body_.trailers())
    if (http::is_token(name)) trailers.push_back({lower(name), value});
  if (trailers.empty()) return static_cast<long>(n);
  auto values = name_values(trailers);
  if (nghttp2_submit_trailer(session_, stream.id_, values.data(), values.size()) == 0)
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  return static_cast<long>(n);
}

}  // namespace bottle::guard::h2
