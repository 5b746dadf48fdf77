// Lists the fields of an error. Its code travels as a word, because programs read it in the output of `--json`.
#include "wire/codec/failure.h"

#include <array>

namespace bottle::wire {

void fields(Object& o, Error& error) {
  // Code::internal must stay the last code, because it decides the length of this table.
  static const auto kCodes = [] {
    std::array<const char*, static_cast<size_t>(Code::internal) + 1> names{};
    for (size_t i = 0; i < names.size(); ++i) names[i] = to_string(static_cast<Code>(i)).data();
    return names;
  }();
  o.choice("code", error.code, kCodes);
  o.words("what", error.what, 64 << 10);
  o.words("todo", error.todo, 64 << 10);
}

void fields(Object& o, ErrorReport& report) { o.object("error", report.error); }

}  // namespace bottle::wire
