// Holds what the guard looks for in outgoing data besides placeholders: known secrets in every disguise, and
// credentials by their form (src/scan). Each configuration has one scanner.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "guard/core/secrets.h"
#include "scan/message/session.h"

namespace bottle::guard {

// Belongs to a compiled configuration. The catalog says what a scan::Stream or scan::Detector looks for. Do not use
// catalog or session after the configuration is gone.
class Scanner {
 public:
  // `wanted.known` are secrets that the guard never inserts, and `wanted.egress.allowed_secrets` are fingerprints of
  // credentials that may leave. Fails with Code::invalid if one of these, or one of the operator's rules, is not
  // valid.
  static Result<std::unique_ptr<Scanner>> make(const Secrets& secrets, const wire::GuardConfig& wanted);

  // Returns what to look for. It is not constant, because matching needs its working memory.
  scan::Catalog& catalog() { return catalog_; }
  // Adds kWorkPerMs to the reserve of work for each millisecond since the last call. `now` is the loop's time.
  void add_work_until(int64_t now);
  // Returns whether the text contains a known secret, even in disguise or without its capitals.
  bool has_known(std::string_view text);
  // Returns the text with asterisks in place of all secrets and credentials. If a part of the text could not be
  // scanned, all of it becomes asterisks.
  std::string masked(std::string text);
  // Returns the memory of short texts that were sent, which serves to find a secret that is sent in parts. Each new
  // configuration starts with an empty memory.
  scan::Session& session() { return session_; }
  // Returns whether a header with this name and value was passed to this function before, and remembers it.
  bool repeats(std::string_view name, std::string_view value);

 private:
  explicit Scanner(scan::Catalog catalog) : catalog_(std::move(catalog)), session_(&catalog_) {}

  // About a twentieth of a processor, so that the reserve does not stay empty in a session of many hours.
  static constexpr size_t kWorkPerMs = 64 * 1024;
  scan::Catalog catalog_;
  int64_t filled_ = 0;  // when the reserve was last added to
  scan::Session session_;
  std::set<std::string, std::less<>> headers_;  // name and value of each
};

}  // namespace bottle::guard
