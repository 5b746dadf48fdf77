#include "git/run/attributes.h"

#include <array>
#include <string_view>

#include "base/text/words.h"

namespace bottle::git {

Result<std::vector<Attribute>> attributes(const Runner& git, const std::vector<std::string>& names,
                                          const Runner::Options& where) {
  std::vector<std::string> words = {"check-attr", "-z", "--stdin"};
  words.insert(words.end(), names.begin(), names.end());
  std::string said = TRY(git.ask(words, where));
  std::vector<Attribute> found;
  std::array<std::string_view, 3> triple;  // git prints the path, the attribute and its state
  size_t word = 0;
  for (std::string_view text : each_record(said, '\0')) {
    triple.at(word++ % 3) = text;
    if (word % 3 != 0) continue;
    const auto& [path, name, value] = triple;
    // These three states are not values, so they name no encoding and no filter.
    if (value == "unspecified" || value == "unset" || value == "set") continue;
    found.push_back({std::string(path), std::string(name), std::string(value)});
  }
  return found;
}

}  // namespace bottle::git
