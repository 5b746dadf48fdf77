// Looks for the values and placeholders of secrets in one request and its answer, whose exact bytes are known. Inserts
// values, and passes, replaces, refuses or reports secrets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guard/connection/connection.h"
#include "guard/exchange/request.h"
#include "scan/known/filter.h"

namespace bottle::guard {

// Scans one request and its answer for values and placeholders. Records what passes with a warning.
class ValueScan {
 public:
  // All arguments must outlive this object and the filters that it makes. When it refuses something, it writes the
  // reason to `refusal`.
  ValueScan(Connection& c, const HostSecrets& secrets, Request& request, ScanRefusal& refusal)
      : c_(c), secrets_(secrets), request_(request), refusal_(refusal) {}

  // Returns a filter for outgoing data. If the filter stops, it has found something to refuse.
  scan::Filter outgoing(RequestPart place, Syntax syntax);
  // Returns a filter for incoming data.
  scan::Filter incoming();
  // Returns how many values have been inserted so far.
  int inserted() const { return inserted_; }

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
  scan::Verdict stop(const Secret& secret, std::string reason);
  void report_once(const SecretSighting& finding);

  Connection& c_;
  const HostSecrets& secrets_;
  Request& request_;
  ScanRefusal& refusal_;
  int inserted_ = 0;
};

}  // namespace bottle::guard
