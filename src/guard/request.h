// One request's head: what is asked, whether it may go, and the head that goes on in its place.
#pragma once

#include <string>

#include "guard/connection.h"
#include "guard/protocol/body.h"

namespace bottle::guard {

// What text is written in, and so what may take the place of a part of it.
enum class Syntax : uint8_t { text, token, json, form };

struct Request {
  std::string method, target;  // origin form; the path as it was judged
  bool restricted = false;     // the rules for the host name methods or paths
  std::string removed;         // headers that do not go on, for the record: those that ask for another method or path,
                               // and credentials of the agent's own
  Body body;
  Syntax syntax = Syntax::text;  // of the body
  bool grows = false;            // values are put in the body, so that its length is not known before its end
  bool keep = true;              // the client may send another
  bool expects_continue = false;
  std::string upgrade;  // the protocol that the client asks to switch to; empty: none
  bool framed = false;  // after an upgrade, only WebSocket frames without extensions pass, and are looked through
  int minor = 1;
  bool warned = false;  // of a secret that went on nevertheless
};

struct Verdict {
  bool allowed = false;
  int status = 403;
  std::string_view code;
  std::string reason;
};

// Reads the head at the front of `c.client.in` (already known to be complete: `head`), decides on it, and writes the
// head for the upstream, secrets swapped in, to `out`; what says how the body is framed, and the end of the head, are
// left to append_framing(). Sets c.host and c.port for absolute-form requests. Audits warnings itself.
Verdict prepare_request(Connection& c, const Head& head, Request& request, std::string& out);

// Whether requests to where the connection leads go to a parent proxy in absolute form.
bool asks_parent(const Connection& c);

// Ends the head: a body of `length` bytes, or in chunks, or none.
enum class Framing : uint8_t { none, length, chunked };
void append_framing(Framing framing, uint64_t length, std::string& out);

// Headers that speak of one connection only, and those that a forwarder writes itself.
bool hop_by_hop(std::string_view name);
// Whether a trailer of that name goes on: none that frames, routes, signs in or changes how the body is read
// (RFC 9110 §6.5.1).
bool may_be_trailer(std::string_view name);

}  // namespace bottle::guard
