// Finds out which patterns can match a space. In a form, a plus stands for each space, so these patterns must also be
// searched in the text with spaces. The others find the same in both texts. Pure.
#pragma once

#include <string_view>

namespace bottle::scan {

// Returns whether a match of the pattern may have a space. Also returns true for syntax that it does not know, because
// a second search for a pattern only costs time, but without it the scan would miss credentials.
bool may_have_space(std::string_view pattern);

}  // namespace bottle::scan
