// Gives access to files that the linker puts into the program: the text of the rules, their compiled database, and
// the words of BIP 39.
#include "scan/credential/builtin.h"

#include "base/text/words.h"

extern "C" {
extern const char bottle_rules_begin[], bottle_rules_end[];
extern const char bottle_rules_database_begin[], bottle_rules_database_end[];
extern const char bottle_bip39_begin[], bottle_bip39_end[];
}

namespace bottle::scan {

std::string_view credentials_text() { return {bottle_rules_begin, bottle_rules_end}; }
std::string_view credentials_database() { return {bottle_rules_database_begin, bottle_rules_database_end}; }

const std::vector<std::string_view>& bip39_words() {
  static const std::vector<std::string_view> kWords = [] {
    std::vector<std::string_view> list;
    for (std::string_view word : each_line({bottle_bip39_begin, bottle_bip39_end}))
      if (!word.empty()) list.push_back(word);
    return list;
  }();
  return kWords;
}

}  // namespace bottle::scan
