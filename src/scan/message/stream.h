// Scans a message as it streams by, and releases the parts that contain no secret. docs/decisions/011
// explains how it finds a secret that is split between two pieces, and what bounds the memory. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scan/content/content_decoder.h"
#include "scan/detector.h"
#include "scan/message/redact.h"

namespace bottle::scan {

// Says what happens to a finding in a stream.
enum class OnFinding : uint8_t {
  block,   // the stream ends before the finding
  redact,  // a marker of the same length replaces it; blocks if that is impossible, as in compressed bytes
  report,  // everything passes
};

// Scans one message, whatever the pieces in which it arrives. Keeps only the window, the coded bytes and the
// findings.
class Stream {
 public:
  // The catalog must outlive the stream. `codings` is the value of Content-Encoding, or empty. If ContentDecoder does
  // not support a coding, the first byte blocks the message.
  Stream(Catalog* catalog, OnFinding on_finding, std::string_view codings = {});
  // `judge` decides about each finding, including those that only warn. It may be called again for a finding that
  // continues beyond the bytes so far. `on_finding` decides about what cannot be scanned.
  using Judge = std::function<OnFinding(const Finding&)>;
  Stream(Catalog* catalog, OnFinding on_finding, std::string_view codings, Judge judge,
         MarkerStyle style = MarkerStyle::text);

  // Takes the next bytes of the message, and appends to `out` those that may pass. Returns false if a finding blocks
  // the message; the stream is then over. For a message with codings, its decoders take and append at most about
  // kDecoded bytes in one call.
  bool feed(std::string_view bytes, std::string& out);
  // Returns whether feed() has not yet scanned all bytes. Then call it again without bytes before you feed more. This
  // bounds how long other streams wait for one call.
  bool behind() const { return !undecoded_.empty(); }
  // Returns whether the message has codings.
  bool decodes() const { return decoder_.has_value(); }
  // Releases everything that is held back, because the message pauses. First judges what has begun: a credential to
  // be redacted whose end has not arrived, and a secret of which more than half has arrived. Returns false if the
  // message must be blocked.
  bool release(std::string& out);
  // Returns the token characters at the end of the message so far, at most kReach. They may be a piece of a secret
  // that the agent sends with pauses.
  std::string_view last_run() const;
  // Returns the message so far, decoded, or nullopt if it has more than kReach bytes.
  std::optional<std::string_view> short_text() const;
  // Returns how many bytes of that text were released, or may be once more coded bytes arrive.
  size_t let_out() const { return let_out_; }
  // Releases the rest, because the message is complete. Scans all that feed() has not scanned yet.
  bool end(std::string& out);

  // Returns whether release() would let bytes out.
  bool holds() const { return window_.size() > let_out_ || !progress_.empty(); }
  // Returns the first findings so far, each once, with offsets in the message (with codings, in the decoded message).
  // At most half of them are warnings, so warnings cannot crowd out a finding that blocks.
  const std::vector<Finding>& findings() const { return findings_; }
  // Returns why the stream blocks if the reason is not a finding, and otherwise an empty string.
  const std::string& problem() const { return problem_; }
  // Returns why not all of the message was scanned, or an empty string. With OnFinding::block, that is a problem.
  std::string_view unscanned() const { return unscanned_; }
  // Returns approximately how many bytes the stream holds.
  size_t memory() const;

  static constexpr size_t kHold = 1024;        // bytes that wait for the next ones
  static constexpr size_t kReach = 4096;       // bytes of the message that are kept, including those that wait
  static constexpr size_t kPiece = 32 * 1024;  // bytes that are scanned in one step
  static constexpr size_t kDecoded = 256 * 1024;

 private:
  static constexpr size_t kNone = SIZE_MAX;
  enum class Until { more, pause, end };
  // Returns whether pieces are collected until they have kPiece bytes. What a scan finds may depend on where the text
  // is cut, but the same message must always get the same markers, however it arrives.
  bool collects() const { return on_finding_ != OnFinding::block && !decoder_; }
  // Where nothing is refused, what a scan leaves out would pass.
  Detector detector() const {
    return Detector(catalog_, on_finding_ == OnFinding::block ? Effort::bounded : Effort::thorough);
  }
  bool piece(std::string_view bytes, Until until, std::string& out);
  bool decode(std::string& out);
  void note_decoded();
  void let_out_coded(std::string& out);
  bool release_coded(Until until, std::string& out);
  bool scan_coded(std::string_view bytes);
  bool scan_window(bool at_end);
  bool take(Finding finding, bool at_end);
  bool leave_markers(Finding& finding) const;
  bool note_unscanned(const BlockResult& result);
  void keep(Finding finding);
  void let_out(size_t end, std::string& out);
  bool pause(std::string& out);
  void let_out_begun(size_t whole, std::string& out);

  Catalog* catalog_;
  OnFinding on_finding_;
  Judge judge_;
  MarkerStyle style_ = MarkerStyle::text;
  std::string window_;          // the last bytes of the message
  size_t let_out_ = 0;          // the number of released bytes of the window
  size_t unfinished_ = kNone;   // where, in the window, the findings begin that wait for their ends to be redacted
  std::vector<Finding> begun_;  // these findings
  std::set<uint64_t> marked_;   // where, in the message, the findings begin whose markers a pause has released
  uint64_t before_ = 0;         // the number of bytes of the message before the window
  uint64_t scanned_ = 0;        // the number of bytes of the message that were scanned
  std::set<std::pair<uint64_t, std::string>> seen_;  // findings in the window
  std::vector<Finding> markers_;                     // the findings in the window that markers have replaced
  std::vector<Finding> findings_;
  std::string problem_;
  std::string_view unscanned_;
  size_t redacted_ = 0;  // the number of findings that were replaced
  size_t warnings_ = 0;  // the number of kept findings that only warn
  bool blocked_ = false;

  std::optional<ContentDecoder> decoder_;
  std::string undecoded_;     // coded bytes that wait
  size_t current_ = 0;        // of these, the piece that is being decoded, or 0
  size_t taken_ = 0;          // of the piece, the bytes that the decoder has taken
  std::string coded_;         // coded bytes whose decoded form has not been released
  size_t coded_let_out_ = 0;  // of these, the number at the beginning that were released
  // How much of the coded message has been decoded to how much, for what has not been released.
  struct Decoded {
    uint64_t coded, decoded;
  };
  std::deque<Decoded> progress_;
  std::string coded_tail_;  // the last kHold of the coded bytes
  uint64_t coded_bytes_ = 0, decoded_bytes_ = 0;
};

}  // namespace bottle::scan
