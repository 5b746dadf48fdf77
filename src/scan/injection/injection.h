// Finds prompt injections: text in an answer that gives orders to the agent instead of information. The findings are
// shown to the operator. Text *about* injections that quotes them is not a finding. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::scan {

// Describes a finding for the operator.
struct Injection {
  std::string_view what;  // for example, "tells the agent to ignore its instructions"; continues "the answer …"
  uint64_t begin = 0;     // the approximate offset in the answer, in bytes
  bool hidden = false;    // at a place that a person does not see
};

// Scans one answer, or the messages of one connection. Keeps the last 2 KB, and up to one piece more.
class InjectionScan {
 public:
  // Says when bytes are searched: as soon as they arrive, so that they can be stopped, or in large pieces, which costs
  // less.
  enum class Looks : uint8_t { at_each_piece, now_and_then };
  explicit InjectionScan(Looks looks = Looks::now_and_then) : looks_(looks) {}

  // Takes the next bytes of an answer, without its content codings.
  void feed(std::string_view bytes);
  // Judges what has arrived so far as if nothing followed.
  void settle() { look(true); }
  // Searches what is left, because the answer is complete.
  void end();

  // Returns whether the text so far ends with an order that a closing quote in the next bytes would turn into a
  // quotation.
  bool undecided() const { return undecided_; }

  // Returns the findings in order, at most kMost.
  const std::vector<Injection>& found() const { return found_; }

  // Returns approximately how many bytes the scan holds.
  size_t memory() const { return window_.capacity(); }

  static constexpr size_t kMost = 16;
  static constexpr size_t kReach = 2048;  // the most bytes that one finding may span
  static constexpr size_t kPiece = 16 * 1024;

 private:
  struct Text;
  void look(bool at_end);
  void search(const Text& text);

  Looks looks_;
  bool undecided_ = false;
  std::string window_;
  uint64_t before_ = 0;    // the number of bytes of the answer before the window
  uint64_t reported_ = 0;  // the offset up to which findings were reported
  std::vector<Injection> found_;
};

}  // namespace bottle::scan
