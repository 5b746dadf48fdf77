#include "workspace/origin.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/line.h"
#include "base/unique_fd.h"
#include "workspace/paths.h"

namespace bottle::workspace {
namespace {

std::string take_last_line(std::string& text) {
  if (text.ends_with('\n')) text.pop_back();
  size_t begin = text.rfind('\n');
  std::string line = text.substr(begin == std::string::npos ? 0 : begin + 1);
  text.resize(begin == std::string::npos ? 0 : begin);
  return line;
}

std::string quoted(const std::string& value) {
  std::string out = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + '"';
}

// What `git init` would make, and no more.
Result<> make_repository(const Origin& origin, const std::string& to, const Committer& committer) {
  std::string git = to + "/.git";
  for (const char* part : {"/objects/pack", "/refs/heads", "/refs/tags"}) TRY(make_directories(git + part));
  bool sha256 = origin.head.size() == 64;
  TRY(write_file_atomically(git + "/config",
                            std::string("[core]\n\trepositoryformatversion = ") + (sha256 ? "1" : "0") +
                                "\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n" +
                                (sha256 ? "[extensions]\n\tobjectformat = sha256\n" : "") + "[user]\n\tname = " +
                                quoted(committer.name) + "\n\temail = " + quoted(committer.email) + "\n"));
  return write_file_atomically(git + "/HEAD", (origin.branch.empty() ? origin.head : "ref: " + origin.branch) + "\n");
}

// Both ends of a shallow history know where it stops.
Result<> copy_shallow(const Git& git, const std::string& from, const std::string& to) {
  std::string path = TRY(git.ask({"rev-parse", "--git-path", "shallow"}, {.directory = from}));
  if (!path.starts_with('/')) path = from + "/" + path;
  return write_file_atomically(to + "/.git/shallow", TRY(read_file(path)));
}

Result<> copy_objects(const Git& git, const Origin& origin, const std::string& to) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe");
  UniqueFd out(ends[0]), in(ends[1]);
  auto packed = beside([&] {
    UniqueFd mine = std::move(in);  // index-pack sees the end when this is closed
    return git.run({"pack-objects", "--quiet", "--revs", "--include-tag", "--delta-base-offset", "--stdout"},
                   {.directory = origin.top, .input = origin.head + "\n", .output_fd = mine.get()});
  });
  auto indexed = git.ask({"index-pack", "--stdin"}, {.directory = to, .input_fd = out.get()});
  out.reset();  // if that failed, nobody reads what is still packed
  auto answer = TRY(packed.get());
  if (answer.status != 0 && !answer.complaint.empty())
    return fail(Code::unavailable, "git pack-objects: " + folded(answer.complaint));
  TRY(indexed);
  return {};
}

}  // namespace

Origin origin_of(const Git& git, const std::string& directory) {
  auto found = git.run(
      {"rev-parse", "--show-toplevel", "--is-shallow-repository", "HEAD^{commit}", "--symbolic-full-name", "HEAD"},
      {.directory = directory});
  if (!found || found->out.empty()) return {};
  std::string& out = found->out;
  Origin origin;
  if (found->status == 0) origin.branch = take_last_line(out);
  origin.head = take_last_line(out);  // or, where there is none, the question again
  if (found->status != 0 || !is_object_id(origin.head)) origin.head.clear();
  if (!origin.branch.starts_with("refs/heads/")) origin.branch.clear();
  origin.shallow = take_last_line(out) == "true";
  origin.top = std::move(out);
  return origin;
}

Committer committer_of(const Git& git, const std::string& directory) {
  Committer committer{"agent", "agent@bottle.invalid"};
  auto found = git.run({"config", "--null", "--get-regexp", "^user\\.(name|email)$"},
                       {.directory = directory, .operators_configuration = true});
  if (!found || found->status != 0) return committer;
  for (size_t at = 0, end; (end = found->out.find('\0', at)) != std::string::npos; at = end + 1) {
    std::string_view entry = std::string_view(found->out).substr(at, end - at);
    size_t line = entry.find('\n');  // "user.name", newline, the value; of several the last one holds
    if (line == std::string_view::npos || line + 1 == entry.size()) continue;
    (entry.substr(0, line) == "user.name" ? committer.name : committer.email) = entry.substr(line + 1);
  }
  return committer;
}

Result<> clone(const Git& git, const Origin& origin, const std::string& to, const Committer& committer) {
  TRY(make_repository(origin, to, committer));
  if (origin.shallow) TRY(copy_shallow(git, origin.top, to));
  auto tags = beside([&] {
    return git.ask({"for-each-ref", "--merged=" + origin.head, "--format=%(objectname) %(refname)", "refs/tags"},
                   {.directory = origin.top});
  });
  auto copied = copy_objects(git, origin, to);
  std::string refs = TRY(tags.get());
  TRY(copied);
  if (!refs.empty()) refs += '\n';
  if (!origin.branch.empty()) refs += origin.head + " " + origin.branch + "\n";
  return write_file_atomically(to + "/.git/packed-refs", refs);
}

}  // namespace bottle::workspace
