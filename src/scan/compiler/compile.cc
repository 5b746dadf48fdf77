// Compiles all patterns into one database, so that a block is searched once for all of them. Next to vectorscan's
// serialized form goes a table with what the matcher must know of each pattern.
//
// Compiling may take seconds, which is why the program's own rules are compiled during the build. The database is made
// for the plainest processor of the architecture, because the machine of the build is not the one of the guard.
#include "scan/compiler/compile.h"

#include <hs/hs.h>

#include <cstdlib>
#include <memory>

#include "scan/credential/matcher.h"

namespace bottle::scan {
namespace {

// The expressions of all rules, in the form that vectorscan expects.
struct Expressions {
  std::vector<const char*> texts;
  std::vector<unsigned> flags, ids;
  std::vector<PatternInfo> infos;
  std::vector<std::string> places;  // for errors
};

std::string place(const Rule& rule, size_t pattern) {
  return "line " + std::to_string(rule.pattern_lines[pattern]) + ": rule \"" + rule.id + "\": ";
}

std::unexpected<Error> refused(const std::string& place, hs_compile_error_t* error, hs_error_t result) {
  std::string why = error ? error->message : "unknown";
  hs_free_compile_error(error);
  if (result == HS_NOMEM) return fail(Code::limit, place + "compiling the patterns");
  return fail(Code::invalid, place + "the pattern is not valid: " + why);
}

// Adds one pattern of a rule, after vectorscan has said how long its matches are.
Result<> add(Expressions& all, const Rule& rule, uint32_t index, size_t number) {
  const std::string& pattern = rule.patterns[number];
  hs_expr_info_t* info = nullptr;
  hs_compile_error_t* error = nullptr;
  unsigned flags = HS_FLAG_DOTALL;
  if (auto result = hs_expression_info(pattern.c_str(), flags, &info, &error); result != HS_SUCCESS)
    return refused(place(rule, number), error, result);
  // To find out where a match begins, vectorscan has to read the text backward.
  bool fixed = info->min_width == info->max_width || !needs_beginning(rule);
  uint32_t width = fixed ? info->min_width : 0, least = info->min_width;
  std::free(info);
  bool is_name = rule.are_names[number];
  // A shorter pattern would match very often by chance. A name is judged by what follows it.
  if (least < 4 && !is_name) return fail(Code::invalid, place(rule, number) + "a pattern must match at least 4 bytes");
  all.texts.push_back(pattern.c_str());
  all.flags.push_back(fixed ? flags : flags | HS_FLAG_SOM_LEFTMOST);
  all.ids.push_back(static_cast<unsigned>(all.ids.size()));
  all.infos.push_back({index, width, is_name});
  all.places.push_back(place(rule, number));
  return {};
}

struct FreeDatabase {
  void operator()(hs_database_t* database) const { hs_free_database(database); }
};

Result<std::unique_ptr<hs_database_t, FreeDatabase>> database_of(const Expressions& all) {
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  hs_platform_info_t any{};  // without features, for every processor of the architecture
  auto result = hs_compile_multi(all.texts.data(), all.flags.data(), all.ids.data(),
                                 static_cast<unsigned>(all.ids.size()), HS_MODE_BLOCK, &any, &database, &error);
  if (result == HS_SUCCESS) return std::unique_ptr<hs_database_t, FreeDatabase>(database);
  bool known = error && error->expression >= 0;
  return refused(known ? all.places[static_cast<size_t>(error->expression)] : "", error, result);
}

Result<> compile_alone(const Rule& rule) {
  Expressions own;
  for (size_t number = 0; number < rule.patterns.size(); ++number) TRY(add(own, rule, 0, number));
  TRY(database_of(own));
  return {};
}

}  // namespace

Result<std::string> compile(const std::vector<Rule>& rules, const std::function<void(const std::string&)>& tell) {
  Expressions all;
  for (uint32_t i = 0; i < rules.size(); ++i) {
    if (rules[i].patterns.empty()) continue;
    if (tell) tell(place(rules[i], 0) + "compiling its patterns");
    if (tell) TRY(compile_alone(rules[i]));
    for (size_t number = 0; number < rules[i].patterns.size(); ++number) TRY(add(all, rules[i], i, number));
  }
  if (all.texts.empty()) return std::string();
  if (tell) tell("compiling all patterns together");
  auto database = TRY(database_of(all));
  char* bytes = nullptr;
  size_t size = 0;
  hs_serialize_database(database.get(), &bytes, &size);
  DatabaseHead head{.patterns = static_cast<uint32_t>(all.infos.size())};
  std::string out(reinterpret_cast<const char*>(&head), sizeof head);
  out.append(reinterpret_cast<const char*>(all.infos.data()), all.infos.size() * sizeof(PatternInfo));
  out.append(bytes, size);
  std::free(bytes);
  return out;
}

}  // namespace bottle::scan
