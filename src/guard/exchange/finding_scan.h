// Looks for disguised secrets, and for credentials by their form, in what goes upstream of one request. Passes,
// replaces, refuses or reports them. It follows ValueScan, which inserts values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guard/connection/connection.h"
#include "guard/exchange/request.h"
#include "scan/message/stream.h"

namespace bottle::guard {

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

// Scans one request for disguised secrets and credentials. Records what passes with a warning.
class FindingScan {
 public:
  // All arguments must outlive this object and the streams that it makes. When it refuses something, it writes the
  // reason to `refusal`.
  FindingScan(Connection& c, const HostSecrets& secrets, const Request& request, ScanRefusal& refusal)
      : c_(c), secrets_(secrets), request_(request), refusal_(refusal) {}

  // Returns a stream for what has passed ValueScan::outgoing(). `codings` is the value of Content-Encoding. If the
  // stream blocks, call stopped(), which writes the reason to the refusal.
  scan::Stream stream(RequestPart place, Syntax syntax, std::string_view codings = {});
  // Adds the work of the time that has passed to the reserve. stream() calls it, too. Call it before a
  // stream gets more bytes, and before scan_parts().
  void add_work_for_time();
  void stopped(const scan::Stream& stream);
  // Call it when the stream has released bytes. Writes a record if the stream did not scan all of them.
  void passed(const scan::Stream& stream);
  // Returns false if the request must be refused.
  bool scan_parts(const std::vector<HeadPart>& parts);
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

 private:
  // Checks a text that is sent separately and may be one piece of a secret. Returns false if the request must be
  // refused.
  bool check_piece(RequestPart place, std::string_view name, std::string_view text);
  // Does the same for the parts of a Cookie header that assign no value. HTTP/2 may send each part in a separate
  // header.
  bool check_unnamed_cookies(std::string_view cookies);
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

  void mask_in_path(std::string_view target, size_t begin, size_t end);
  // `replaceable` says whether a marker can replace the finding, and `names_key` that it is in a text with the public
  // name of a key.
  scan::OnFinding judge(const scan::Finding& finding, RequestPart place, std::string_view header, bool replaceable,
                        bool names_key = false);
  scan::OnFinding note(const scan::Finding& finding, std::string_view code, const std::string& reason,
                       scan::OnFinding what);

  Connection& c_;
  const HostSecrets& secrets_;
  const Request& request_;
  ScanRefusal& refusal_;
  int noted_ = 0;
};

}  // namespace bottle::guard
