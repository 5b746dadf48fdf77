#include "workspace/git.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/line.h"
#include "base/os/process.h"
#include "base/unique_fd.h"
#include "workspace/paths.h"

namespace bottle::workspace {
namespace {

Result<UniqueFd> memory(std::string_view content) {
  UniqueFd fd(::memfd_create("git", MFD_CLOEXEC));
  if (!fd) return fail_errno("memfd_create");
  TRY(write_all(fd.get(), content));
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string verb(const std::vector<std::string>& arguments) {
  size_t at = 0;
  while (at + 2 < arguments.size() && arguments[at] == "-c") at += 2;
  return arguments[at];
}

// The operator's environment without anything that would steer git elsewhere.
std::map<std::string, std::string> environment(const std::string& configuration, const Git::Options& o,
                                               uint64_t memory) {
  std::map<std::string, std::string> out = {{"LC_ALL", "C"},
                                            {"GIT_TERMINAL_PROMPT", "0"},
                                            {"GIT_OPTIONAL_LOCKS", "0"},
                                            {"GIT_NO_REPLACE_OBJECTS", "1"},
                                            {"GIT_ATTR_NOSYSTEM", "1"},
                                            {"GIT_ALLOW_PROTOCOL", "file"},
                                            {"GIT_AUTHOR_NAME", "bottle"},
                                            {"GIT_AUTHOR_EMAIL", "bottle@localhost"},
                                            {"GIT_COMMITTER_NAME", "bottle"},
                                            {"GIT_COMMITTER_EMAIL", "bottle@localhost"},
                                            {"GIT_PAGER", "cat"}};
  for (char** e = environ; *e; ++e) {
    std::string_view entry(*e), name = entry.substr(0, entry.find('='));
    if (name.size() < entry.size() && !name.starts_with("GIT_")) out.emplace(name, entry.substr(name.size() + 1));
  }
  if (o.literal_paths) out["GIT_LITERAL_PATHSPECS"] = "1";
  if (!o.operators_configuration) {
    out["GIT_CONFIG_NOSYSTEM"] = "1";
    out["GIT_CONFIG_GLOBAL"] = configuration;
  }
  if (!o.index.empty()) out["GIT_INDEX_FILE"] = o.index;
  // Of one allocation: the limit of the process where the system sets none, or not before git has started another
  // process.
  if (memory > 0) out["GIT_ALLOC_LIMIT"] = std::to_string(memory);
  return out;
}

// It was not refused but cut off: what git says then (wrapper.c, run-command.c) tells nothing of the objects.
Result<> was_let_finish(const Captured& ended, uint64_t memory, uint64_t written) {
  auto says = [&](std::string_view text) { return ended.err.find(text) != std::string::npos; };
  auto megabytes = [](uint64_t bytes) { return std::to_string(bytes >> 20) + " MB"; };
  if (ended.status == 0) return {};
  if (memory > 0 && (says("ut of memory") || says("over limit")))
    return fail(Code::limit, "git needs more than " + megabytes(memory) + " of memory");
  if (written > 0 && (ended.status == 128 + SIGXFSZ || says("died of signal " + std::to_string(SIGXFSZ))))
    return fail(Code::limit, "git writes more than " + megabytes(written));
  return {};
}

}  // namespace

Result<Git> Git::make(const std::string& state, const std::vector<std::string>& trusted, const GitLimits& limits) {
  std::string text = "[safe]\n";
  for (const auto& directory : trusted) {
    if (directory.find_first_of("\n\r\0") != std::string::npos)
      return fail(Code::invalid, "a directory with a newline in its name");
    std::string quoted;
    for (char c : directory) quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    text += "\tdirectory = \"" + quoted + "\"\n\tdirectory = \"" + quoted + "/.git\"\n";
  }
  Git git;
  git.limits_ = limits;
  git.configuration_ = state + "/gitconfig";
  TRY(write_file_atomically(git.configuration_, text));
  return git;
}

Result<Git::Answer> Git::run(const std::vector<std::string>& arguments, const Options& o) const {
  std::vector<std::string> argv = {"git"};
  if (!o.directory.empty()) argv.insert(argv.end(), {"-C", o.directory});
  if (!o.git_dir.empty()) argv.push_back("--git-dir=" + o.git_dir);
  if (!o.work_tree.empty()) argv.push_back("--work-tree=" + o.work_tree);
  // Nothing a repository configures is run, whoever's it is.
  for (const char* setting :
       {"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
        "core.excludesFile=/dev/null", "core.pager=cat", "core.autocrlf=false", "core.safecrlf=false",
        "core.symlinks=true", "core.fileMode=true", "core.bigFileThreshold=64m", "gc.auto=0", "maintenance.auto=false",
        "commit.gpgSign=false", "fetch.recurseSubmodules=no", "submodule.recurse=false", "advice.detachedHead=false"})
    if (!o.operators_configuration) argv.insert(argv.end(), {"-c", setting});
  if (limits_.memory > 0)
    argv.insert(
        argv.end(),
        {"-c", "pack.threads=4"});  // each keeps what it unpacks: of twenty the limit would be for an honest pack
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Command command{.argv = std::move(argv),
                  .env = environment(configuration_, o, limits_.memory),
                  .clean_env = true,
                  .most_memory = limits_.memory,
                  .most_written = o.most_written};
  UniqueFd in = TRY(memory(o.input));
  auto left =
      std::chrono::duration_cast<std::chrono::seconds>(limits_.until - std::chrono::steady_clock::now()).count();
  if (left <= 0) return fail(Code::timed_out, verb(arguments) + ": no time is left for it");
  // Read while it is written: a tree of few bytes that names itself at ten levels makes a list of gigabytes.
  auto ended = capture(command, {.input_fd = o.input_fd >= 0 ? o.input_fd : in.get(),
                                 .output_fd = o.output_fd,
                                 .timeout_ms = static_cast<int>(std::min<int64_t>(o.timeout_s, left)) * 1000,
                                 .limit = limits_.answer});
  if (!ended && ended.error().code == Code::not_found)
    return fail(Code::not_found, "git is not installed", "install git");
  if (auto cut_off =
          ended ? was_let_finish(*ended, limits_.memory, o.most_written) : std::unexpected(std::move(ended.error()));
      !cut_off)
    return std::unexpected(std::move(cut_off.error()).during(verb(arguments)));
  return Answer{ended->status, std::move(ended->out), std::move(ended->err)};
}

Result<std::string> Git::ask(const std::vector<std::string>& arguments, const Options& options) const {
  Answer answer = TRY(run(arguments, options));
  if (answer.status != 0) return fail(Code::unavailable, "git " + arguments[0] + ": " + folded(answer.complaint));
  if (answer.out.ends_with('\n')) answer.out.pop_back();
  return std::move(answer.out);
}

Result<bool> Git::agrees(const std::vector<std::string>& arguments, const Options& options) const {
  return TRY(run(arguments, options)).status == 0;
}

bool is_object_id(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_branch_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name == "HEAD" || name == "@") return false;
  for (const auto& part : split_path(name)) {
    if (part.empty() || part.front() == '.' || part.front() == '-' || part.back() == '.' || part.ends_with(".lock"))
      return false;
    for (char c : part)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            std::string_view("._-+@=#").find(c) != std::string_view::npos))
        return false;
  }
  return name.find("..") == std::string_view::npos && name.find("@{") == std::string_view::npos;
}

}  // namespace bottle::workspace
