// Looks for secrets in one request and its answer. Inserts values, and passes, replaces, refuses or reports secrets.
// Outgoing data is scanned twice. First, outgoing() finds placeholders and values byte by byte, and inserts values.
// Then stream() finds secrets in any disguise, and credentials by their form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guard/connection/connection.h"
#include "guard/exchange/request.h"
#include "scan/known/filter.h"
#include "scan/message/stream.h"

namespace bottle::guard {

// Returns how a body of this Content-Type is written: `text` unless it is known to be JSON or a form.
Syntax syntax_of(std::string_view content_type);
std::string_view name_of(RequestPart place);  // for the operator, as in "the path"

// Says why a request is refused. No field contains a value.
struct Refusal {
  std::string reason;
  std::string secret;             // the name of a known one, or
  std::string rule, fingerprint;  // of a credential
};

// Names a text of a head. The texts of a head are scanned together.
struct HeadPart {
  RequestPart place;
  std::string_view name;  // of the header; empty for the method and the target
  std::string* text;      // redacting changes it, but never its length
  bool is_copy = false;   // the text leaves in another form, so no marker can replace a part of it
  // The text has the public name of a key, beside the place of the key itself. What looks like a credential in it is
  // only noted.
  bool names_key = false;
};

// Scans one request and its answer, and keeps the reason if either is refused. Records what passes with a warning.
class RequestScan {
 public:
  // All arguments must outlive this object and the filters that it makes.
  RequestScan(Connection& c, const HostSecrets& secrets, Request& request)
      : c_(c), secrets_(secrets), request_(request) {}

  // Returns a filter for outgoing data. If the filter stops, it has found something to refuse, and refusal() says why.
  scan::Filter outgoing(RequestPart place, Syntax syntax);
  // Returns a stream for what has passed outgoing(). `codings` is the value of Content-Encoding. If the stream
  // blocks, call stopped(); refusal() then says why.
  scan::Stream stream(RequestPart place, Syntax syntax, std::string_view codings = {});
  void stopped(const scan::Stream& stream);
  // Call it when the stream has released bytes. Writes a record if the stream did not scan all of them.
  void passed(const scan::Stream& stream);
  // Returns false if the request must be refused.
  bool scan_parts(const std::vector<HeadPart>& parts);
  // Checks a text that is sent separately and may be one piece of a secret. Returns false if the request must be
  // refused.
  bool check_piece(RequestPart place, std::string_view name, std::string_view text);
  // Does the same for the parts of a Cookie header that assign no value. HTTP/2 may send each part in a separate
  // header.
  bool check_crumbs(std::string_view cookies);
  // Says why bytes of a body or message leave: more of them came, it pauses, or it is complete.
  enum class Moment : uint8_t { flow, pause, end };
  // Checks the part of a decoded message that leaves now for pieces of a secret. In a message of at most kMostPieces
  // bytes, such pieces are its fields and parameters, or the text itself if it has none. In a longer one, they are the
  // last characters before a pause. `checked` keeps how much of the message was checked. Returns false if the request
  // must be refused.
  bool check_pieces(RequestPart place, const scan::Stream& stream, Moment moment, size_t& checked);
  // Does the same for the coded bytes of a body, because some programs ignore a coding.
  bool check_coded_pieces(std::string_view body, Moment moment, size_t& checked);
  static constexpr size_t kMostPieces = scan::Stream::kReach;
  // Returns a filter for incoming data.
  scan::Filter incoming();
  const Refusal& refusal() const { return refusal_; }
  // Returns how many values have been inserted so far.
  int inserted() const { return put_in_; }

  // Rewrites one whole text of the head. Returns false if the request must be refused.
  bool rewrite(RequestPart place, std::string_view header, Syntax syntax, std::string& text);
  bool rewrite_target(std::string& target);
  bool rewrite_header(std::string_view name, std::string& value);
  // Returns the texts between the placeholders that rewrite_header() replaces in this value, without spaces around
  // them. The credentials of "Basic …" are decoded if a placeholder is in them. Leaves out empty texts.
  std::vector<std::string> beside_values(std::string_view name, std::string_view value) const;
  // Checks the head or the trailers of an answer. Returns false if it must be refused, because it contains a value.
  bool check_answer(std::string_view text);

 private:
  scan::Verdict judge(const scan::Sight& sight, RequestPart place, std::string_view header, Syntax syntax);
  scan::Verdict refuse(const scan::Sight& sight, const SecretSighting& finding, RequestPart place,
                       std::string_view header);
  scan::Verdict judge_answer(const scan::Sight& sight);
  scan::Verdict swap_in(const scan::Sight& sight, const Secret& secret, RequestPart place, Syntax syntax);
  // Returns the verdict on a request that the setting `what` requires. `reason` is for the audit.
  scan::Verdict as_configured(const scan::Sight& sight, OnSecret what, const Secret& secret, std::string reason);
  void report_once(const SecretSighting& finding);
  // Describes the text so far of a message.
  struct ShortText {
    std::string_view name;  // for the text as a whole
    std::string_view text;
    size_t let_out;        // how many bytes of it leave now or have left
    bool is_settled;       // the text pauses or is complete
    std::string_view run;  // its last characters, if it pauses (Stream::last_run)
  };
  bool check_pieces(RequestPart place, const ShortText& part, size_t& checked);
  bool check_last_run(RequestPart place, std::string_view run);
  // Returns whether a request that cannot be scanned is refused.
  bool blocks_unreadable() const;
  void note_unreadable(const std::string& reason);
  // Decides about a request that was not fully scanned, for the reason `why`. Either refuses it and returns false, or
  // records that it leaves.
  bool may_leave_unscanned(std::string why);

  void star_path(std::string_view target, size_t begin, size_t end);
  // `replaceable` says whether a marker can replace the finding, and `names_key` that it is in a text with the public
  // name of a key.
  scan::OnFinding judge(const scan::Finding& finding, RequestPart place, std::string_view header, bool replaceable,
                        bool names_key = false);
  scan::OnFinding note(const scan::Finding& finding, std::string_view code, const std::string& reason,
                       scan::OnFinding what);

  Connection& c_;
  const HostSecrets& secrets_;
  Request& request_;
  int put_in_ = 0, noted_ = 0;
  Refusal refusal_;
};

}  // namespace bottle::guard
