// Passes a stream on, and lets a judge decide about each find: whether it passes, is replaced, or ends the stream. No
// byte of a find leaves before it is judged. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "scan/known/finder.h"

namespace bottle::scan {

// Describes a find to the judge.
struct Sight {
  const Pattern& pattern;
  std::string_view bytes;  // the bytes as they are in the stream, with escapes; valid during the call
  uint64_t begin = 0;      // the offset of `bytes` in the stream
  bool whole = true;       // false if its beginning was already released, or its end has not arrived; see pause()
  // True if the find begins or ends between a backslash and the character that it escapes. In JSON, such a find is a
  // coincidence.
  bool splits_escape = false;
};

// The judge's decision about a find. `stop` ends the stream before the find's first byte that has not left.
struct Verdict {
  enum class Do { keep, replace, stop } what = Do::keep;
  std::string text;  // replaces `bytes`
};

// Filters one stream of bytes. Holds bytes back only while they may become a find, at most as many as the longest
// pattern has, with its escapes.
class Filter {
 public:
  using Judge = std::function<Verdict(const Sight&)>;

  Filter() = default;  // passes everything
  // The dictionary must outlive the filter. Calls `judge` in the order of the stream, and of nested finds only for
  // the longest.
  Filter(const Dictionary* dictionary, Judge judge) : finder_(dictionary), judge_(std::move(judge)) {}

  // Appends to `out` what may pass. Returns false if the stream must end here; no more bytes may be fed then.
  bool feed(std::string_view bytes, std::string& out);
  // Does the same. If there are many bytes, and all pass, `out` gets their memory instead of a copy. `bytes` is
  // unspecified afterward.
  bool feed_buffer(std::string& bytes, std::string& out);

  // Releases what is held back for a possible find, because the stream has ended. If more bytes are fed nevertheless
  // and complete the find, the released bytes stay released.
  bool release(std::string& out);
  // Does the same because the stream pauses. If more than half of a find has arrived, the judge decides about that part
  // now, so that nothing waits for the rest.
  bool pause(std::string& out);

  // Returns whether bytes wait for what follows.
  bool holds() const { return !held_.empty(); }
  // Returns approximately how many bytes the filter holds.
  size_t memory() const { return held_.capacity() + finds_.capacity() * sizeof(Find); }
  // Returns whether so little of a find is held back that it may be released to a reader that waits for it.
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
  std::string held_;         // the last bytes of the stream
  size_t taken_ = 0;         // the number of bytes at its beginning that are decided
  uint64_t out_ = 0;         // as an offset in the stream
  std::vector<Find> finds_;  // not judged yet
  bool odd_ = false;         // whether the decided bytes end in an odd number of backslashes
};

}  // namespace bottle::scan
