// The compiler can take minutes and gigabytes for a pattern of the operator, and a mistake in one must not end the
// launcher. This program therefore runs itself as a compiler, with limits of memory and of processor time, and gives
// it all rules as one text on stdin. The compiler writes to stderr which rule it is compiling, so that the error can
// name the rule that exceeded a limit. Its output, the database, is trusted like the rules themselves.
#include "app/world/own_rules.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <new>

#include "app/world/own_directories.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/process.h"
#include "base/os/this_program.h"
#include "scan/compiler/compile.h"
#include "scan/rule_examples.h"

namespace bottle::app {
namespace {

constexpr size_t kMostFiles = 16, kMostText = 1 << 20, kMostDatabase = 3 << 20;
constexpr rlim_t kMostCompileSeconds = 10;  // of the processor's time
// Ends a compiler that hangs. On a machine with a load of 20, ten seconds of processor time take over a minute.
constexpr int kMostWaitMs = 300'000;
constexpr uint64_t kMostCompileMemory = 1ull << 30;
constexpr uint32_t kFillings = 5;

// The exit statuses of the process that compiles the rules.
enum Status : int { kDone = 0, kInvalid = 1, kNoMemory = 2, kBroken = 3 };

// Returns the last line that is not empty.
std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text.substr(text.rfind('\n') + 1));
}

// The compiler gets all files as one text. Returns its message, which may begin with "line N: ", with the file and the
// number of the line in it.
std::string with_file(const std::vector<OwnRules>& files, const std::string& message) {
  constexpr std::string_view kLine = "line ";
  size_t line = 0;
  const char* end = message.data() + message.size();
  auto [rest, error] = std::from_chars(message.data() + std::min(kLine.size(), message.size()), end, line);
  if (!message.starts_with(kLine) || error != std::errc()) return message;
  for (const auto& file : files) {
    size_t lines = static_cast<size_t>(std::ranges::count(file.text, '\n')) + 1;
    if (line <= lines) return file.file + ": line " + std::to_string(line) + std::string(rest, end);
    line -= lines;
  }
  return message;
}

// Returns the error for the way in which the compiler ended. The last line of its output names the step that it was in,
// or a mistake in a rule.
std::unexpected<Error> failed(const std::vector<OwnRules>& files, const Captured& done) {
  constexpr int kSignal = 128;
  std::string said = with_file(files, last_line(done.err));
  if (said.empty()) said = "compiling the rules";
  std::string todo = "use simpler patterns: fewer alternatives, and shorter repetitions in braces";
  if (done.status == kInvalid) return fail(Code::invalid, said, "correct the rule or its example");
  if (done.status == kNoMemory) return fail(Code::limit, said + " takes more than 1 GB of memory", todo);
  if (done.status == kSignal + SIGXCPU) return fail(Code::timed_out, said + " takes more than 10 seconds", todo);
  if (done.status > kSignal)
    return fail(Code::internal, said + " ended with signal " + std::to_string(done.status - kSignal),
                "if the machine has enough memory, report this as a bug in bottle, with the rule");
  return fail(Code::internal, said + " failed with status " + std::to_string(done.status));
}

// Compiles the rules of all files together and tries their examples, in another process, because the compiler can take
// minutes and gigabytes for a pattern, and a pattern can find something at every byte of its examples.
Result<std::string> compiled(const std::vector<OwnRules>& files) {
  std::string all;
  for (const auto& file : files) all += file.text + "\n";
  // The compiler needs none of the variables, which may hold secrets.
  Command command{.argv = {path_to_self(), "compile-rules"}, .clean_env = true};
  auto done = capture(command, {.input = all, .timeout_ms = kMostWaitMs, .limit = 2 * kMostDatabase});
  if (!done && done.error().code == Code::timed_out)
    return fail(Code::timed_out, "compiling the rules did not end within five minutes",
                "try again when the machine is less busy");
  if (!done) return std::unexpected(std::move(done.error()).during("compiling the rules"));
  if (done->status != kDone) return failed(files, *done);
  if (done->out.size() > kMostDatabase)
    return fail(Code::limit, "the compiled patterns have more than 3 MB", "use fewer or simpler patterns");
  return std::move(done->out);
}

Result<scan::Catalog> catalog_of(std::vector<scan::Rule> rules, std::string_view database) {
  auto catalog = TRY(scan::Catalog::builtin());
  TRY(catalog.add(std::move(rules), database));
  return catalog;
}

// Lowers a limit of this process, unless it is lower already. The parent cannot start this process through a shell that
// sets the limits: there, /proc/self/exe is the shell, and the file at any other path may have been replaced.
void limit_self(int resource, rlim_t soft, rlim_t hard) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return;
  limit = {std::min(limit.rlim_cur, soft), std::min(limit.rlim_max, hard)};
  (void)::setrlimit(resource, &limit);
}

// Does the work of the process that compiles. Writes each step to stderr before it begins, so that the parent process
// knows the step if a limit ends this process.
Result<std::string> compile_and_check(std::string_view text) {
  auto tell = [](const std::string& what) { (void)write_all(2, what + "\n"); };
  auto rules = TRY(scan::parse_rules(text));
  std::string database = TRY(scan::compile(rules, tell));
  auto catalog = TRY(catalog_of(rules, database));
  catalog.build();
  auto wrong = scan::wrong_examples(catalog, rules, kFillings, tell);
  if (!wrong.empty()) return fail(Code::invalid, wrong.front());
  return database;
}

}  // namespace

Result<std::vector<OwnRules>> read_own_rules(const std::vector<std::string>& files) {
  std::vector<OwnRules> all;
  if (files.size() > kMostFiles)
    return fail(Code::limit, "scan.rules names more than 16 files", "put the rules into fewer files");
  std::map<std::string, std::string> ids;
  for (const auto& file : files) {
    // The rules decide what may leave, so another user must not be able to change them.
    TRY(check_own_path(file));
    std::string text = TRY(during("rules for credentials", read_file(file, kMostText)));
    // Some editors write a byte order mark. All files become one text, so it could be in the middle.
    if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
    auto rules = TRY(during(file, scan::parse_rules(text)));
    for (const auto& rule : rules) {
      std::string place = file + ": line " + std::to_string(rule.line);
      auto [other, is_new] = ids.emplace(rule.id, place);
      if (!is_new)
        return fail(Code::conflict, place + ": rule \"" + rule.id + "\" is also defined in " + other->second,
                    "rename or remove one of the two");
      if (ids.size() > scan::kMostRules)
        return fail(Code::limit, place + ": the files have more than 1000 rules", "remove some of them");
    }
    all.push_back({file, std::move(text), std::move(rules)});
  }
  return all;
}

Result<scan::Catalog> catalog_with(const std::vector<std::string>& files) {
  auto own = TRY(read_own_rules(files));
  if (own.empty()) return scan::Catalog::builtin();
  std::string database = TRY(compiled(own));
  std::vector<scan::Rule> all;
  for (auto& file : own) all.insert(all.end(), file.rules.begin(), file.rules.end());
  return catalog_of(std::move(all), database);
}

Result<wire::GuardOwnRules> guard_rules(const std::vector<OwnRules>& files) {
  if (files.empty()) return wire::GuardOwnRules{};
  std::string database = TRY(compiled(files));
  std::string text;
  for (const auto& file : files) text += file.text + "\n";
  return wire::GuardOwnRules{std::move(text), to_hex(database)};
}

int compile_rules() {
  // This also ends the process if bottle dies before it does. The soft limit sends SIGXCPU, by which the parent process
  // recognizes it, and the hard one sends SIGKILL.
  constexpr rlim_t kAtLast = kMostCompileSeconds + 2;
  limit_self(RLIMIT_CPU, kMostCompileSeconds, kAtLast);
  limit_self(RLIMIT_DATA, kMostCompileMemory, kMostCompileMemory);
  std::set_new_handler([] { ::_exit(kNoMemory); });
  auto text = read_all(0, "the rules", kMostFiles * (kMostText + 1));
  if (!text) return kBroken;
  auto database = compile_and_check(*text);
  if (!database) {
    (void)write_all(2, database.error().what + "\n");
    return database.error().code == Code::limit ? kNoMemory : kInvalid;
  }
  return write_all(1, *database) ? kDone : kBroken;
}

}  // namespace bottle::app
