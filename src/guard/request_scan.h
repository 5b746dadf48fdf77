// This file looks for secrets in one request and its answer. It puts in values, and lets secrets pass, replaces,
// refuses or reports them.
#pragma once

#include <string>
#include <string_view>

#include "guard/connection.h"
#include "guard/request.h"
#include "scan/known/filter.h"

namespace bottle::guard {

Syntax syntax_of(std::string_view content_type);

class RequestScan {
 public:
  // All arguments must outlive this object and the filters that it makes.
  RequestScan(Connection& c, const HostSecrets& secrets, Request& request)
      : c_(c), secrets_(secrets), request_(request) {}

  // Returns a filter for outgoing data. If the filter stops, it has found something to refuse, and refusal() says why.
  scan::Filter outgoing(Place place, Syntax syntax);
  // Returns a filter for incoming data.
  scan::Filter incoming();
  const std::string& refusal() const { return refusal_; }
  // Returns how many values have been put in so far.
  int put_in() const { return put_in_; }

  // Rewrites one whole text of the head. Returns false if the request must be refused.
  bool rewrite(Place place, std::string_view header, Syntax syntax, std::string& text);
  bool rewrite_target(std::string& target);
  bool rewrite_header(std::string_view name, std::string& value);
  // Does the same for the head of an answer.
  bool rewrite_answer(std::string& head);

 private:
  scan::Verdict judge(const scan::Sight& sight, Place place, std::string_view header, Syntax syntax);
  scan::Verdict refuse(const scan::Sight& sight, const Finding& finding, Place place, std::string_view header);
  scan::Verdict judge_answer(const scan::Sight& sight);
  scan::Verdict swap_in(const scan::Sight& sight, const Secret& secret, Syntax syntax);
  // Returns what egress.on_secret demands. `code` and `reason` are for the audit.
  scan::Verdict as_configured(const scan::Sight& sight, std::string_view code, std::string reason);
  void report_once(const Finding& finding);

  Connection& c_;
  const HostSecrets& secrets_;
  Request& request_;
  int put_in_ = 0;
  std::string refusal_;
};

}  // namespace bottle::guard
