// Names the fields of each event. An event from a remote machine passes through the same code
// (remote/link/far_message.h decides which events may come from it at all), so texts for people are `words`, which
// the codec makes harmless, and each has a limit far above any real text.
#include "wire/event.h"

#include "wire/codec/alternatives.h"

namespace bottle::wire {
// Describes the fields of events that have only a reason.
template <class T>
  requires requires(T event) { event.what; }
static void fields(Object& o, T& event) {
  o.words("what", event.what, 64 << 10);
}

static void fields(Object& o, Swept& event) {
  o.object("receipt", event.receipt);
  o.object_or_null("back", event.back);
}

static void fields(Object& o, Step& event) { o.words("step", event.step); }

static void fields(Object& o, VmMade& event) {
  o.text("name", event.name, kName);
  o.text("target", event.target, kName);
  o.number("created", event.created);
  o.number("ssh", event.ssh);
  o.number("rotated", event.rotated);
}

static void fields(Object& o, EngineAnswers& event) { o.number("at", event.at); }

static void fields(Object& o, HelloCame& event) { o.object("hello", event.hello); }

static void fields(Object& o, AgentRuns& event) {
  o.text("session", event.session, kName);
  o.objects("probes", event.probes, kFew);
}

// A frame of the far side that is read as JSON has at most a megabyte (remote/link/far_link.h).
static void fields(Object& o, ErrorOutput& event) { o.words("text", event.text, 1 << 20); }

static void fields(Object& o, Denied& event) {
  // A host has at most 253 characters, and its port five more.
  o.words("host", event.host, 300);
  o.words("code", event.code, 64);
  o.words("reason", event.reason, 2000);
  o.words("allow", event.allow, 2000);
}

static void fields(Object& o, SecretToModel& event) {
  o.words("secret", event.secret, kName);
  o.words("host", event.host, 300);
  o.words("code", event.code, 64);
  o.words("what", event.what, 2000);
}

static void fields(Object& o, LimitReached& event) {
  o.text("session", event.session, kName);
  o.words("host", event.host, 300);
  o.words("limit", event.limit, 64);
  o.number("most", event.most);
}

static void fields(Object& o, PolicyChanged& event) {
  o.text("id", event.id, 64);
  o.flag("ok", event.ok);
  o.words("what", event.what, 64 << 10);
}

static void fields(Object& o, Attached& event) {
  o.number("from", event.from);
  o.number("missed", event.missed);
}

static void fields(Object& o, OutputMissed& event) { o.number("bytes", event.bytes); }

static void fields(Object& o, DestroyingVm& event) { o.text("vm", event.vm, kName); }

void fields(Object& o, Event& event) { alternatives(o, "event", event); }

std::vector<std::string_view> event_names() { return type_words<Event>(); }

}  // namespace bottle::wire
