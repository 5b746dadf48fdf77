// Splits text into lines.
#pragma once

#include <algorithm>
#include <string_view>

namespace bottle::workspace {

// Calls `use` with each line, without its line break. The last line need not have one.
template <class Use>
void each_line(std::string_view text, Use use) {
  for (size_t end; !text.empty(); text.remove_prefix(std::min(end + 1, text.size()))) {
    end = std::min(text.find('\n'), text.size());
    use(text.substr(0, end));
  }
}

}  // namespace bottle::workspace
