#include "scan/credential/builtin.h"

extern "C" {
extern const char bottle_rules_begin[], bottle_rules_end[];
extern const char bottle_rules_database_begin[], bottle_rules_database_end[];
extern const char bottle_bip39_begin[], bottle_bip39_end[];
}

namespace bottle::scan {

std::string_view credentials_text() { return {bottle_rules_begin, bottle_rules_end}; }
std::string_view credentials_database() { return {bottle_rules_database_begin, bottle_rules_database_end}; }
std::string_view bip39_text() { return {bottle_bip39_begin, bottle_bip39_end}; }

}  // namespace bottle::scan
