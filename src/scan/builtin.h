// What the program carries: the rules for credentials, compiled, and the words of wallets.
#pragma once

#include <string_view>
#include <vector>

#include "scan/matcher.h"
#include "scan/rule.h"

namespace bottle::scan {

std::string_view credentials_text();      // rules/credentials.rules
std::string_view credentials_database();  // compiled from it
std::string_view bip39_text();            // a word on each line

}  // namespace bottle::scan
