// Looks through a message as it streams by, and lets out what holds no secret. docs/decisions/010 explains how a secret
// that is cut in two by the end of a piece is still found, and what bounds the memory. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scan/content_decoder.h"
#include "scan/detector.h"

namespace bottle::scan {

enum class OnFinding : uint8_t {
  block,   // the stream ends before the finding
  redact,  // a marker of the same length takes its place; blocks where that cannot be, as in compressed bytes
  report,  // all passes
};

class Stream {
 public:
  // The catalog must outlive it. `codings`: the value of Content-Encoding, or empty. One that ContentDecoder does not
  // know blocks at the first byte.
  Stream(Catalog* catalog, OnFinding on_finding, std::string_view codings = {});

  // Takes the next bytes of the message, and appends to `out` those that may go on. False: a finding blocks, and the
  // stream is over.
  bool feed(std::string_view bytes, std::string& out);
  // For a pause in the message: lets out what is held back, except the beginning of what may be a secret.
  bool release(std::string& out);
  // The message is complete: lets out the rest.
  bool end(std::string& out);

  bool holds() const { return window_.size() > let_out_ || !coded_.empty(); }
  // All so far, once each, with offsets in the message (with codings: in the decoded message).
  const std::vector<Finding>& findings() const { return findings_; }
  // Why the stream blocks, where that is no finding; empty otherwise.
  const std::string& problem() const { return problem_; }
  // Bytes that it holds, about.
  size_t memory() const;

  static constexpr size_t kHold = 1024;        // bytes that wait for the next ones
  static constexpr size_t kReach = 4096;       // bytes of the message that stay known, with those that wait
  static constexpr size_t kPiece = 32 * 1024;  // bytes that are looked at once

 private:
  enum class Until { more, pause, end };
  bool piece(std::string_view bytes, Until until, std::string& out);
  bool coded(std::string_view bytes, Until until, std::string& out);
  bool take(Finding finding, bool at_end);
  void let_out(size_t end, std::string& out);
  size_t open_from(Until until) const;

  Catalog* catalog_;
  OnFinding on_finding_;
  std::string window_;                               // the last bytes of the message
  size_t let_out_ = 0;                               // of the window
  uint64_t before_ = 0;                              // bytes of the message before the window
  std::set<std::pair<uint64_t, std::string>> seen_;  // findings in the window
  std::vector<Finding> findings_;
  std::string problem_;
  bool blocked_ = false;

  std::optional<ContentDecoder> decoder_;
  std::string coded_;  // bytes whose decoded form has not been let out
  uint64_t coded_bytes_ = 0, decoded_bytes_ = 0;
};

// `[redacted: NAME]`, cut or filled with '*' to `size` bytes: the same each time for the same finding, and valid within
// a string of JSON.
std::string redaction(std::string_view name, size_t size);

}  // namespace bottle::scan
