// Finds and checks what needs no pattern: card and account numbers, keys and phrases of wallets, and tokens whose
// beginnings are too common for a pattern. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace bottle::scan {

// Checks Luhn's checksum, and an issuer's prefix and length. Takes only digits.
bool is_card(std::string_view digits);
// Checks the country's length and the checksum. Takes only capitals and digits.
bool is_iban(std::string_view iban);
// Returns whether the text is a Bitcoin private key.
bool is_wif(std::string_view base58);

// Returns where the card or account number that begins at `at` ends, or 0 if none does. Its groups may be separated by
// spaces or dashes.
size_t card_at(std::string_view text, size_t at);
// Adds the characters that it examines to `read`.
size_t iban_at(std::string_view text, size_t at, size_t& read);
// Returns whether the digits [begin, end), which have the form of a card number, are one of several identifiers: most
// numbers near them, with as many digits and after the same text, are not card numbers. One in ten identifiers has that
// form by chance. Looks at most kNearNumber bytes before and after them.
bool is_among_ids(std::string_view text, size_t begin, size_t end);
inline constexpr size_t kNearNumber = 512;
// Returns whether a card or account number may begin there, because most of the next characters are digits, or because
// two capitals and two digits begin them, as in an account number.
bool may_begin_number(std::string_view text, size_t at);

// Calls each(begin, end) for each text that has the form of a token of Discord: three parts with dots between them.
void each_discord_token(std::string_view text, const std::function<void(size_t, size_t)>& each);

// Calls each(begin, end) for each text that has the form of a token of Bitwarden: "0.", a UUID, a dot, 30 letters and
// digits, and a colon.
void each_bitwarden_token(std::string_view text, const std::function<void(size_t, size_t)>& each);

// Calls each(begin, end) for each text that has the form of a token of Asana: a digit, one or two numbers of 16 digits
// with slashes before them, a colon, and 32 hexadecimal digits.
void each_asana_token(std::string_view text, const std::function<void(size_t, size_t)>& each);

// Calls each(begin, end) for each text that has the form of a token of X: at least 21 letters "A" that do not follow
// a letter or digit, and then more.
void each_x_bearer(std::string_view text, const std::function<void(size_t, size_t)>& each);

// Calls each(begin, end) for each sequence of BIP-39 words (English, separated by single spaces) with a correct
// checksum. Each attempt decrements `tries`, and the search ends at 0.
void each_mnemonic(std::string_view text, int& tries, const std::function<void(size_t, size_t)>& each);

}  // namespace bottle::scan
