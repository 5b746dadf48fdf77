// Everything that could make git run something else, wait for something or read other settings is turned off here, for
// every call: the environment is stripped of GIT_ variables and set again, the configuration is bottle's own file, and
// command line settings override what remains. This applies to all calls, not only to those that seem to need it,
// because which command reads which setting changes between versions of git. Limits on time, output, memory and files
// apply because objects of a few bytes can expand without bounds.

#include "git/run/git.h"

#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <system_error>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/process.h"
#include "base/text/line.h"
#include "base/text/parse.h"
#include "base/unique_fd.h"
#include "git/run/complaint.h"

extern char** environ;

namespace bottle::git {
namespace {

// Returns git's subcommand, for messages.
std::string verb(const std::vector<std::string>& arguments) {
  size_t at = 0;
  while (at + 2 < arguments.size() && arguments[at] == "-c") at += 2;
  return arguments[at];
}

// Returns the operator's environment without the variables that would redirect git.
std::map<std::string, std::string> environment_without_git() {
  std::map<std::string, std::string> out;
  for (char** e = environ; *e; ++e) {
    std::string_view entry(*e), name = entry.substr(0, entry.find('='));
    if (name.size() < entry.size() && !name.starts_with("GIT_")) out.emplace(name, entry.substr(name.size() + 1));
  }
  // was_let_finish() looks for words in git's messages, which must not be translated.
  out["LC_ALL"] = "C";
  out["GIT_TERMINAL_PROMPT"] = "0";
  out["GIT_PAGER"] = "cat";
  out["GIT_NO_LAZY_FETCH"] = "1";  // since git 2.39.4 and 2.45: a missing object is an error and is not fetched
  // No transport has this name, so every fetch from anywhere fails.
  out["GIT_ALLOW_PROTOCOL"] = "none";
  return out;
}

// Returns the environment of every run. Commits that git makes are bottle's own, so git needs no identity of the
// operator.
std::map<std::string, std::string> environment(const std::string& configuration) {
  auto out = environment_without_git();
  for (auto [name, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"GIT_OPTIONAL_LOCKS", "0"},
                                                                  {"GIT_NO_REPLACE_OBJECTS", "1"},
                                                                  {"GIT_ATTR_NOSYSTEM", "1"},
                                                                  {"GIT_CONFIG_NOSYSTEM", "1"},
                                                                  {"GIT_AUTHOR_NAME", "bottle"},
                                                                  {"GIT_AUTHOR_EMAIL", "bottle@localhost"},
                                                                  {"GIT_COMMITTER_NAME", "bottle"},
                                                                  {"GIT_COMMITTER_EMAIL", "bottle@localhost"}})
    out[name] = value;
  out["GIT_CONFIG_GLOBAL"] = configuration;
  return out;
}

// Adds what differs from run to run.
std::map<std::string, std::string> with_options(std::map<std::string, std::string> out, const Runner::Options& o,
                                                uint64_t memory) {
  if (o.literal_paths) out["GIT_LITERAL_PATHSPECS"] = "1";
  if (!o.index.empty()) out["GIT_INDEX_FILE"] = o.index;
  if (!o.objects.empty()) out["GIT_OBJECT_DIRECTORY"] = o.objects;
  // Limits a single allocation, because some systems do not limit the data of a process.
  if (memory > 0) out["GIT_ALLOC_LIMIT"] = std::to_string(memory);
  return out;
}

// These settings apply unless the git directory overrides them: git reads and writes files unchanged.
constexpr const char* kConfiguration =
    "[core]\n\tautocrlf = false\n\tsafecrlf = false\n\tsymlinks = true\n\tfileMode = true\n"
    "\texcludesFile = /dev/null\n";

// Returns whether nearly no room is left where git writes objects.
bool is_full(const std::string& path) {
  struct statvfs disk{};
  return ::statvfs(path.c_str(), &disk) == 0 &&
         (disk.f_bavail * disk.f_frsize < 16 << 20 || (disk.f_files > 0 && disk.f_favail < 100));
}

// Fails if git stopped because of a limit or of this machine. Its messages then say nothing about the objects. git's
// exit status is the same for a full disk and for a broken object, so the text of its message decides. An agent must
// not be able to write that text, so later messages count only if the disk is full indeed. The first one needs no such
// proof, and git has removed its temporary files by now.
Result<> was_let_finish(const Captured& ended, const Limits& limits, const Runner::Options& o) {
  if (ended.status == 0) return {};
  auto megabytes = [](uint64_t bytes) { return std::to_string(bytes >> 20) + " MB"; };
  auto errors = errors_in(ended.err);
  std::string_view first = errors.empty() ? "" : errors[0];
  // git's own messages begin with other words.
  if (ended.err.starts_with(Command::kShellFailed))
    return fail(Code::internal, "git cannot run: " + one_line(ended.err));
  int error = is_out_of_memory(first) ? ENOMEM : system_error_of(first), died_of = signal_of(first);
  for (std::string_view message : errors)
    if (int later = system_error_of(message); error == 0 && (later == ENOSPC || later == EDQUOT))
      if (is_full(o.objects.empty() ? o.in.path() : o.objects)) error = later;
  if (limits.memory > 0 && error == ENOMEM)
    return fail(Code::limit, "git needs more than " + megabytes(limits.memory) + " of memory");
  if (o.most_written > 0 && (ended.status == 128 + SIGXFSZ || died_of == SIGXFSZ))
    return fail(Code::limit, "git writes more than " + megabytes(o.most_written));
  for (int each : {ENOSPC, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, EAGAIN})
    if (error == each)
      return fail(error == ENOSPC || error == EDQUOT ? Code::no_space : Code::internal,
                  std::generic_category().message(error));
  // A kernel that runs out of memory kills processes, and so may the operator. A crash may be due to the objects.
  for (int signal : {SIGKILL, SIGTERM, SIGINT, SIGHUP})
    if (ended.status == 128 + signal || died_of == signal)
      return fail(Code::internal, "git was ended by signal " + std::to_string(signal));
  return {};
}

}  // namespace

Result<Runner> Runner::make(const std::string& state, const Limits& limits) {
  Runner runner;
  runner.limits_ = limits;
  std::string configuration = state + "/gitconfig";
  TRY(write_new_file(configuration, kConfiguration));
  runner.environment_ = environment(configuration);
  return runner;
}

// The command line has the git directory, then our settings, and then the caller's words. Settings on the command
// line override those of all files.
Result<Runner::Answer> Runner::run(const std::vector<std::string>& arguments, const Options& o) const {
  // Without --git-dir, git would look for a repository in the working directory and above it.
  if (!o.in) return fail(Code::internal, "git would run in a repository that bottle did not make");
  std::vector<std::string> argv = {"git", "--git-dir=" + o.in.path()};
  if (!o.work_tree.empty()) argv.push_back("--work-tree=" + o.work_tree);
  // The configuration comes from bottle and names no command. These settings turn off what git would do by default.
  // Without alternateRefsCommand, git would query the repository that it borrows objects from, under that repository's
  // configuration.
  for (const char* setting :
       {"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
        "core.alternateRefsCommand=true", "core.pager=cat", "core.bigFileThreshold=64m", "gc.auto=0",
        "maintenance.auto=false", "commit.gpgSign=false", "submodule.recurse=false", "advice.detachedHead=false"})
    argv.insert(argv.end(), {"-c", setting});
  // The second one is for git before 2.36.
  if (o.durable)
    argv.insert(argv.end(), {"-c", "core.fsync=objects,derived-metadata", "-c", "core.fsyncObjectFiles=true"});
  else if (!limits_.flush) argv.insert(argv.end(), {"-c", "core.fsync=none"});
  // Each thread keeps what it unpacks in memory, so with twenty threads, an honest pack would reach the limit.
  if (limits_.memory > 0) argv.insert(argv.end(), {"-c", "pack.threads=4"});
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Command command{.argv = std::move(argv),
                  .env = with_options(environment_, o, limits_.memory),
                  .clean_env = true,
                  .directory = o.work_tree.empty() ? o.in.path() : o.work_tree,
                  .most_memory = limits_.memory,
                  .most_written = o.most_written};
  // The input is a file and not a pipe, so git can read it at any time, and this process writes nothing meanwhile.
  UniqueFd in = TRY(make_memory_file("git", o.input));
  if (limits_.until.is_over()) return fail(Code::timed_out, verb(arguments) + ": the time for this step is up");
  // Checks the limit while git writes: a tree of a few bytes that names itself at ten levels produces a list of
  // gigabytes.
  auto ended = capture(command, {.input_fd = o.input_fd >= 0 ? o.input_fd : in.get(),
                                 .output_fd = o.output_fd,
                                 .timeout_ms = limits_.until.ms_left(o.timeout_s * 1000),
                                 .limit = limits_.answer,
                                 .stop = limits_.stop});
  if (!ended && ended.error().code == Code::not_found)
    return fail(Code::not_found, "git is not installed", "install git");
  TRY(during(verb(arguments), then(ended, [&](const auto& done) { return was_let_finish(done, limits_, o); })));
  return Answer{ended->status, std::move(ended->out), std::move(ended->err)};
}

Result<std::string> Runner::ask(const std::vector<std::string>& arguments, const Options& options) const {
  Answer answer = TRY(run(arguments, options));
  if (answer.status != 0) return fail(Code::unavailable, "git " + verb(arguments) + ": " + folded(answer.complaint));
  if (answer.out.ends_with('\n')) answer.out.pop_back();
  return std::move(answer.out);
}

Result<bool> Runner::agrees(const std::vector<std::string>& arguments, const Options& options) const {
  return TRY(run(arguments, options)).status == 0;
}

// Unlike run(), this reads the operator's own configuration, because that is what the caller asks about. `git config`
// runs no command of it.
Result<Runner::Answer> ask_operators_configuration(const std::vector<std::string>& arguments) {
  // git needs a directory, and /dev is one that is not a repository.
  Command command{.argv = {"git", "--git-dir=/dev", "config", "--includes", "--null"},
                  .env = environment_without_git(),
                  .clean_env = true,
                  .directory = "/"};
  // Keeps the variables by which the operator says where these files are.
  for (const char* name : {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"})
    if (const char* value = std::getenv(name)) command.env[name] = value;
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  auto ended = capture(command);
  if (!ended && ended.error().code == Code::not_found)
    return fail(Code::not_found, "git is not installed", "install git");
  if (!ended) return std::unexpected(std::move(ended.error()).during("reading your settings of git"));
  return Runner::Answer{ended->status, std::move(ended->out), std::move(ended->err)};
}

Result<std::string> version() {
  auto ended = TRY(capture({.argv = {"git", "--version"}, .env = environment_without_git(), .clean_env = true},
                           {.timeout_ms = 5000}));
  if (ended.status != 0) return fail(Code::unavailable, "git --version: " + folded(ended.err));
  return ended.out.substr(0, ended.out.find('\n'));
}

// Some systems add words of their own, as in "git version 2.39.5 (Apple Git-154)".
std::optional<Version> version_in(std::string_view text) {
  constexpr std::string_view kBefore = "git version ";
  if (!text.starts_with(kBefore)) return std::nullopt;
  text.remove_prefix(kBefore.size());
  size_t dot = text.find('.');
  if (dot == text.npos) return std::nullopt;
  std::string_view rest = text.substr(dot + 1);
  auto major = number_in<int>(text.substr(0, dot)),
       minor = number_in<int>(rest.substr(0, rest.find_first_not_of("0123456789")));
  if (!major || !minor) return std::nullopt;
  return Version{*major, *minor};
}

}  // namespace bottle::git
