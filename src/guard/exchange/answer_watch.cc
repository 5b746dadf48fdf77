#include "guard/exchange/answer_watch.h"

namespace bottle::guard {
namespace {

// Returns whether a body of this type is text that an agent may read. A missing type may be anything.
bool is_text(std::string_view type) {
  type = type.substr(0, type.find(';'));
  if (type.empty() || http::iequals(type.substr(0, 5), "text/")) return true;
  std::string lower(type);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  for (std::string_view each : {"json", "xml", "markdown", "javascript", "yaml"})
    if (lower.find(each) != lower.npos) return true;
  return false;
}

}  // namespace

std::optional<AnswerWatch> AnswerWatch::make(const http::Head& head, bool decoded) {
  const http::Header* type = head.find("content-type");
  if (type && !is_text(type->value)) return std::nullopt;
  std::string codings;
  for (const auto& each : head.headers)
    if (http::iequals(each.name, "content-encoding")) codings.append(codings.empty() ? "" : ",").append(each.value);
  if (decoded || codings.empty()) return AnswerWatch(std::nullopt);
  auto decoder = scan::ContentDecoder::make(codings);
  if (!decoder) return std::nullopt;
  return AnswerWatch(std::move(decoder));
}

void AnswerWatch::feed(std::string_view bytes) {
  if (seen_ >= kMost) return;
  if (!decoder_) {
    seen_ += bytes.size();
    return scan_.feed(bytes);
  }
  coded_.append(bytes);
  std::string_view rest = coded_;
  std::string text;
  for (bool moved = true; moved && seen_ < kMost;) {
    size_t before = rest.size();
    text.clear();
    if (!decoder_->next(rest, text)) seen_ = kMost;
    scan_.feed(text);
    seen_ += text.size();
    moved = rest.size() != before || !text.empty();
  }
  coded_.erase(0, coded_.size() - rest.size());
}

std::vector<scan::Injection> AnswerWatch::news() {
  const auto& all = scan_.found();
  std::vector<scan::Injection> list(all.begin() + static_cast<std::ptrdiff_t>(told_), all.end());
  told_ = all.size();
  return list;
}

}  // namespace bottle::guard
