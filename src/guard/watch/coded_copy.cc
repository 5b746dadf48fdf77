// Decodes a copy of a coded body in limited steps. Coded bytes that do not fit into one step wait for the next one,
// so a small input that decodes to very many bytes neither fills the memory nor holds up other connections.
#include "guard/watch/coded_copy.h"

namespace bottle::guard {

bool CodedCopy::take(std::string_view bytes, std::string& text) {
  waiting_.append(bytes);
  std::string_view rest = waiting_;
  behind_ = true;
  for (uint64_t begun = decoder_.moved(); behind_ && decoder_.moved() - begun < kAtOnce;) {
    auto step = decoder_.next(rest, text);
    behind_ = step == scan::ContentDecoder::Step::more;
    if (step == scan::ContentDecoder::Step::wrong) return false;
  }
  waiting_.erase(0, waiting_.size() - rest.size());
  return true;
}

}  // namespace bottle::guard
