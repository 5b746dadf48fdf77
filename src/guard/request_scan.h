// Looks for secrets in what goes out with one request and in what comes back: puts in values, lets through, replaces,
// refuses, and reports.
#pragma once

#include <string>
#include <string_view>

#include "guard/connection.h"
#include "guard/request.h"
#include "scan/filter.h"

namespace bottle::guard {

Syntax syntax_of(std::string_view content_type);

class RequestScan {
 public:
  // All must outlive it, and the filters that it makes.
  RequestScan(Connection& c, const HostSecrets& secrets, Request& request)
      : c_(c), secrets_(secrets), request_(request) {}

  // For what goes out. A filter that stops has found what is to be refused: refusal() says why.
  scan::Filter outgoing(Place place, Syntax syntax);
  // For what comes back.
  scan::Filter incoming();
  const std::string& refusal() const { return refusal_; }
  // How many values were put in so far.
  int put_in() const { return put_in_; }

  // Rewrites one whole text of the head. False: refuse the request.
  bool rewrite(Place place, std::string_view header, Syntax syntax, std::string& text);
  bool rewrite_target(std::string& target);
  bool rewrite_header(std::string_view name, std::string& value);
  // The same for the head of an answer.
  bool rewrite_answer(std::string& head);

 private:
  scan::Verdict judge(const scan::Sight& sight, Place place, std::string_view header, Syntax syntax);
  scan::Verdict refuse(const scan::Sight& sight, const Finding& finding, Place place, std::string_view header);
  scan::Verdict judge_answer(const scan::Sight& sight);
  scan::Verdict swap_in(const scan::Sight& sight, const Secret& secret, Syntax syntax);
  // As egress.on_secret says; `code` and `reason` for the audit.
  scan::Verdict as_configured(const scan::Sight& sight, std::string_view code, std::string reason);
  void report_once(const Finding& finding);

  Connection& c_;
  const HostSecrets& secrets_;
  Request& request_;
  int put_in_ = 0;
  std::string refusal_;
};

}  // namespace bottle::guard
