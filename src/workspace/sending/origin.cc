// Makes a clone without `git clone`. A new, empty repository is made as files, pack-objects reads the operator's
// objects through a view and writes them as a pack, and the refs are written as one packed-refs file. git
// never runs in the operator's repository, and the clone has only the objects that the sent refs reach.
//
// Failing to send the remote branches or the tags does not fail a start, because the agent can work without them.
#include "workspace/sending/origin.h"

#include "base/files/file.h"
#include "base/text/line.h"
#include "git/formats/config.h"
#include "workspace/files/scratch_directory.h"
#include "workspace/files/transfer.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostRemoteBranches = 10;

// Returns the error for missing objects, with what the operator can do about it.
std::unexpected<Error> incomplete(const Origin& origin, const std::string& complaint) {
  const auto& repository = origin.repository;
  std::string todo;
  if (repository.settings.partial)
    todo =
        "it is a partial clone, and bottle does not fetch what is missing; first get all of its objects with "
        "`git fetch --refetch --no-filter`";
  else if (repository.objects.size() > 1)
    todo = "it borrows objects from " + one_line(repository.objects[1], 4096) + "; check that they are all there";
  return fail(Code::unavailable,
              "objects of the repository at " + one_line(repository.top, 4096) +
                  " are missing or broken: git: " + folded(complaint),
              todo);
}

// Returns the branch that HEAD's branch follows, such as refs/remotes/origin/main. Returns an empty string if it is
// unknown here.
std::string upstream_of(const Origin& origin) {
  constexpr std::string_view kHeads = "refs/heads/";
  const auto& settings = origin.repository.settings;
  if (!origin.head.branch.starts_with(kHeads)) return "";
  std::string branch = origin.head.branch.substr(kHeads.size());
  auto remote = settings.followed.find(branch), ref = settings.merged.find(branch);
  if (remote == settings.followed.end() || ref == settings.merged.end() || !ref->second.starts_with(kHeads)) return "";
  return "refs/remotes/" + remote->second + "/" + ref->second.substr(kHeads.size());
}

// Returns the remote branches to send, if their commits exist in this repository.
Result<git::Refs> remotes_of(const git::Runner& git, const Origin& origin, const std::string& upstream) {
  git::Refs wanted, all = TRY(git::read_refs(origin.repository, "refs/remotes/"));
  for (const std::string& name : {upstream, std::string("refs/remotes/origin/HEAD"),
                                  std::string("refs/remotes/origin/main"), std::string("refs/remotes/origin/master")})
    if (auto found = all.find(name); found != all.end()) wanted.insert(*found);
  // The branch that origin/HEAD points to goes under its own name.
  if (auto head = all.find("refs/remotes/origin/HEAD"); head != all.end())
    for (const auto& [name, id] : all)
      if (id == head->second && name.starts_with("refs/remotes/origin/")) {
        wanted.emplace(name, id);
        if (wanted.size() > kMostRemoteBranches) break;
      }
  if (wanted.empty()) return wanted;
  std::string ids;
  for (const auto& [name, id] : wanted) ids += id + "\n";
  std::string there = TRY(git.ask({"cat-file", "--batch-check", "--buffer"}, {.in = origin.view, .input = ids})) + "\n";
  // In a partial repository, a remote branch may name a commit that is missing. pack-objects would fail for it.
  std::erase_if(wanted, [&](const auto& ref) { return there.find(ref.second + " commit ") == std::string::npos; });
  return wanted;
}

// Writes a pack into the clone. pack-objects reads the objects through the view, so no other process has to index them.
Result<> copy_objects(const git::Runner& git, const Origin& origin, const git::Refs& remotes,
                      const git::Directory& to) {
  std::string wanted = origin.head.commit + "\n";
  for (const auto& [name, id] : remotes) wanted += id + "\n";
  auto answer = TRY(git.run(
      {"pack-objects", "--quiet", "--revs", "--include-tag", "--delta-base-offset", to.path() + "/objects/pack/pack"},
      {.in = origin.view, .input = wanted}));
  return answer.status == 0 ? Result<>{} : incomplete(origin, answer.complaint);
}

}  // namespace

Result<Origin> origin_of(const git::Repository& repository, const std::string& state) {
  Origin origin{.repository = repository, .head = TRY(git::read_head(repository)), .view = {}};
  if (origin.head.commit.empty()) return origin;
  auto tags = TRY(git::read_refs(repository, "refs/tags/"));
  origin.has_tags = !tags.empty();
  git::View view{.head = origin.head.commit, .packed_refs = git::packed(tags)};
  origin.view = TRY(git::make_view(repository, state + "/view", view));
  return origin;
}

Result<> check_objects(const std::string& source, const std::string& scratch) {
  auto repository = TRY(git::find(source));
  // A repository that is not partial and borrows no objects needs no check, which would take seconds for a large one.
  if (!repository || (!repository->settings.partial && repository->objects.size() == 1)) return {};
  auto state = TRY(ScratchDirectory::make(scratch, "check"));
  Origin origin = TRY(origin_of(*repository, state.path()));
  if (origin.head.commit.empty()) return {};
  git::Runner git = TRY(git::Runner::make(state.path()));
  auto whole = TRY(git.run({"rev-list", "--objects", "--quiet", origin.head.commit, "--"}, {.in = origin.view}));
  return whole.status == 0 ? Result<>{} : incomplete(origin, whole.complaint);
}

Committer committer_of(const git::Settings& settings) {
  // .invalid never becomes a real domain (RFC 2606).
  return {settings.name.empty() ? "agent" : settings.name,
          settings.email.empty() ? "agent@bottle.invalid" : settings.email};
}

Result<git::Directory> clone(const git::Runner& git, const Origin& origin, const std::string& to,
                             const CloneSettings& settings, std::vector<std::string>& warnings) {
  const auto& [branch, commit] = origin.head;
  std::string upstream = upstream_of(origin);
  git::Refs remotes = TRY(remotes_of(git, origin, upstream));
  std::string config =
      git::config_line("user.name", settings.committer.name) + git::config_line("user.email", settings.committer.email);
  if (remotes.contains(upstream)) {  // there is no remote, so the branch follows it like a branch of the same
                                     // repository
    std::string name = "branch." + branch.substr(std::string_view("refs/heads/").size());
    config += git::config_line(name + ".remote", ".") + git::config_line(name + ".merge", upstream);
  }
  // A clone without a branch has a detached HEAD at the same commit.
  git::Directory made = TRY(git::Directory::make(to, {.format = origin.repository.settings.format,
                                                      .bare = false,
                                                      .head = branch.empty() ? commit : branch,
                                                      .config = config,
                                                      .shallow = origin.repository.shallow,
                                                      .exclude = settings.exclude}));
  auto tags = in_parallel([&]() -> Result<std::string> {
    if (!origin.has_tags) return "";
    return git.ask({"for-each-ref", "--merged=" + commit, "--format=%(objectname) %(refname)", "refs/tags"},
                   {.in = origin.view});
  });
  auto copied = copy_objects(git, origin, remotes, made);
  // The history of a remote branch may be incomplete although HEAD's is not.
  if (!copied && !remotes.empty()) {
    remotes.clear();
    copied = copy_objects(git, origin, remotes, made);
  }
  auto listed = tags.get();
  TRY(copied);
  if (!listed) warnings.push_back("the tags were not sent: " + one_line(listed.error().what));
  git::Refs refs = std::move(remotes);
  // Only tags on the sent history are sent, because others would need objects that are not in the clone.
  refs.merge(git::parse_packed_refs(listed.value_or(""), "refs/tags/"));
  if (!branch.empty()) refs[branch] = commit;
  TRY(write_new_file(to + "/packed-refs", git::packed(refs)));
  return made;
}

}  // namespace bottle::workspace
