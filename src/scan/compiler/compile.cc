// Compiles all patterns into one database, so that a block is searched once for all of them. A table beside
// vectorscan's serialized form describes each pattern to the matcher.
//
// Compiling may take seconds, which is why the program's own rules are compiled during the build. The database is
// made for the plainest processor of the architecture, because the guard usually runs on a different machine than the
// build.
#include "scan/compiler/compile.h"

#include <hs/hs.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>

#include "scan/compiler/spaces.h"
#include "scan/compiler/split.h"
#include "scan/credential/matcher.h"

namespace bottle::scan {
namespace {

// The expressions of all rules, in the form that vectorscan expects.
struct Expressions {
  std::deque<std::string> cores;  // a deque, because pointers to its elements stay valid
  std::vector<const char*> texts;
  std::vector<unsigned> flags, ids;
  std::vector<PatternInfo> infos;
  std::vector<CharacterSet> sets;
  std::vector<size_t> numbers;      // which pattern of its rule each is
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

constexpr unsigned kFlags = HS_FLAG_DOTALL;

struct Widths {
  uint32_t least = 0, most = 0;
};
// Returns how long the matches of an expression of the rule's pattern are.
Result<Widths> widths_of(const std::string& expression, const Rule& rule, size_t number) {
  hs_expr_info_t* info = nullptr;
  hs_compile_error_t* error = nullptr;
  if (auto result = hs_expression_info(expression.c_str(), kFlags, &info, &error); result != HS_SUCCESS)
    return refused(place(rule, number), error, result);
  Widths widths{info->min_width, info->max_width};
  std::free(info);
  return widths;
}

// Returns the index of the set, which is added if it is new.
uint32_t index_of(std::vector<CharacterSet>& sets, const std::optional<CharacterSet>& set) {
  if (!set) return PatternInfo::kNoSet;
  auto found = std::ranges::find(sets, *set);
  auto index = static_cast<uint32_t>(found - sets.begin());
  if (found == sets.end()) sets.push_back(*set);
  return index;
}

// Adds the probe of the last core. A valid rule stays valid: a text that is no pattern on its own, or would match too
// often, is left out.
void add_probe(Expressions& all, const Rule& rule, uint32_t index, size_t number) {
  constexpr uint32_t kShortestProbe = 3;
  std::string probe = probe_of(all.cores.back());
  if (probe.empty()) return;
  if (auto widths = widths_of(probe, rule, number); !widths || widths->least < kShortestProbe) return;
  all.texts.push_back(all.cores.emplace_back(std::move(probe)).c_str());
  all.flags.push_back(kFlags);
  all.ids.push_back(static_cast<unsigned>(all.ids.size()));
  all.infos.push_back({.rule = index, .width = 1, .is_probe = 1});
  all.numbers.push_back(number);
  all.places.push_back(all.places.back());
}

// Adds one pattern of a rule.
Result<> add(Expressions& all, const Rule& rule, uint32_t index, size_t number, Whole whole) {
  // Shorter cores occur too often.
  constexpr uint32_t kShortestCore = 3;
  const std::string& pattern = rule.patterns[number];
  bool is_name = rule.are_names[number];
  Widths widths = TRY(widths_of(pattern, rule, number));
  // A shorter pattern would often match by chance. A name may be shorter, because what follows it is judged.
  if (widths.least < 4 && !is_name)
    return fail(Code::invalid, place(rule, number) + "a pattern must match at least 4 bytes");
  SplitPattern parts{.core = pattern};
  if (whole == Whole::no && !is_name) parts = split(pattern);
  if (parts.core != pattern) {
    Widths core = TRY(widths_of(parts.core, rule, number));
    // vectorscan reports the leftmost beginning of a core, but the lead may precede only a later one.
    bool may_lead = !parts.lead || core.least == core.most || parts.one_begin;
    if (core.least >= kShortestCore && parts.literal.size() <= PatternInfo::kLongestLiteral && may_lead) widths = core;
    else parts = {.core = pattern};
  }
  // To find out where a match begins, vectorscan has to read the text backward.
  bool fixed = widths.least == widths.most || (!needs_beginning(rule) && !parts.lead);
  PatternInfo info{.rule = index,
                   .width = fixed ? widths.least : 0,
                   .is_name = is_name,
                   .lead = index_of(all.sets, parts.lead),
                   .least = parts.least,
                   .most = parts.most,
                   .tail = index_of(all.sets, parts.tail),
                   .count = parts.count,
                   .literal_size = static_cast<uint32_t>(parts.literal.size())};
  std::ranges::copy(parts.literal, info.literal.begin());
  all.texts.push_back(all.cores.emplace_back(std::move(parts.core)).c_str());
  all.flags.push_back(fixed ? kFlags : kFlags | HS_FLAG_SOM_LEFTMOST);
  all.ids.push_back(static_cast<unsigned>(all.ids.size()));
  all.infos.push_back(info);
  all.numbers.push_back(number);
  all.places.push_back(place(rule, number));
  add_probe(all, rule, index, number);
  return {};
}

// Returns only the expressions of patterns that must see a form with its spaces. They keep their ids.
Expressions with_spaces(const Expressions& all, const std::vector<Rule>& rules) {
  Expressions some;
  for (size_t i = 0; i < all.texts.size(); ++i) {
    const Rule& rule = rules[all.infos[i].rule];
    size_t number = all.numbers[i];
    if (!reads_spaces(rule.check) && !may_have_space(rule.patterns[number])) continue;
    some.texts.push_back(all.texts[i]);
    some.flags.push_back(all.flags[i]);
    some.ids.push_back(all.ids[i]);
    some.places.push_back(all.places[i]);
  }
  return some;
}

struct FreeDatabase {
  void operator()(hs_database_t* database) const { hs_free_database(database); }
};

// Compiles all patterns into one database. An error names the rule of the pattern, if the compiler says which one it
// is.
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

Result<std::string> serialized_of(const Expressions& all) {
  auto database = TRY(database_of(all));
  char* bytes = nullptr;
  size_t size = 0;
  if (auto result = hs_serialize_database(database.get(), &bytes, &size); result != HS_SUCCESS)
    return refused("", nullptr, result);
  std::string out(bytes, size);
  std::free(bytes);
  return out;
}

Result<> compile_alone(const Rule& rule, Whole whole) {
  Expressions own;
  for (size_t number = 0; number < rule.patterns.size(); ++number) TRY(add(own, rule, 0, number, whole));
  TRY(database_of(own));
  return {};
}

}  // namespace

Result<std::string> compile(const std::vector<Rule>& rules, const Progress& progress, Whole whole) {
  Expressions all;
  for (uint32_t i = 0; i < rules.size(); ++i) {
    if (rules[i].patterns.empty()) continue;
    if (progress) progress(place(rules[i], 0) + "compiling its patterns");
    if (progress) TRY(compile_alone(rules[i], whole));
    for (size_t number = 0; number < rules[i].patterns.size(); ++number) TRY(add(all, rules[i], i, number, whole));
  }
  if (all.texts.empty()) return std::string();
  if (progress) progress("compiling all patterns together");
  std::string serialized = TRY(serialized_of(all));
  DatabaseHead head{.patterns = static_cast<uint32_t>(all.infos.size()),
                    .sets = static_cast<uint32_t>(all.sets.size()),
                    .size = static_cast<uint32_t>(serialized.size())};
  std::string out(reinterpret_cast<const char*>(&head), sizeof head);
  out.append(reinterpret_cast<const char*>(all.infos.data()), all.infos.size() * sizeof(PatternInfo));
  out.append(reinterpret_cast<const char*>(all.sets.data()), all.sets.size() * sizeof(CharacterSet));
  out.append(serialized);
  if (Expressions some = with_spaces(all, rules); !some.texts.empty()) out.append(TRY(serialized_of(some)));
  return out;
}

}  // namespace bottle::scan
