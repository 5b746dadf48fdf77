// If the client gets the body with its coding, decodes a copy of it, because only decoded text can be searched. The
// decoded bytes are searched and dropped.
//
// A few kilobytes can become many megabytes, so each call decodes a part of them, and other connections have their
// turn in between. A watch that blocks also stops an answer that seems made to keep the guard busy.
#include "guard/watch/answer_watch.h"

#include <algorithm>

#include "base/text/words.h"

namespace bottle::guard {
namespace {

// Returns whether a body of this type is text that an agent may read. A missing type may be anything.
bool is_text(std::string_view type) {
  type = type.substr(0, type.find(';'));
  if (type.empty() || http::iequals(type.substr(0, 5), "text/")) return true;
  std::string small = lower(type);
  for (std::string_view each : {"json", "xml", "markdown", "javascript", "yaml"})
    if (small.find(each) != small.npos) return true;
  return false;
}

}  // namespace

bool AnswerWatch::watches(const http::Head& head) {
  const http::Header* type = head.find("content-type");
  return !type || is_text(type->value);
}

std::optional<AnswerWatch> AnswerWatch::make(const http::Head& head, bool decoded, bool blocks) {
  auto decoder = scan::ContentDecoder::make(decoded ? "" : head.list("content-encoding"));
  if (!decoder) return std::nullopt;
  using Looks = scan::InjectionScan::Looks;
  return AnswerWatch(std::move(*decoder), blocks, blocks ? Looks::at_each_piece : Looks::now_and_then);
}

bool AnswerWatch::feed(std::string_view bytes) {
  if (seen_ >= most_) return true;
  if (copy_.plain()) {
    seen_ += bytes.size();
    scan_.feed(bytes);
    return true;
  }
  if (!bytes.empty()) begun_ = seen_;
  std::string text;
  bool fine = copy_.take(bytes, text);
  seen_ += text.size();
  // Clients show the text before broken bytes, so it is searched.
  scan_.feed(text);
  if (!fine || (blocks_ && seen_ - begun_ >= kMostAtOnce)) return seen_ = most_, false;
  return true;
}

std::vector<scan::Injection> AnswerWatch::news() {
  const auto& all = scan_.found();
  std::vector<scan::Injection> list(all.begin() + static_cast<std::ptrdiff_t>(told_), all.end());
  told_ = all.size();
  return list;
}

}  // namespace bottle::guard
