// What a rule's match must also be: structure and checksums, and not what people write in place of a value. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "scan/rule.h"

namespace bottle::scan {

struct Credential {
  size_t begin = 0, end = 0;  // of the value in the text
  bool sure = false;          // a checksum or the structure confirms it
};

// Judges the match [begin, end) of the rule's pattern in `text`. For checks of what follows, only `end` counts. Looks
// at most 4 KB around it. `joined`: the text was put together of pieces, so what stands before the match says nothing.
std::optional<Credential> judge(const Rule& rule, std::string_view text, size_t begin, size_t end, bool joined);

// Luhn's checksum, and an issuer's beginning and length; digits only.
bool is_card(std::string_view digits);
// A country's length and the checksum; capitals and digits only.
bool is_iban(std::string_view iban);
// A Bitcoin private key.
bool is_wif(std::string_view base58);

// Where the card's or account's number ends that begins at `at`, with spaces or dashes between its groups; 0: none
// does.
size_t card_at(std::string_view text, size_t at);
size_t iban_at(std::string_view text, size_t at);

// Calls each(begin, end) for each row of BIP-39 words (English, single spaces) whose checksum is right. Each row that
// is tried takes one off `tries`; at 0 it ends.
void each_mnemonic(std::string_view text, int& tries, const std::function<void(size_t, size_t)>& each);

}  // namespace bottle::scan
