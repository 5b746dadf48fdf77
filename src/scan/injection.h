// Finds text in an answer that gives orders to the agent instead of telling it
// something: a prompt injection. What is found is shown to the operator; text
// *about* injections, which quotes them, is no finding. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::scan {

struct Injection {
  std::string_view what;  // "tells the agent to ignore its instructions": goes
                          // on "the answer …"
  uint64_t begin = 0;     // about where, in bytes from the beginning of the answer
  bool hidden = false;    // it stands where a person does not see it
};

class InjectionScan {
 public:
  // Takes the next bytes of an answer, decoded of its content codings.
  void feed(std::string_view bytes);
  void end();

  // In order; at most kMost.
  const std::vector<Injection>& found() const { return found_; }

  static constexpr size_t kMost = 16;
  static constexpr size_t kReach = 2048;  // bytes that one finding may stretch over
  static constexpr size_t kPiece = 16 * 1024;

 private:
  void look();

  std::string window_;
  uint64_t before_ = 0;    // bytes of the answer before the window
  uint64_t reported_ = 0;  // up to here
  std::vector<Injection> found_;
};

}  // namespace bottle::scan
