#include "scan/stream.h"

#include <algorithm>

namespace bottle::scan {
namespace {

constexpr size_t kMostFindings = 100;  // that are kept for one message
constexpr uint64_t kFreelyDecoded = 64 << 20, kMostRatio = 200;
constexpr size_t kBeginning = 16;  // characters in a row that may be the beginning of a secret

bool of_token(char c) {
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
         std::string_view("+/-_=.%\\").find(c) != std::string_view::npos;
}

}  // namespace

std::string redaction(std::string_view name, size_t size) {
  std::string text = "[redacted: " + std::string(name) + "]";
  if (text.size() > size) text = std::string(size, '*');
  text.resize(size, '*');
  return text;
}

Stream::Stream(Catalog* catalog, OnFinding on_finding, std::string_view codings)
    : catalog_(catalog), on_finding_(on_finding) {
  auto decoder = ContentDecoder::make(codings);
  if (!decoder) problem_ = "the body has a content coding that the guard cannot read";
  else if (!decoder->plain()) decoder_ = std::move(decoder);
}

bool Stream::feed(std::string_view bytes, std::string& out) {
  if (blocked_ || !problem_.empty()) return false;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
    std::string_view next = bytes.substr(0, kPiece);
    if (decoder_ ? !coded(next, Until::more, out) : !piece(next, Until::more, out)) return false;
  }
  return true;
}

bool Stream::release(std::string& out) {
  if (blocked_ || !problem_.empty()) return false;
  return decoder_ ? coded({}, Until::pause, out) : piece({}, Until::pause, out);
}

bool Stream::end(std::string& out) {
  if (blocked_ || !problem_.empty()) return false;
  return decoder_ ? coded({}, Until::end, out) : piece({}, Until::end, out);
}

bool Stream::piece(std::string_view bytes, Until until, std::string& out) {
  window_.append(bytes);
  // A pause brings nothing new to scan. The end may, because text that seemed to continue is now complete.
  if (until != Until::pause) {
    BlockResult result = Detector(catalog_).scan(window_);
    if (result.incomplete && on_finding_ == OnFinding::block) {
      problem_ = "the message decodes to more than the guard looks at";
      return false;
    }
    for (Finding& finding : result.findings)
      if (!take(std::move(finding), until == Until::end)) return false;
  }
  let_out(open_from(until), out);
  if (window_.size() > kReach) {
    size_t drop = std::min(window_.size() - kReach, let_out_);
    window_.erase(0, drop);
    before_ += drop;
    let_out_ -= drop;
    while (!seen_.empty() && seen_.begin()->first < before_) seen_.erase(seen_.begin());
  }
  return true;
}

// Passes bytes with codings on unchanged, after their decoded form has been scanned.
bool Stream::coded(std::string_view bytes, Until until, std::string& out) {
  std::string decoded, ignored;
  coded_bytes_ += bytes.size();
  for (std::string_view rest = bytes; until == Until::more;) {
    size_t before = rest.size();
    decoded.clear();
    if (!decoder_->next(rest, decoded)) {
      problem_ = "the body is not what its content coding says";
      return false;
    }
    decoded_bytes_ += decoded.size();
    if (decoded_bytes_ > kFreelyDecoded && decoded_bytes_ / kMostRatio > coded_bytes_) {
      problem_ = "the body decodes to more than the guard looks at";
      return false;
    }
    if (!piece(decoded, until, ignored)) return false;
    ignored.clear();
    if (rest.size() == before && decoded.empty()) break;
  }
  if (until != Until::more && !piece({}, until, ignored)) return false;
  // The earlier bytes decode to what has been released. Of these bytes, the last ones wait.
  if (until == Until::more) {
    out.append(coded_);
    coded_.assign(bytes);
  } else if (until == Until::end || window_.size() == let_out_) {
    out.append(coded_);
    coded_.clear();
  }
  return true;
}

// Returns false if the finding blocks the stream.
bool Stream::take(Finding finding, bool at_end) {
  bool touches_end = finding.end == window_.size() && !at_end;
  size_t begin = finding.begin, end = finding.end;
  bool warns = finding.warns() || on_finding_ == OnFinding::report;
  finding.begin += before_;
  finding.end += before_;
  bool redacts = on_finding_ == OnFinding::redact && !warns && !decoder_ && begin >= let_out_;
  if (redacts && touches_end) return true;  // the finding may continue
  bool is_new = seen_.emplace(finding.begin, finding.name).second;
  std::string name = finding.name;
  if (is_new && findings_.size() < kMostFindings) findings_.push_back(std::move(finding));
  if (warns) return true;
  if (!redacts) {
    blocked_ = true;
    return false;
  }
  window_.replace(begin, end - begin, redaction(name, end - begin));
  return true;
}

void Stream::let_out(size_t end, std::string& out) {
  if (end <= let_out_) return;
  out.append(window_, let_out_, end - let_out_);
  let_out_ = end;
}

size_t Stream::open_from(Until until) const {
  size_t size = window_.size(), held = size - std::min(size, kHold);
  if (until == Until::end) return size;
  if (until == Until::more) return held;
  size_t begin = size;
  while (begin > held && of_token(window_[begin - 1])) --begin;
  return size - begin >= kBeginning ? begin : size;
}

size_t Stream::memory() const {
  return window_.capacity() + coded_.capacity() + (decoder_ ? decoder_->memory() : 0) +
         findings_.size() * sizeof(Finding);
}

}  // namespace bottle::scan
