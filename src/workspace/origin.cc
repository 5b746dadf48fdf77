#include "workspace/origin.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/line.h"
#include "base/unique_fd.h"
#include "git/config.h"

namespace bottle::workspace {
namespace {

std::unexpected<Error> incomplete(const Origin& origin, const std::string& complaint) {
  const auto& repository = origin.repository;
  std::string todo;
  if (repository.settings.partial)
    todo =
        "it is a partial clone, and nothing is fetched on behalf of a repository: get all of its objects first, with "
        "git fetch --refetch --no-filter";
  else if (repository.objects.size() > 1)
    todo = "it borrows objects from " + one_line(repository.objects[1], 4096) + ": see whether they are all there";
  return fail(Code::unavailable,
              "objects of the repository at " + one_line(repository.top, 4096) +
                  " are missing or broken: git pack-objects: " + folded(complaint),
              todo);
}

Result<> copy_objects(const git::Runner& git, const Origin& origin, const git::Directory& to) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe");
  UniqueFd out(ends[0]), in(ends[1]);
  auto packed = beside([&] {
    UniqueFd mine = std::move(in);  // index-pack sees the end when this is closed
    return git.run({"pack-objects", "--quiet", "--revs", "--include-tag", "--delta-base-offset", "--stdout"},
                   {.in = origin.view, .input = origin.head.commit + "\n", .output_fd = mine.get()});
  });
  auto indexed = git.ask({"index-pack", "--stdin"}, {.in = to, .input_fd = out.get()});
  out.reset();  // if that failed, nobody reads what is still packed
  auto answer = TRY(packed.get());
  if (answer.status != 0 && !answer.complaint.empty()) return incomplete(origin, answer.complaint);
  TRY(indexed);
  return {};
}

}  // namespace

Result<Origin> origin_of(const git::Repository& repository, const std::string& state) {
  Origin origin{repository, TRY(git::read_head(repository)), {}};
  if (origin.head.commit.empty()) return origin;
  git::View view{.head = origin.head.commit, .packed_refs = git::packed(TRY(git::read_refs(repository, "refs/tags/")))};
  origin.view = TRY(git::make_view(repository, state + "/view", view));
  return origin;
}

Committer committer_of(const git::Settings& settings) {
  return {settings.name.empty() ? "agent" : settings.name,
          settings.email.empty() ? "agent@bottle.invalid" : settings.email};
}

Result<git::Directory> clone(const git::Runner& git, const Origin& origin, const std::string& to,
                             const Committer& committer, std::vector<std::string>& warnings) {
  const auto& [branch, commit] = origin.head;
  git::Directory made = TRY(git::Directory::make(
      to, {.format = origin.repository.settings.format,
           .bare = false,
           .head = branch.empty() ? commit : branch,
           .config = git::config_line("user.name", committer.name) + git::config_line("user.email", committer.email),
           .shallow = origin.repository.shallow}));
  auto tags = beside([&] {
    return git.ask({"for-each-ref", "--merged=" + commit, "--format=%(objectname) %(refname)", "refs/tags"},
                   {.in = origin.view});
  });
  auto copied = copy_objects(git, origin, made);
  auto listed = tags.get();
  TRY(copied);
  if (!listed) warnings.push_back("the tags stay here: " + one_line(listed.error().what));
  std::string refs = listed.value_or("");
  if (!refs.empty()) refs += '\n';
  if (!branch.empty()) refs = commit + " " + branch + "\n" + refs;
  TRY(write_file_atomically(to + "/packed-refs", refs));
  return made;
}

}  // namespace bottle::workspace
