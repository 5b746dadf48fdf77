// Names the fields of a result. docs/events.md promises that keys are only added and keep their meaning, because
// scripts read these messages and because old results stay on the disk. A key is absent if it does not apply, and a
// key that was added later is missing in older results.
#include "wire/result.h"

namespace bottle::wire {

namespace {
constexpr size_t kReason = 2000, kRule = 2000;
}

void fields(Object& o, DeniedHost& denied) {
  o.words("host", denied.host, 300);
  o.words("code", denied.code, 64);
  o.number("count", denied.count);
  o.words("allow", denied.allow, kRule);
}

void fields(Object& o, SecretNotice& notice) {
  o.words("secret", notice.secret, kName);
  o.words("code", notice.code, 64);
  o.words("host", notice.host, 300);
}

void fields(Object& o, ShownUsage& use) {
  o.words("host", use.host, 600);
  o.number("requests", use.requests);
  o.number("bytes_up", use.bytes_up);
  o.number("tokens_in", use.tokens_in);
  o.number("tokens_out", use.tokens_out);
  o.number("cost", use.cost);
}

void fields(Object& o, EgressResult& egress) {
  o.objects("denied", egress.denied, kFew);
  if (o.may_lack("secrets")) o.objects("secrets", egress.secrets, kFew);  // older results do not have it
  o.number("allowed", egress.allowed);
  o.objects_if_any("used", egress.used, kFew);
  o.texts("recorded", egress.recorded, kFew, kRule);
}

void fields(Object& o, ReceivedBelow& below) {
  o.words("path", below.path, kPath);
  o.texts("refs", below.refs, kMany, kPath);
  o.number_or_null("commits", below.commits);
  o.number("files", below.files);
  o.text("patch", below.patch, kPath);
}

void fields(Object& o, WorkResult& back) {
  o.words_if_any("text", back.text, 256 << 10);
  o.words_if_any("error", back.error, 64 << 10);
  o.text_if_any("archive", back.archive, kPath);
  o.flag_if_set("held", back.held);
  // The keys of `ReceivedWork` are beside the others, as they were before `ReceivedWork` became a separate struct.
  // "refs" shows that they are present.
  if (!o.optional("refs", back.sorted.has_value())) return;
  auto& sorted = back.sorted ? *back.sorted : back.sorted.emplace();
  o.texts("refs", sorted.refs, kFew, kPath);
  o.number_or_null("commits", sorted.commits);
  o.number("files", sorted.files);
  o.text("patch", sorted.patch, kPath);
  o.objects_if_any("below", sorted.below, kFew);
  o.text_if_any("bundle", sorted.bundle, kPath);
  o.words_if_any("ignored", sorted.ignored, kFew);
  o.text_if_any("kept", sorted.kept, kPath);
  o.words("flagged", sorted.flagged, kFew);
  o.text_if_any("all_flagged", sorted.all_flagged, kPath);
  o.number("skipped", sorted.skipped);
}

// The keys of a destruction are beside those of the receipt, and "kind" shows that they are present.
static void fields_of(Object& o, std::optional<VmDestruction>& how) {
  if (!o.optional("kind", how.has_value())) return;
  auto& destruction = how ? *how : how.emplace();
  o.constant("kind", "vm");
  o.text("provider", destruction.provider, kName);
  o.text("id", destruction.id, kPath);
  o.number("calls", destruction.calls);
  o.number("seconds", destruction.seconds);
  o.number("made", destruction.made);
  o.number("at", destruction.at);
  o.words("left", destruction.left, kFew);
}

void fields(Object& o, VmReceipt& vm) {
  o.text("name", vm.name, kName);
  bool kept = std::holds_alternative<VmKept>(vm.end);
  if (o.optional("kept", kept)) {
    auto& end = kept ? std::get<VmKept>(vm.end) : vm.end.emplace<VmKept>();
    kept = true;
    o.flag("kept", kept);
    return o.words("why", end.why, kReason);
  }
  bool confirmed = vm.is_gone();
  o.flag("confirmed", confirmed);
  if (o.is_read()) {
    if (confirmed) vm.end.emplace<VmGone>();
    else vm.end.emplace<VmUncertain>();
  }
  // Receipts of earlier versions may have a text that does not belong to this end.
  std::string unused;
  auto* gone = std::get_if<VmGone>(&vm.end);
  auto* uncertain = std::get_if<VmUncertain>(&vm.end);
  auto& error = uncertain ? uncertain->error : unused;
  auto& confirmed_by = gone ? gone->confirmed_by : unused;
  o.words_if_any("error", error, 64 << 10);
  o.words_if_any("confirmed_by", confirmed_by, kReason);
  fields_of(o, gone ? gone->how : uncertain->how);
}

void fields(Object& o, Receipt& receipt) {
  o.text("session", receipt.session, kName);
  o.words("removed", receipt.removed, kFew);
  o.words("left", receipt.left, kFew);
  o.flag("confirmed", receipt.confirmed);
  o.text_if_any("machine", receipt.machine, kName);
  o.flag("forgotten", receipt.forgotten);
  o.object("vm", receipt.vm);
}

void fields(Object& o, Forgotten& forgotten) {
  o.text("session", forgotten.session, kName);
  o.flag("forgotten", forgotten.forgotten);
  o.object("receipt", forgotten.receipt);
}

void fields(Object& o, AuditSeal& seal) {
  o.text("file", seal.file, kName);
  o.number("lines", seal.lines);
  o.text("head", seal.head, 64);
}

void fields(Object& o, SessionResult& result) {
  o.text("session", result.session, kName);
  o.text_if_any("bottle", result.bottle, kName);
  o.number("exit", result.exit, 0, 255);
  o.words_if_any("what", result.what);
  o.text_if_any("limit", result.limit, kName);
  o.object("egress", result.egress);
  o.objects_if_any("audit", result.audit, kFew);
  o.object("back", result.back);
  o.object("receipt", result.receipt);
}

}  // namespace bottle::wire
