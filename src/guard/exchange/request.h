// Handles the head of one request: parses it, decides whether it is allowed, and writes the head that goes upstream
// in its place.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "guard/budget/budget.h"
#include "guard/connection/connection.h"
#include "guard/core/client_error.h"
#include "http/body.h"

namespace bottle::guard {

// Names the syntax of a text, which decides what may replace a part of it.
enum class Syntax : uint8_t { text, token, json, form };

// Returns how a body of this Content-Type is written: `text` unless it is known to be JSON or a form.
Syntax syntax_of(std::string_view content_type);

// Says why a scan refuses a request or its answer. No field contains a value.
struct ScanRefusal {
  std::string reason;
  Found found = {};
};

// Holds a request as prepare_request() parsed it. The coroutine that serves the client owns it until the exchange is
// over.
struct Request {
  std::string method, target;  // in origin form, with the path as it was judged
  bool restricted = false;     // the host's rules have methods or paths
  bool closes = false;         // it tells an HTTP/1.1 server to close the connection after its answer (request.cc)
  std::string removed;  // dropped headers, for the record: those that ask for another method or path or for a part of
                        // the answer, and the agent's own credentials
  http::Body body;
  // Says what the body contains, and how it is passed on.
  struct Content {
    Syntax syntax = Syntax::text;
    std::string codings;         // as in Content-Encoding
    bool decodes = false;        // it is passed on without its codings, so that a marker can replace a secret in it
    bool grows = false;          // the guard inserts values, so its length is unknown before its end
    std::string barred_by = {};  // the header with a credential of the agent's, which no inserted value may accompany
  } content;
  // Holds what the client said about its connection.
  struct Client {
    int minor = 1;     // of its HTTP/1 version
    bool keep = true;  // it may send another request
    bool expects_continue = false;
  } client;
  // Says what becomes of the client's Upgrade header.
  struct Upgrade {
    std::string protocol;  // the protocol that the client asks to switch to, or empty
    bool framed = false;   // afterward, only WebSocket frames without extensions pass, and they are scanned
  } upgrade;
  Budget::Account* account = nullptr;  // of the host; null until the request is allowed
  std::set<std::string> warned;        // the names of the secrets that passed anyway and were recorded

  // Returns a line for the record about this request, which borrows its texts.
  AuditLine line(Action action, std::string_view code, std::string_view reason) const {
    return {.action = action, .kind = Kind::http, .method = method, .path = target, .code = code, .reason = reason};
  }
  // Returns the line about an answer of the guard itself, which borrows from `error`, too.
  AuditLine line(const ClientError& error) const {
    AuditLine failure = line(error.action(), error.code, error.reason);
    failure.lacks = error.lacks;
    return failure;
  }
  // Returns the line about its refusal, which borrows from `refused`, too.
  AuditLine line(const Refused& refused) const {
    AuditLine denial = line(Action::deny, refused.code, refused.reason);
    denial.lacks = refused.lacks;
    denial.secret = refused.found.secret;
    denial.rule = refused.found.rule;
    denial.fingerprint = refused.found.fingerprint;
    return denial;
  }
};

// Reads the complete head `head` at the front of `c.client.in` and decides on it. Returns nothing if the request is
// allowed, and then writes the head for the upstream to `out`, with secrets swapped in. append_framing() adds the
// framing of the body and the end of the head. Sets c.host and c.port for absolute-form requests. Records warnings
// itself.
std::optional<Refused> prepare_request(Connection& c, const http::Head& head, Request& request, std::string& out);

// Returns whether requests to the connection's destination go to a parent proxy in absolute form.
bool asks_parent(const Connection& c);

// Ends the head of a message, for a body of `length` bytes, a chunked body or no body.
enum class Framing : uint8_t { none, length, chunked };
void append_framing(Framing framing, uint64_t length, std::string& out);

// Returns whether the guard itself writes a header of this name for a secret, so that the client's does not pass. A
// gateway makes the same variable of both spellings if they differ in "_" or "-" (policy/header_name.h).
bool replaces_header(const HostSecrets& secrets, std::string_view name);
// Returns whether a header applies to one connection only or is one that a forwarder writes itself.
bool hop_by_hop(std::string_view name);
// Returns whether a trailer of that name passes. Trailers that frame, route, sign in or change how the body is read do
// not (RFC 9110 §6.5.1).
bool may_be_trailer(std::string_view name);

}  // namespace bottle::guard
