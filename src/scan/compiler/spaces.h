// Finds out which patterns can match a space. In a form, a plus stands for each space, so these patterns must see the
// text in a second reading, whereas the others find the same in both. Pure.
#pragma once

#include <string_view>

namespace bottle::scan {

// Returns whether a match of the pattern may have a space. Also returns true for syntax that it does not know, because
// a pattern that is searched once more only costs time, whereas one that is not would miss credentials.
bool may_have_space(std::string_view pattern);

}  // namespace bottle::scan
