// Names the fields of the control channel's messages. Both ends are our programs, but the guard parses what an agent
// sends and could be taken over, so every field has a limit.
#include "wire/guard/control.h"

#include "wire/codec/alternatives.h"

namespace bottle::wire {
namespace {

constexpr size_t kPem = 256 << 10;
// This is more than a side may send, so that too much data ends only the stream and not the channel.
constexpr size_t kBytes = 384 << 10;

}  // namespace

static void fields(Object& o, Configure& message) { o.object("config", message.config); }

static void fields(Object& o, Certificate& message) { o.text("pem", message.pem, kPem); }

static void fields(Object& o, AgentAnswer& message) {
  o.number("connection", message.connection);
  o.bytes("answer", message.answer, kBytes);
}

static void fields(Object& o, NearSideUp& message) { o.flag("up", message.up); }

template <class T>
  requires std::is_empty_v<T>
static void field(Object& o, const char* key, T&) {
  bool is = true;
  o.flag(key, is);
  if (!is) o.refuse(key, "is not true");
}

static void field(Object& o, const char* key, StreamPart::Data& data) { o.bytes(key, data.bytes, kBytes); }

static void field(Object& o, const char* key, StreamPart::Taken& taken) { o.number(key, taken.bytes); }

static void fields(Object& o, StreamPart& part) {
  o.number("stream", part.stream);
  one_of_keys(o, part.what);
}

static void fields(Object& o, Ready& message) {
  o.text("listen", message.listen, kPath);
  o.text("csr", message.csr, kPem);
}

// Writes "closed" if there is no request.
static void fields(Object& o, AgentRequest& message) {
  o.number("connection", message.connection);
  o.bytes("request", message.request, kBytes);
  bool closed = !message.request;
  o.flag_if_set("closed", closed);
}

static void fields(Object& o, GuardComplaint& message) { o.words("what", message.what, 64 << 10); }

static void fields(Object& o, Usage& usage) { o.objects("hosts", usage.hosts, Usage::kMostHosts); }

static void fields(Object& o, LimitHit& hit) {
  o.text("of", hit.of, kName);
  o.choice("limit", hit.limit, kQuantities);
  o.number("most", hit.most);
}

static void fields(Object& o, SshTunnel& message) {
  o.number("tunnel", message.tunnel);
  o.text("exchange", message.exchange, 64);
}

static void fields(Object& o, NearSideHere& message) { o.text("root", message.root, kPem); }

void fields(Object& o, ToGuard& message) { alternatives(o, "type", message); }
void fields(Object& o, FromGuard& message) { alternatives(o, "type", message); }
void fields(Object& o, ToFarGuard& message) { alternatives(o, "type", message); }
void fields(Object& o, ToNearSide& message) { alternatives(o, "type", message); }

}  // namespace bottle::wire
