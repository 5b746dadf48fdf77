#include "workspace/git.h"

#include <sys/mman.h>
#include <unistd.h>

#include <map>

#include "base/file.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "workspace/paths.h"

namespace bottle::workspace {
namespace {

Result<UniqueFd> memory(std::string_view content = {}) {
  UniqueFd fd(::memfd_create("git", MFD_CLOEXEC));
  if (!fd) return fail_errno("memfd_create");
  TRY(write_all(fd.get(), content));
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

Result<std::string> content_of(int fd) {
  ::lseek(fd, 0, SEEK_SET);
  std::string out;
  char buffer[65536];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading git's output");
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > (256u << 20)) return fail(Code::limit, "git's output is too long");
  }
}

// The operator's environment without anything that would steer git elsewhere.
std::map<std::string, std::string> environment(const std::string& configuration, const Git::Options& o) {
  std::map<std::string, std::string> out = {
      {"LC_ALL", "C"}, {"GIT_TERMINAL_PROMPT", "0"}, {"GIT_OPTIONAL_LOCKS", "0"}, {"GIT_NO_REPLACE_OBJECTS", "1"}, {"GIT_ATTR_NOSYSTEM", "1"},
      {"GIT_ALLOW_PROTOCOL", "file"}, {"GIT_AUTHOR_NAME", "bottle"}, {"GIT_AUTHOR_EMAIL", "bottle@localhost"},
      {"GIT_COMMITTER_NAME", "bottle"}, {"GIT_COMMITTER_EMAIL", "bottle@localhost"}, {"GIT_PAGER", "cat"}};
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
  return out;
}

}  // namespace

Result<Git> Git::make(const std::string& state, const std::vector<std::string>& trusted) {
  std::string text = "[safe]\n";
  for (const auto& directory : trusted) {
    if (directory.find_first_of("\n\r\0") != std::string::npos) return fail(Code::invalid, "a directory with a newline in its name");
    std::string quoted;
    for (char c : directory) quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    text += "\tdirectory = \"" + quoted + "\"\n\tdirectory = \"" + quoted + "/.git\"\n";
  }
  Git git;
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
  for (const char* setting : {"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null", "core.excludesFile=/dev/null",
                              "core.pager=cat", "core.autocrlf=false", "core.safecrlf=false", "core.symlinks=true", "core.fileMode=true",
                              "core.bigFileThreshold=64m", "gc.auto=0", "maintenance.auto=false", "commit.gpgSign=false",
                              "fetch.recurseSubmodules=no", "submodule.recurse=false", "advice.detachedHead=false"})
    if (!o.operators_configuration) argv.insert(argv.end(), {"-c", setting});
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Command command{.argv = std::move(argv), .env = environment(configuration_, o), .clean_env = true};
  UniqueFd in = TRY(memory(o.input)), out = TRY(memory()), complaint = TRY(memory());
  auto child = Child::spawn(command, Child::from(o.input_fd >= 0 ? o.input_fd : in.get()),
                            Child::from(o.output_fd >= 0 ? o.output_fd : out.get()), Child::from(complaint.get()));
  if (!child && child.error().code == Code::not_found) return fail(Code::not_found, "git is not installed", "install git");
  if (!child) return std::unexpected(child.error());
  auto status = child->wait(o.timeout_s * 1000);
  if (!status) {
    child->end(0);
    return fail(Code::timed_out, "git " + (arguments.empty() ? "" : arguments[0]) + " did not end within " + std::to_string(o.timeout_s) + " s");
  }
  Answer answer;
  answer.status = *status;
  if (o.output_fd < 0) answer.out = TRY(content_of(out.get()));
  answer.complaint = TRY(content_of(complaint.get()));
  return answer;
}

Result<std::string> Git::ask(const std::vector<std::string>& arguments, const Options& options) const {
  Answer answer = TRY(run(arguments, options));
  if (answer.status != 0)
    return fail(Code::unavailable, "git " + arguments[0] + ": " + printable(answer.complaint.substr(0, 1000)));
  if (answer.out.ends_with('\n')) answer.out.pop_back();
  return std::move(answer.out);
}

bool is_object_id(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_branch_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name == "HEAD" || name == "@") return false;
  for (const auto& part : split_path(name)) {
    if (part.empty() || part.front() == '.' || part.front() == '-' || part.back() == '.' || part.ends_with(".lock")) return false;
    for (char c : part)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("._-+@=#").find(c) != std::string_view::npos))
        return false;
  }
  return name.find("..") == std::string_view::npos && name.find("@{") == std::string_view::npos;
}

}  // namespace bottle::workspace
