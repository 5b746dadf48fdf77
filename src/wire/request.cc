// Lists the fields of the requests that clients send to a supervisor. A rule in a request uses the fields of the
// manifest's rules that `bottle allow` can set, and no others.
#include "wire/request.h"

namespace bottle::wire {

void fields(Object& o, Attach& attach) {
  o.text_if_any("session", attach.session, kName);
  o.number("from", attach.from);
  o.text_if_any("id", attach.id, kName);
  o.text("engine_id", attach.engine_id, kName);
}

void fields(Object& o, Resize& resize) {
  o.number("rows", resize.rows);
  o.number("cols", resize.columns);
}

namespace {

// Has no field for inspection, because methods and paths determine whether a host is inspected.
struct Rule {
  manifest::AllowRule& is;
};

void fields(Object& o, Rule& rule) {
  o.text("host", rule.is.host, kName);
  o.numbers("ports", rule.is.ports, kFew);
  o.texts("methods", rule.is.methods, kFew, kName);
  o.texts("paths", rule.is.paths, kFew, kPath);
}

}  // namespace

void fields(Object& o, LimitChange& change) {
  o.text_if_any("host", change.host, kName);
  for (size_t i = 0; i < kQuantities.size(); ++i) o.number(kQuantities[i], change.most[i]);
}

namespace {

// Reads or writes a change of this kind with `read_or_write`, if the request has one. Returns whether it has.
template <class Kind, class ReadOrWrite>
bool field(Object& o, PolicyChange& change, const char* key, ReadOrWrite read_or_write) {
  if (!o.optional(key, std::holds_alternative<Kind>(change.what))) return false;
  if (o.is_read()) change.what.emplace<Kind>();
  read_or_write(std::get<Kind>(change.what));
  return true;
}

}  // namespace

void fields(Object& o, PolicyChange& change) {
  using Allow = PolicyChange::Allow;
  using Deny = PolicyChange::Deny;
  using AllowSecret = PolicyChange::AllowSecret;
  o.text("id", change.id, 64);
  int given = 0;
  given += field<Allow>(o, change, "allow", [&](Allow& allow) {
    Rule rule{allow.rule};
    o.object("allow", rule);
  });
  given += field<Deny>(o, change, "deny", [&](Deny& deny) { o.text("deny", deny.host, kName); });
  given +=
      field<AllowSecret>(o, change, "secret", [&](AllowSecret& secret) { o.text("secret", secret.fingerprint, 64); });
  given += field<LimitChange>(o, change, "limit", [&](LimitChange& limit) { o.object("limit", limit); });
  // With several in one request, the single answer could not say which of them failed.
  if (o.is_read() && given != 1) o.refuse("allow", "or deny, secret or limit is required, and only one of them");
}

}  // namespace bottle::wire
