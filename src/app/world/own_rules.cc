#include "app/world/own_rules.h"

#include <sys/resource.h>

#include <map>

#include "app/world/own_places.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/process.h"
#include "base/os/this_program.h"
#include "scan/compiler/compile.h"
#include "scan/rule_examples.h"

namespace bottle::app {
namespace {

constexpr size_t kMostFiles = 16, kMostText = 1 << 20, kMostDatabase = 3 << 20;
constexpr int kMostCompileMs = 10000;
constexpr uint64_t kMostCompileMemory = 1ull << 30;
constexpr int kInvalid = 1;
constexpr uint32_t kFillings = 5;

// Compiles in another process, because the compiler can take minutes and gigabytes for a pattern.
Result<std::string> compiled(const std::string& text) {
  Command command{.argv = {path_to_self(), "compile-rules"}, .clean_env = true, .most_memory = kMostCompileMemory};
  auto done = capture(command, {.input = text, .timeout_ms = kMostCompileMs, .limit = 2 * kMostDatabase});
  std::string todo = "use simpler patterns: fewer alternatives, and shorter repetitions in braces";
  if (!done && done.error().code == Code::timed_out)
    return fail(Code::timed_out, "compiling the patterns takes more than 10 seconds", todo);
  if (!done) return std::unexpected(std::move(done.error()).during("compiling the patterns"));
  if (done->status == kInvalid) return fail(Code::invalid, done->err);
  if (done->status != 0) return fail(Code::limit, "compiling the patterns takes more than 1 GB of memory", todo);
  if (done->out.size() > kMostDatabase) return fail(Code::limit, "the compiled patterns have more than 3 MB", todo);
  return std::move(done->out);
}

// Compiles the rules of all files together. If there is a mistake, compiles the files one by one, because the
// compiler's line numbers refer to a single file.
Result<std::string> compiled(const std::vector<OwnRules>& files) {
  std::string all;
  for (const auto& file : files) all += file.text + "\n";
  auto database = compiled(all);
  if (database) return database;
  for (const auto& file : files)
    if (auto alone = compiled(file.text + "\n"); !alone)
      return fail(alone.error().code, file.file + ": " + alone.error().what, alone.error().todo);
  return database;
}

Result<scan::Catalog> catalog_of(const std::vector<OwnRules>& files, std::string_view database) {
  auto catalog = TRY(scan::Catalog::builtin());
  std::vector<scan::Rule> all;
  for (const auto& file : files) all.insert(all.end(), file.rules.begin(), file.rules.end());
  TRY(catalog.add(std::move(all), database));
  return catalog;
}

Result<> check_examples(const std::vector<OwnRules>& files, std::string_view database) {
  auto catalog = TRY(catalog_of(files, database));
  catalog.build();
  for (const auto& file : files)
    if (auto wrong = scan::wrong_examples(catalog, file.rules, kFillings); !wrong.empty())
      return fail(Code::invalid, file.file + ": " + wrong.front(), "correct the rule or its example");
  return {};
}

}  // namespace

Result<std::vector<OwnRules>> read_own_rules(const std::vector<std::string>& files) {
  std::vector<OwnRules> all;
  if (files.size() > kMostFiles)
    return fail(Code::limit, "there are more than 16 files of rules", "put the rules into fewer files");
  std::map<std::string, std::string> ids;
  for (const auto& file : files) {
    TRY(check_own_place(file));
    std::string text = TRY(read_file(file, kMostText));
    auto rules = scan::parse_rules(text);
    if (!rules) return std::unexpected(std::move(rules.error()).during(file));
    for (const auto& rule : *rules) {
      std::string place = file + ": line " + std::to_string(rule.line);
      auto [other, is_new] = ids.emplace(rule.id, place);
      if (!is_new)
        return fail(Code::conflict, place + ": there is a rule \"" + rule.id + "\" already, in " + other->second,
                    "rename or remove one of the two");
      if (ids.size() > scan::kMostRules)
        return fail(Code::limit, place + ": the files have more than 1000 rules", "remove some of them");
    }
    all.push_back({file, std::move(text), std::move(*rules)});
  }
  return all;
}

Result<scan::Catalog> catalog_with(const std::vector<std::string>& files) {
  auto own = TRY(read_own_rules(files));
  if (own.empty()) return scan::Catalog::builtin();
  std::string database = TRY(compiled(own));
  TRY(check_examples(own, database));
  return catalog_of(own, database);
}

Result<wire::GuardOwnRules> guard_rules(const std::vector<std::string>& files) {
  auto own = TRY(read_own_rules(files));
  if (own.empty()) return wire::GuardOwnRules{};
  std::string database = TRY(compiled(own));
  TRY(check_examples(own, database));
  std::string text;
  for (const auto& file : own) text += file.text + "\n";
  return wire::GuardOwnRules{std::move(text), to_hex(database)};
}

int compile_rules() {
  // capture() limits the time, but this process must also end if bottle dies before it does.
  constexpr rlim_t kMostSeconds = kMostCompileMs / 1000 + 2;
  const rlimit limit{kMostSeconds, kMostSeconds};
  (void)::setrlimit(RLIMIT_CPU, &limit);
  auto text = read_all(0, "the rules", kMostFiles * (kMostText + 1));
  auto rules = text ? scan::parse_rules(*text) : std::unexpected(text.error());
  auto database = rules ? scan::compile(*rules) : std::unexpected(rules.error());
  if (!database) {
    (void)write_all(2, database.error().what);
    return kInvalid;
  }
  return write_all(1, *database) ? 0 : 2;
}

}  // namespace bottle::app
