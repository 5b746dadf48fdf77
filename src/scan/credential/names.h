// Finds what is assigned to the names of secrets. The rules have only the ends of the names, because most names in a
// text have no value, and patterns for everything that may follow a name would cost much more. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace bottle::scan {

// Holds positions where values may begin, in no particular order.
struct Values {
  std::array<size_t, 12> list;
  size_t count = 0;
  // add() drops positions for which there is no room. begin() and end() make this a range.
  void add(size_t at) {
    if (count < list.size()) list[count++] = at;
  }
  const size_t* begin() const { return list.data(); }
  const size_t* end() const { return list.data() + count; }
};

// `end` is the end of a secret's name in the text, such as "password" or "API_KEY". Returns where values for that name
// may begin: after an assignment operator, in the next field of a pair, in the next column of a table, and so on. Looks
// at most 80 bytes around the name.
Values values_of_name(std::string_view text, size_t end);

}  // namespace bottle::scan
