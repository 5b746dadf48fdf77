// Lists the fields of the requests that clients send to a supervisor. A rule in a request uses the fields of the
// manifest's rules that `bottle allow` can set, and no others.
#include "wire/request.h"

namespace bottle::wire {

void fields(Object& o, Attach& attach) {
  if (o.optional("session", !attach.session.empty())) o.text("session", attach.session, kName);
  o.number("from", attach.from);
  if (o.optional("id", !attach.id.empty())) o.text("id", attach.id, kName);
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
  if (o.optional("host", !change.host.empty())) o.text("host", change.host, kName);
  o.number("requests", change.requests);
  o.number("bytes_up", change.bytes_up);
  o.number("names", change.names);
  o.number("tokens", change.tokens);
  o.number("cost", change.cost);
}

void fields(Object& o, PolicyChange& change) {
  o.text("id", change.id, 64);
  if (o.optional("allow", change.allow.has_value())) {
    Rule rule{change.allow ? *change.allow : change.allow.emplace()};
    o.object("allow", rule);
  }
  o.text("deny", change.deny, kName);
  o.text("secret", change.secret, 64);
  o.object("limit", change.limit);
  int given = change.allow.has_value() + change.deny.has_value() + change.secret.has_value() + change.limit.has_value();
  // With several in one request, the single answer could not say which of them failed.
  if (o.is_read() && given != 1) o.refuse("allow", "or deny, secret or limit is required, and only one of them");
}

}  // namespace bottle::wire
