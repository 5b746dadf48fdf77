#include "app/world/results.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"

namespace bottle::app {

using nlohmann::json;

namespace {

constexpr size_t kLargestPlaces = 4 << 20;

std::string text_in(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Result<Results> results_of(const std::string& session) {
  TRY(check_session_name(session));
  auto d = directories();
  if (std::ranges::count(names_in(d.sessions), session) > 0)
    return fail(Code::conflict, "the session " + session + " has not ended", "run `bottle stop " + session + "` first");
  Results results{session, d.results + "/" + session, {}, {}, {}};
  if (::access(results.directory.c_str(), F_OK) != 0) return no_results(session);
  auto text = read_file(results.directory + "/places.json", kLargestPlaces);
  json places = text ? json::parse(*text, nullptr, false) : json::array();
  for (const auto& place : places.is_array() ? places : json::array()) {
    if (!place.is_object()) continue;
    results.places.push_back(text_in(place, "directory"));
    if (std::string patch = text_in(place, "patch"); !patch.empty())
      results.patches.push_back({results.places.back(), patch});
    if (std::string filtered = text_in(place, "filtered"); !filtered.empty())
      results.copies.push_back(workspace::copy_command(filtered, results.places.back()));
  }
  return results;
}

}  // namespace bottle::app
