// Splits the query of a target into its parameters.
#pragma once

#include <algorithm>
#include <string_view>

namespace bottle::guard {

// A parameter of a query, still escaped.
struct Parameter {
  std::string_view name, value;
  std::string_view owner;  // the name of the parameter that a part without a name of its own belongs to, or empty
};

// Calls each(Parameter) for the parameters of the query. Some servers also separate parameters at a semicolon, so the
// parts of such a parameter follow it.
template <typename F>
void each_parameter(std::string_view target, F each) {
  std::string_view owner;
  auto split = [&](std::string_view pair) {
    size_t equals = std::min(pair.find('='), pair.size());
    bool has_name = equals < pair.size();
    each(Parameter{pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())), has_name ? "" : owner});
    if (has_name) owner = pair.substr(0, equals);
  };
  auto each_part = [](std::string_view text, char separator, auto use) {
    for (size_t at = 0; at <= text.size();) {
      std::string_view part = text.substr(at, text.find(separator, at) - at);
      use(part);
      at += part.size() + 1;
    }
  };
  size_t query = target.find('?');
  if (query == target.npos) return;
  each_part(target.substr(query + 1), '&', [&](std::string_view pair) {
    owner = {};
    split(pair);
    owner = {};  // the first part names it again
    if (pair.find(';') != pair.npos) each_part(pair, ';', split);
  });
}

}  // namespace bottle::guard
