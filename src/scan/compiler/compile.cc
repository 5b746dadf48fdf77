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
#include <map>
#include <memory>
#include <utility>

#include "scan/compiler/probe.h"
#include "scan/compiler/spaces.h"
#include "scan/compiler/split.h"
#include "scan/credential/matcher.h"

namespace bottle::scan {
namespace {

// What vectorscan looks for, with its flags and its number: the index of the first pattern with this core.
struct Core {
  std::string text;
  unsigned flags = 0, id = 0;
  std::string place;  // of the pattern, for errors
};

// The patterns of all rules.
struct Expressions {
  std::vector<Core> cores;
  std::map<std::pair<std::string, unsigned>, size_t> last;  // by text and flags: the last pattern with this core
  std::vector<PatternInfo> infos;
  std::vector<size_t> numbers;  // which pattern of its rule each is
  std::vector<Step> steps;
  std::vector<CharacterSet> sets;
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
uint32_t index_of(std::vector<CharacterSet>& sets, const CharacterSet& set) {
  auto found = std::ranges::find(sets, set);
  auto index = static_cast<uint32_t>(found - sets.begin());
  if (found == sets.end()) sets.push_back(set);
  return index;
}

// Adds a pattern with its core, unless another pattern has the same core.
void add(Expressions& all, Core core, const PatternInfo& info, size_t number) {
  core.id = static_cast<unsigned>(all.infos.size());
  all.infos.push_back(info);
  all.numbers.push_back(number);
  auto [last, is_new] = all.last.try_emplace({core.text, core.flags}, core.id);
  if (!is_new) all.infos[std::exchange(last->second, core.id)].next = core.id;
  if (is_new) all.cores.push_back(std::move(core));
}

// Adds the probe of a core. A valid rule stays valid: a text that is not a pattern on its own, or would match too
// often, is left out.
void add_probe(Expressions& all, const Rule& rule, uint32_t index, size_t number, const std::string& core) {
  constexpr uint32_t kShortestProbe = 3;
  std::string probe = probe_of(core);
  if (probe.empty()) return;
  if (auto widths = widths_of(probe, rule, number); !widths || widths->least < kShortestProbe) return;
  add(all, {.text = std::move(probe), .flags = kFlags, .place = place(rule, number)},
      {.rule = index, .width = 1, .is_probe = 1}, number);
}

// Returns whether the value is what the match ends with.
bool is_value_of_end(Check check) {
  return check == Check::last || check == Check::basic || check == Check::docker_auth;
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
  // To find out where a match begins, vectorscan has to read the text backward. Without the beginning, a pattern that
  // has no end of its own would match anew at each further character, and its end is what these checks judge.
  bool may_slide = is_value_of_end(rule.check) && parts.steps.empty();
  bool fixed = widths.least == widths.most || (!needs_beginning(rule) && !parts.lead && !may_slide);
  PatternInfo info{.rule = index,
                   .width = fixed ? widths.least : 0,
                   .is_name = is_name,
                   .lead = parts.lead ? index_of(all.sets, *parts.lead) : PatternInfo::kNoSet,
                   .least = parts.least,
                   .most = parts.most,
                   .first_step = static_cast<uint32_t>(all.steps.size()),
                   .steps = static_cast<uint32_t>(parts.steps.size()),
                   .literal_size = static_cast<uint32_t>(parts.literal.size())};
  std::ranges::copy(parts.literal, info.literal.begin());
  for (const auto& [set, least, most, is_tried] : parts.steps)
    all.steps.push_back({index_of(all.sets, set), least, most, is_tried});
  add(all, {.text = parts.core, .flags = fixed ? kFlags : kFlags | HS_FLAG_SOM_LEFTMOST, .place = place(rule, number)},
      info, number);
  add_probe(all, rule, index, number, parts.core);
  return {};
}

// Returns only the cores of patterns that must see a form with its spaces. They keep their numbers.
std::vector<Core> with_spaces(const Expressions& all, const std::vector<Rule>& rules) {
  auto has_spaces = [&](const Core& core) {
    for (uint32_t i = core.id; i != PatternInfo::kLast; i = all.infos[i].next) {
      const Rule& rule = rules[all.infos[i].rule];
      if (reads_spaces(rule.check) || may_have_space(rule.patterns[all.numbers[i]])) return true;
    }
    return false;
  };
  std::vector<Core> some;
  std::ranges::copy_if(all.cores, std::back_inserter(some), has_spaces);
  return some;
}

struct FreeDatabase {
  void operator()(hs_database_t* database) const { hs_free_database(database); }
};

// Compiles all cores into one database. An error names the rule of the pattern, if the compiler says which one it is.
Result<std::unique_ptr<hs_database_t, FreeDatabase>> database_of(const std::vector<Core>& all) {
  std::vector<const char*> texts;
  std::vector<unsigned> flags, ids;
  for (const Core& each : all) {
    texts.push_back(each.text.c_str());
    flags.push_back(each.flags);
    ids.push_back(each.id);
  }
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  hs_platform_info_t any{};  // without features, for every processor of the architecture
  auto result = hs_compile_multi(texts.data(), flags.data(), ids.data(), static_cast<unsigned>(ids.size()),
                                 HS_MODE_BLOCK, &any, &database, &error);
  if (result == HS_SUCCESS) return std::unique_ptr<hs_database_t, FreeDatabase>(database);
  bool known = error && error->expression >= 0;
  return refused(known ? all[static_cast<size_t>(error->expression)].place : "", error, result);
}

Result<std::string> serialized_of(const std::vector<Core>& all) {
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
  TRY(database_of(own.cores));
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
  if (all.cores.empty()) return std::string();
  if (progress) progress("compiling all patterns together");
  std::string serialized = TRY(serialized_of(all.cores));
  DatabaseHead head{.patterns = static_cast<uint32_t>(all.infos.size()),
                    .steps = static_cast<uint32_t>(all.steps.size()),
                    .sets = static_cast<uint32_t>(all.sets.size()),
                    .size = static_cast<uint32_t>(serialized.size())};
  std::string out(reinterpret_cast<const char*>(&head), sizeof head);
  auto append = [&](const auto& table) {
    out.append(reinterpret_cast<const char*>(table.data()), table.size() * sizeof table[0]);
  };
  append(all.infos), append(all.steps), append(all.sets);
  out.append(serialized);
  if (auto some = with_spaces(all, rules); !some.empty()) out.append(TRY(serialized_of(some)));
  return out;
}

}  // namespace bottle::scan
