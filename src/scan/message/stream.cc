// Each piece is scanned together with the last 4 KB before it, and all of it except the last 1 KB leaves. A finding
// may therefore begin in bytes that have left already. Then it is too late to replace these, but the rest can still
// be stopped, so that only a part of a secret has left. Where findings are replaced, pieces are first collected to a
// fixed size, because what a scan finds may depend on where the text is cut. docs/decisions/011 has the numbers.
//
// With codings, there are two streams of bytes. The decoded one is scanned in the window and dropped; the coded one
// is what leaves. Coded bytes wait until the bytes that they decode to have left the window, so nothing leaves before
// it was scanned.
#include "scan/message/stream.h"

#include <algorithm>
#include <utility>

namespace bottle::scan {
namespace {

constexpr size_t kMostFindings = 100, kMostWarnings = 50;  // that are kept for one message
constexpr size_t kMostScans = 3;                           // of one piece
constexpr uint64_t kFreelyDecoded = 64 << 20, kMostRatio = 200;
constexpr size_t kMostCoded = 2 << 20;  // coded bytes that wait until what they decode to is known
constexpr const char* kUnscanned = "it takes the guard too long to decode, or has too many findings";
constexpr const char* kEndsEarly = "the body ends before its content coding does";
constexpr size_t kShortestKnown = 8;  // no known secret is shorter
constexpr size_t kBeginning = 16;     // characters in a row that may be the beginning of a secret

bool of_token(char c) {
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
         std::string_view("+/-_=.%\\").find(c) != std::string_view::npos;
}

// Returns how near to the end of the text a finding may end so that more of it may follow: after ", 0x", in the next
// line of a dump, or in a line of a key whose beginning is too short to be recognized.
size_t reach(const Finding& finding) { return finding.encoding.empty() ? 64 : 256; }

// Returns whether an odd number of backslashes stands before `at`.
bool odd_backslashes(std::string_view text, size_t at) {
  size_t count = 0;
  while (count < at && text[at - 1 - count] == '\\') ++count;
  return count % 2 != 0;
}

}  // namespace

Stream::Stream(Catalog* catalog, OnFinding on_finding, std::string_view codings)
    : catalog_(catalog), on_finding_(on_finding) {
  auto decoder = ContentDecoder::make(codings);
  if (!decoder) problem_ = "the body has a content coding that the guard cannot read";
  else if (!decoder->plain()) decoder_ = std::move(decoder);
}

Stream::Stream(Catalog* catalog, OnFinding on_finding, std::string_view codings, Judge judge, MarkerStyle style)
    : Stream(catalog, on_finding, codings) {
  judge_ = std::move(judge);
  style_ = style;
}

bool Stream::feed(std::string_view bytes, std::string& out) {
  if (blocked_ || !problem_.empty()) return false;
  if (decoder_) {
    undecoded_.append(bytes);
    return decode(out);
  }
  while (!bytes.empty()) {
    size_t size = collects() ? kPiece - static_cast<size_t>((before_ + window_.size()) % kPiece) : kPiece;
    std::string_view next = bytes.substr(0, size);
    bytes.remove_prefix(next.size());
    if (!piece(next, Until::more, out)) return false;
  }
  return true;
}

bool Stream::release(std::string& out) {
  if (blocked_ || !problem_.empty()) return false;
  return decoder_ ? release_coded(Until::pause, out) : piece({}, Until::pause, out);
}

bool Stream::end(std::string& out) {
  if (blocked_ || !problem_.empty()) return false;
  return decoder_ ? release_coded(Until::end, out) : piece({}, Until::end, out);
}

// Scans the next bytes, and releases all that can no longer belong to a finding.
bool Stream::piece(std::string_view bytes, Until until, std::string& out) {
  if (until == Until::pause) return pause(out);
  window_.append(bytes);
  if (until == Until::more && collects() && (before_ + window_.size()) % kPiece != 0) return true;
  // Everything is judged before anything of this piece leaves.
  if (!scan_window(until == Until::end)) return false;
  size_t held = until == Until::end ? 0 : std::min(window_.size(), kHold);
  // A credential to be redacted waits from its beginning, because its marker has the length of the whole.
  let_out(std::min(window_.size() - held, unfinished_), out);
  if (window_.size() > kReach) {
    size_t drop = std::min({window_.size() - kReach, let_out_, unfinished_});
    window_.erase(0, drop);
    before_ += drop;
    let_out_ -= drop;
    if (unfinished_ != kNone) unfinished_ -= drop;
    // A finding that begins before the window cannot be found again, so it need not be remembered.
    while (!seen_.empty() && seen_.begin()->first < before_) seen_.erase(seen_.begin());
    marked_.erase(marked_.begin(), marked_.lower_bound(before_));
    std::erase_if(markers_, [&](const Finding& each) { return each.end <= before_; });
  }
  return true;
}

// Scans the window. If a scan stops because of too many findings, scans the window again without those that were
// redacted.
bool Stream::scan_window(bool at_end) {
  BlockResult result;
  size_t before = 0, scans = 0;
  scanned_ = before_ + window_.size();
  do {
    before = redacted_;
    result = detector().scan(window_);
    unfinished_ = kNone;
    begun_.clear();
    for (Finding& finding : result.findings)
      if (!take(std::move(finding), at_end)) return false;
    // The scan can find others now, because those that were replaced took room and may have hidden some beside them.
  } while (redacted_ > before && ++scans < kMostScans);
  return note_unscanned(result);
}

// Notes whether a limit has kept the scan from looking at everything. Returns false if that blocks the stream.
bool Stream::note_unscanned(const BlockResult& result) {
  if (!result.incomplete) return true;
  unscanned_ = kUnscanned;
  if (on_finding_ != OnFinding::block) return true;
  problem_ = std::string("the message cannot be scanned, because ") + kUnscanned;
  return false;
}

// Releases everything, because nothing may wait for text that may never arrive.
bool Stream::pause(std::string& out) {
  if (scanned_ < before_ + window_.size() && !scan_window(false)) return false;
  // Only token characters in a row can be the beginning of an encoded secret or a credential. A known secret can have
  // any characters.
  bool is_long = last_run().size() >= kBeginning;
  // An incomplete escape would look like other text, so it is left out.
  std::string_view text = std::string_view(window_).substr(0, end_of_whole(window_));
  BlockResult result = is_long ? detector().scan_begun(text) : detector().scan_begun_known(text);
  for (Finding& finding : result.findings)
    if (!take(std::move(finding), false)) return false;
  if (!note_unscanned(result)) return false;
  if (begun_.empty()) let_out(window_.size(), out);
  else let_out_begun(text.size(), out);
  return true;
}

// Releases what is held back, even though findings wait for their end. Markers replace the parts of them that have
// arrived. `whole` is the end of the last whole escape.
void Stream::let_out_begun(size_t whole, std::string& out) {
  constexpr size_t kSeparator = 16;  // the most bytes that are usual between encoded bytes
  std::string text = window_;        // the window itself does not change, so that the rest of a finding is recognized
  size_t last = 0;
  for (const Finding& each : begun_) {
    auto begin = static_cast<size_t>(each.begin - before_), end = static_cast<size_t>(each.end - before_);
    end = std::min(end, whole);
    bool goes_on = whole - end < (each.encoding.empty() ? 1 : kSeparator);
    if (scan::redact(text, {begin, end, let_out_, marked_.contains(each.begin), goes_on}, each, style_))
      marked_.insert(each.begin);
    last = std::max(last, end);
  }
  // A part of an escape that may belong to a finding waits for its end.
  size_t end = last == whole ? whole : text.size();
  if (end <= let_out_) return;
  out.append(text, let_out_, end - let_out_);
  let_out_ = end;
}

std::string_view Stream::last_run() const {
  size_t begin = window_.size();
  while (begin > 0 && of_token(window_[begin - 1])) --begin;
  return std::string_view(window_).substr(begin);
}

std::optional<std::string_view> Stream::short_text() const {
  if (before_ > 0 || window_.size() > kReach) return std::nullopt;
  return window_;
}

// Scans coded bytes as they are. A secret can be in bytes that a decoder skips, such as the comment of a gzip header.
// Returns false if one does, unless the judge lets it pass.
bool Stream::scan_coded(std::string_view bytes) {
  coded_tail_.append(bytes);
  BlockResult result = detector().scan_plain(coded_tail_);
  for (Finding& finding : result.findings) {
    OnFinding what = judge_ ? judge_(finding) : finding.warns() ? OnFinding::report : on_finding_;
    if (what == OnFinding::report || finding.warns()) continue;
    keep(std::move(finding));
    blocked_ = true;
    return false;
  }
  coded_tail_.erase(0, coded_tail_.size() - std::min(coded_tail_.size(), kHold));
  return note_unscanned(result);
}

// Decodes and scans the coded bytes that wait, and passes them on unchanged. A piece of them is released when all that
// it decodes to has left the window.
bool Stream::decode(std::string& out) {
  std::string decoded, ignored;
  uint64_t begun = decoder_->moved();
  while (!undecoded_.empty() && decoder_->moved() - begun < kDecoded) {
    if (current_ == 0) {
      current_ = std::min(undecoded_.size(), kPiece);
      coded_bytes_ += current_;
      if (!scan_coded(std::string_view(undecoded_).substr(0, current_))) return false;
    }
    std::string_view rest = std::string_view(undecoded_).substr(taken_, current_ - taken_);
    decoded.clear();
    auto step = decoder_->next(rest, decoded);
    if (step == ContentDecoder::Step::wrong) {
      problem_ = "the body is not what its content coding says";
      return false;
    }
    taken_ = current_ - rest.size();
    decoded_bytes_ += decoded.size();
    if (decoded_bytes_ > kFreelyDecoded && decoded_bytes_ / kMostRatio > coded_bytes_) {
      problem_ = "the body decodes to more than the guard scans";
      return false;
    }
    if (!piece(decoded, Until::more, ignored)) return false;
    ignored.clear();
    if (step == ContentDecoder::Step::more) continue;
    // The piece is decoded to its end, and waits until what it decodes to has left the window.
    coded_.append(undecoded_, 0, current_);
    undecoded_.erase(0, current_);
    current_ = taken_ = 0;
    note_decoded();
    let_out_coded(out);
    if (coded_.size() - coded_let_out_ > kMostCoded) {
      problem_ = "the body cannot be decoded piece by piece";
      return false;
    }
  }
  return true;
}

// Notes how far the coded bytes have been decoded. A decoder may keep its last input until a block of it is whole.
void Stream::note_decoded() {
  size_t kept = decoder_->most_kept();
  if (kept >= coded_bytes_) return;
  Decoded now{coded_bytes_ - kept, decoded_bytes_};
  // What the decoder may have kept is only a bound, and what was decoded stays so.
  if (!progress_.empty()) now.coded = std::max(now.coded, progress_.back().coded);
  if (!progress_.empty() && progress_.back().decoded == now.decoded) progress_.back().coded = now.coded;
  else progress_.push_back(now);
}

// Releases the coded bytes of which everything that they decode to was let out of the window.
void Stream::let_out_coded(std::string& out) {
  uint64_t end = 0;
  for (; !progress_.empty() && progress_.front().decoded <= before_ + let_out_; progress_.pop_front())
    end = progress_.front().coded;
  // `coded_` ends where the last piece that was decoded does.
  uint64_t begin = coded_bytes_ - current_ - (coded_.size() - coded_let_out_);
  if (end <= begin) return;
  out.append(coded_, coded_let_out_, static_cast<size_t>(end - begin));
  coded_let_out_ += static_cast<size_t>(end - begin);
  // Moving the rest for each small piece would take quadratic time.
  if (coded_let_out_ * 2 < coded_.size()) return;
  coded_.erase(0, coded_let_out_);
  coded_let_out_ = 0;
}

// Releases the coded bytes that decode to what may pass. Those that wait are decoded only at the end. In a pause, a
// block that is not whole yet stays: nothing is known of what it decodes to, and its receiver cannot decode it either.
bool Stream::release_coded(Until until, std::string& out) {
  std::string ignored;
  while (until == Until::end && behind())
    if (!decode(out)) return false;
  if (!piece({}, until, ignored)) return false;
  // The decoder may keep what it got of the last block, and another decoder may be able to read it.
  if (until == Until::end && !decoder_->complete()) {
    unscanned_ = kEndsEarly;
    if (on_finding_ != OnFinding::report) {
      problem_ = kEndsEarly;
      return false;
    }
  }
  let_out_coded(out);
  if (until != Until::end) return true;
  out.append(coded_, coded_let_out_);
  coded_.clear();
  coded_let_out_ = 0;
  return true;
}

// Returns false if the finding blocks the stream.
bool Stream::take(Finding finding, bool at_end) {
  size_t begin = finding.begin, end = finding.end;
  finding.begin += before_;
  finding.end += before_;
  // The window overlaps with the one before, so most findings in the overlap come twice.
  if (seen_.contains({finding.begin, finding.name})) return true;
  // If the policy blocks every finding, the position in an escape does not matter, because any reading of the text
  // counts.
  bool splits_escape = odd_backslashes(window_, begin) || odd_backslashes(window_, end);
  bool only_seems = style_ == MarkerStyle::json && on_finding_ != OnFinding::block && splits_escape;
  if (only_seems && !finding.rule && finding.encoding.empty()) return true;
  OnFinding what = judge_ ? judge_(finding) : finding.warns() ? OnFinding::report : on_finding_;
  // A marker cannot be put into coded bytes.
  if (what == OnFinding::redact && decoder_) what = OnFinding::block;
  if (what == OnFinding::redact && !leave_markers(finding)) return true;
  begin = static_cast<size_t>(finding.begin - before_), end = static_cast<size_t>(finding.end - before_);
  // The window may end before the finding does.
  bool at_limit = end >= end_of_whole(window_) || window_.size() - end < reach(finding);
  bool goes_on = at_limit && !at_end && end - begin < kPiece;
  if (what == OnFinding::redact && goes_on) {
    bool known = std::ranges::any_of(begun_, [&](const Finding& other) {
      return other.begin < finding.end && finding.begin < other.end && hides(other, finding);
    });
    if (known) return true;
    unfinished_ = std::min(unfinished_, begin);
    begun_.push_back(std::move(finding));
    return true;
  }
  seen_.emplace(finding.begin, finding.name);
  // Only bytes that have not been released can be replaced.
  if (what == OnFinding::redact && end > let_out_) {
    scan::redact(window_, {begin, end, let_out_, marked_.contains(finding.begin), false}, finding, style_);
    markers_.push_back(finding);
    ++redacted_;
  }
  keep(std::move(finding));
  blocked_ = what == OnFinding::block;
  return !blocked_;
}

// Cuts markers off both ends of the finding, because a marker may look like a credential itself. Returns false if
// nothing else is left.
bool Stream::leave_markers(Finding& finding) const {
  uint64_t begin = finding.begin, end = finding.end;
  bool hidden = false;
  for (const Finding& each : markers_) {
    if (finding.begin >= each.end || finding.end <= each.begin) continue;
    hidden |= hides(each, finding);
    if (each.begin <= begin) begin = std::max(begin, each.end);
    if (each.end >= end) end = std::min(end, each.begin);
  }
  // Text beside the marker of a more exact finding is the rest of the same value, unless it is long enough to be a
  // value itself.
  size_t shortest = !hidden ? 1 : finding.rule ? kBeginning : kShortestKnown;
  if (begin + shortest > end) return false;
  finding.is_base64 &= begin == finding.begin;
  finding.begin = begin, finding.end = end;
  return true;
}

// Warnings must leave room for findings that block.
void Stream::keep(Finding finding) {
  bool warns = finding.warns();
  if (findings_.size() >= kMostFindings || (warns && warnings_ >= kMostWarnings)) return;
  warnings_ += warns;
  findings_.push_back(std::move(finding));
}

void Stream::let_out(size_t end, std::string& out) {
  if (end <= let_out_) return;
  out.append(window_, let_out_, end - let_out_);
  let_out_ = end;
}

size_t Stream::memory() const {
  return window_.capacity() + undecoded_.capacity() + coded_.capacity() + coded_tail_.capacity() +
         (decoder_ ? decoder_->memory() : 0) + findings_.size() * sizeof(Finding);
}

}  // namespace bottle::scan
