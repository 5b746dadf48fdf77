// What another machine says, made fit to be used: the agent may have taken that machine.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace bottle::remote {

// Every string in it made fit for a terminal.
nlohmann::json cleaned(const nlohmann::json& json);

// A line or frame of the other machine's: cleaned, and without the members whose type is not the one their name has
// with us, so that reading them cannot fail. A rule that it proposes for the manifest is a rule for the one host that
// was refused, or empty. Null: it is no object.
nlohmann::json far_words(std::string_view text);

}  // namespace bottle::remote
