// Lets a stream through, except for what is found in it: each find is judged, and stays, is replaced, or ends the
// stream. No byte of a find leaves before it is judged. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "scan/finder.h"

namespace bottle::scan {

// What was found, for whoever judges it.
struct Sight {
  const Pattern& pattern;
  std::string_view bytes;  // as they stand in the stream, escapes and all; valid during the call
  uint64_t begin = 0;      // of `bytes`, as an offset in the stream
  bool whole = true;       // false: its beginning is gone already, as part of another find or by release()
  // Whether it begins or ends between a backslash and what that escapes. In JSON it is then not what it seems.
  bool splits_escape = false;
};

struct Verdict {
  enum class Do { keep, replace, stop } what = Do::keep;
  std::string text;  // instead of `bytes`
};

class Filter {
 public:
  using Judge = std::function<Verdict(const Sight&)>;

  Filter() = default;  // lets everything through
  // The dictionary must outlive the filter. `judge` is called in the order of the stream. Of finds within one another
  // it sees only the longest.
  Filter(const Dictionary* dictionary, Judge judge) : finder_(dictionary), judge_(std::move(judge)) {}

  // Appends to `out` what may go on. False: the stream is to end here; nothing may be fed any more.
  bool feed(std::string_view bytes, std::string& out);

  // Lets out what is held back for a find that could still come: the stream has ended, or pauses. If the find does
  // come, its bytes that are out already stay out.
  bool release(std::string& out);

  bool holds() const { return !held_.empty(); }
  // Whether so little is held back that it may be released for the sake of those who wait for it.
  bool holds_little() const { return !held_.empty() && finds_.empty() && finder_.barely_begun(); }

 private:
  static constexpr size_t kSlice = 16 * 1024;

  bool advance(uint64_t limit, std::string& out);
  bool settle(const Find& find, std::string& out);
  void let_out(uint64_t to, std::string& out);
  std::string_view take(uint64_t to);
  static bool odd_backslashes(std::string_view bytes, bool before);

  static const Dictionary kNothing;
  Finder finder_{&kNothing};
  Judge judge_;
  std::string held_;         // the end of the stream
  size_t taken_ = 0;         // bytes at its beginning that are settled
  uint64_t out_ = 0;         // as an offset in the stream
  std::vector<Find> finds_;  // not judged yet
  bool odd_ = false;         // whether an odd number of backslashes ends what is settled
};

}  // namespace bottle::scan
