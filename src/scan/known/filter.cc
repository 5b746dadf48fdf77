// The finder tells which bytes may still become a find (open_from). Everything before them can be decided: finds are
// judged in the order in which they begin, and other bytes pass. A find is judged only when no longer one can begin
// at the same place, so that the judge sees the longest, and finds within it are never seen.
//
// `held_` has the bytes that are not decided. Most streams contain nothing to find, so pieces pass through without a
// copy into it.
#include "scan/known/filter.h"

#include <algorithm>

namespace bottle::scan {

const Dictionary Filter::kNothing;

bool Filter::feed(std::string_view bytes, std::string& out) {
  // Works in slices, so that a stream full of finds does not accumulate them.
  while (!bytes.empty()) {
    auto slice = bytes.substr(0, kSlice);
    bytes.remove_prefix(slice.size());
    finder_.feed(slice, finds_);
    // Nothing waits and nothing has begun, so the slice passes without a copy into `held_`.
    if (held_.empty() && finds_.empty() && finder_.open_from() == finder_.fed()) {
      out.append(slice);
      out_ = finder_.fed();
      odd_ = odd_backslashes(slice, odd_);
      continue;
    }
    held_.append(slice);
    if (!advance(finder_.open_from(), out)) return false;
  }
  return true;
}

bool Filter::feed_buffer(std::string& bytes, std::string& out) {
  if (!out.empty() || holds() || !finds_.empty() || bytes.size() < kSlice) return feed(bytes, out);
  std::string_view rest = bytes;
  uint64_t open = out_;
  while (!rest.empty()) {
    auto slice = rest.substr(0, kSlice);
    rest.remove_prefix(slice.size());
    finder_.feed(slice, finds_);
    if (!finds_.empty()) break;
    open = std::max(open, finder_.open_from());  // what release() let out may still begin a find
  }
  // The bytes before `open` pass, and the other bytes that the finder has seen are decided in the usual way.
  auto passes = static_cast<size_t>(open - out_);
  std::string_view passed(bytes.data(), passes);
  held_.assign(bytes, passes, bytes.size() - rest.size() - passes);
  odd_ = odd_backslashes(passed, odd_);
  out_ = open;
  if (finds_.empty()) {
    bytes.resize(passes);
    out.swap(bytes);
    return true;
  }
  out.append(passed);
  return advance(finder_.open_from(), out) && feed(rest, out);
}

bool Filter::release(std::string& out) { return advance(finder_.fed(), out); }

bool Filter::pause(std::string& out) {
  if (uint32_t pattern = finder_.half_begun(); pattern != Dictionary::kNoPattern)
    finds_.push_back({finder_.open_from(), finder_.fed(), pattern, false});
  return advance(finder_.fed(), out);
}

// Judges the finds that begin before `limit` (longer finds may still begin there), and releases the other bytes up to
// `limit`.
bool Filter::advance(uint64_t limit, std::string& out) {
  // Of finds that begin at the same byte, the longest comes first and hides the others.
  std::ranges::sort(
      finds_, [](const Find& a, const Find& b) { return a.begin != b.begin ? a.begin < b.begin : a.end > b.end; });
  size_t done = 0;
  for (; done < finds_.size(); ++done) {
    const Find& find = finds_[done];
    if (find.end <= out_) continue;  // within a find that is already decided
    if (limit <= find.begin) break;  // a longer find may follow
    if (!settle(find, out)) return false;
  }
  finds_.erase(finds_.begin(), finds_.begin() + static_cast<long>(done));
  let_out(limit, out);
  held_.erase(0, taken_);
  taken_ = 0;
  // A stream with many finds must not keep the memory for them.
  if (held_.empty() && held_.capacity() > 4096) std::string().swap(held_);
  if (finds_.empty() && finds_.capacity() > 64) std::vector<Find>().swap(finds_);
  return true;
}

bool Filter::settle(const Find& find, std::string& out) {
  bool whole = find.whole && find.begin >= out_;
  let_out(find.begin, out);
  // An odd number of backslashes before a byte means that the byte is escaped.
  bool splits = odd_;
  uint64_t begin = out_;
  std::string_view bytes = take(find.end);
  splits |= odd_;
  Verdict verdict = judge_({finder_.dictionary().pattern(find.pattern), bytes, begin, whole, splits});
  if (verdict.what == Verdict::Do::stop) return false;
  out.append(verdict.what == Verdict::Do::keep ? bytes : verdict.text);
  return true;
}

void Filter::let_out(uint64_t to, std::string& out) {
  if (to > out_) out.append(take(to));
}

std::string_view Filter::take(uint64_t to) {
  std::string_view bytes = std::string_view(held_).substr(taken_, static_cast<size_t>(to - out_));
  taken_ += bytes.size();
  out_ = to;
  odd_ = odd_backslashes(bytes, odd_);
  return bytes;
}

bool Filter::odd_backslashes(std::string_view bytes, bool before) {
  size_t last = bytes.find_last_not_of('\\');
  size_t count = last == bytes.npos ? bytes.size() + before : bytes.size() - last - 1;
  return count % 2 != 0;
}

}  // namespace bottle::scan
