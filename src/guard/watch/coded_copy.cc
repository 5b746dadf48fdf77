// Decodes a copy of a coded body in limited steps. Coded bytes that do not fit into one step wait for the next one,
// so a small input that decodes to very many bytes neither fills the memory nor holds up other connections.
#include "guard/watch/coded_copy.h"

namespace bottle::guard {

bool CodedCopy::take(std::string_view bytes, std::string& text) {
  waiting_.append(bytes);
  std::string_view rest = waiting_;
  behind_ = true;
  for (size_t had = text.size(); behind_ && text.size() - had < kAtOnce;) {
    size_t left = rest.size(), size = text.size();
    if (!decoder_.next(rest, text)) return behind_ = false;
    behind_ = rest.size() != left || text.size() != size;
  }
  waiting_.erase(0, waiting_.size() - rest.size());
  return true;
}

}  // namespace bottle::guard
