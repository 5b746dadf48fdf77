// Gives access to the data that the program carries: the compiled rules for credentials, and the word list of
// wallets.
#pragma once

#include <string_view>
#include <vector>

namespace bottle::scan {

std::string_view credentials_text();      // the text of rules/credentials.rules
std::string_view credentials_database();  // the database compiled from that text

// Returns the English words of BIP-39, sorted.
const std::vector<std::string_view>& bip39_words();

}  // namespace bottle::scan
