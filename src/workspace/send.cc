#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/defer.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/line.h"
#include "git/objects.h"
#include "workspace/origin.h"
#include "workspace/pack.h"
#include "workspace/paths.h"
#include "workspace/place.h"
#include "workspace/workspace.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

constexpr int kStatusPatience = 30;  // seconds

// Whether a checkout writes something else than what is committed: line ends, keywords, encodings. No filter is ever
// run.
bool converts(const std::vector<git::Entry>& entries, const git::Runner& git, const git::Directory& repository) {
  std::vector<std::string> rules;
  for (const auto& entry : entries)
    if (entry.path == ".gitattributes" || entry.path.ends_with("/.gitattributes")) rules.push_back(entry.object);
  auto texts = git::small_blobs(git, rules, 1 << 20, {.in = repository});
  return !texts || std::ranges::any_of(rules, [&](const std::string& id) {
    auto text = texts->find(id);
    return text == texts->end() || std::ranges::any_of(std::array{"crlf", "ident", "encoding"}, [&](const char* word) {
             return text->second.find(word) != std::string::npos;
           });
  });
}

// Some two thousand files at most, as far as its index tells: those are sooner written by git than asked of it.
bool is_small(const git::Repository& repository) {
  std::error_code error;
  auto size = std::filesystem::file_size(repository.git_dir + "/index", error);
  return !error && size < (256 << 10);
}

// What send() does for a repository: its parts run side by side where they can.
class Sender {
 public:
  Sender(const git::Runner& git, Origin origin, const std::string& state, Packer& packer, Summary& summary)
      : git_(git), origin_(std::move(origin)), state_(state), packer_(packer), summary_(summary) {
    settings_ = beside([this] { return git::settings_in(origin_.repository, origin_.head.branch); }).share();
  }

  Result<> clone() {
    const std::string& head = origin_.head.commit;
    auto status = beside([this] { return about_changes(); });
    bool checkout = is_small(origin_.repository);
    std::vector<git::Entry> entries;
    git::Directory made = TRY(cloned());
    summary_.base = head;
    if (!checkout) {
      entries = TRY(git::list_tree(git_, head, {.in = made}));
      checkout = converts(entries, git_, made);
    }
    if (checkout) TRY(git_.ask({"read-tree", "--reset", "-u", "HEAD"}, {.in = made, .work_tree = copy()}));
    else TRY(git_.ask({"read-tree", "HEAD"}, {.in = made}));
    if (auto warning = status.get(); !warning.empty()) summary_.warnings.push_back(warning);
    if (checkout) return packer_.pack(copy(), true);
    TRY(packer_.pack_under(made.path(), ".git"));
    return packer_.pack_commit(git_, entries, made);
  }

  // The tree as it is. Its .git goes along where it is whole; else a clone's takes its place.
  Result<> copy(const std::string& source) {
    const auto& repository = origin_.repository;
    bool at_top = repository.top == source, borrows = repository.objects.size() > 1;
    bool own_git = at_top && repository.git_dir == source + "/.git" && !borrows;
    auto is_commit = beside([this] {
      return git_.ask({"cat-file", "-t", origin_.head.commit}, {.in = origin_.view}).value_or("") == "commit";
    });
    TRY(packer_.pack(source, own_git));
    if (!at_top || !is_commit.get()) return {};
    summary_.base = origin_.head.commit;
    if (own_git) return {};
    git::Directory made = TRY(cloned());
    TRY(git_.ask({"read-tree", "HEAD"}, {.in = made}));
    return packer_.pack_under(made.path(), ".git");
  }

 private:
  std::string copy() const { return state_ + "/tree"; }

  Result<git::Directory> cloned() {
    TRY(make_directories(copy()));
    return workspace::clone(git_, origin_, copy() + "/.git", committer_of(settings_.get()), summary_.warnings);
  }

  // A warning, or nothing: whether there are changes that a clone does not take.
  std::string about_changes() {
    const std::string stay = " stay here: the clone holds HEAD (workspace: copy takes them along)";
    auto settings = settings_.get();
    auto view =
        git::make_view(origin_.repository, state_ + "/status", {.head = origin_.head.commit, .settings = &settings});
    auto status = view ? git_.run({"status", "--porcelain", "--no-renames", "--ignore-submodules=all"},
                                  {.in = *view, .work_tree = origin_.repository.top, .timeout_s = kStatusPatience})
                       : std::unexpected(std::move(view.error()));
    if (!status || status->status != 0) return "uncommitted changes, if there are any (git could not tell)," + stay;
    return status->out.empty() ? "" : "uncommitted changes" + stay;
  }

  const git::Runner& git_;
  Origin origin_;
  const std::string& state_;
  Packer& packer_;
  Summary& summary_;
  std::shared_future<git::Settings> settings_;
};

}  // namespace

Result<Summary> send(const Outgoing& outgoing, const Sink& sink) {
  Summary summary;
  if (outgoing.mode != WorkspaceMode::copy && outgoing.mode != WorkspaceMode::clone) return summary;
  std::error_code error;
  std::string source = std::filesystem::canonical(outgoing.source, error).string();
  if (error)
    return fail(Code::not_found,
                "the workspace " + one_line(outgoing.source) + " cannot be opened: " + error.message());
  TRY(check_place(outgoing.source));
  auto repository = TRY(git::find(source));
  std::string state = outgoing.scratch + "/outgoing-" + random_hex(4);
  TRY(make_directories(state));
  Defer clean([&] {
    std::error_code ignored;
    std::filesystem::remove_all(state, ignored);
  });
  Packer packer(outgoing, summary, sink);
  std::optional<Origin> origin;
  if (repository) origin = TRY(origin_of(*repository, state));
  if (outgoing.mode == WorkspaceMode::clone && (!origin || origin->head.commit.empty()))
    summary.warnings.push_back(origin ? "the repository has no commit: copied instead of cloned"
                                      : "not a git repository: copied instead of cloned");
  if (!origin || origin->head.commit.empty()) {
    struct stat st{};
    bool own_git = origin && ::lstat((source + "/.git").c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    TRY(packer.pack(source, own_git));
  } else {
    git::Runner git = TRY(git::Runner::make(state));
    Sender sender(git, std::move(*origin), state, packer, summary);
    TRY(outgoing.mode == WorkspaceMode::clone ? sender.clone() : sender.copy(source));
  }
  TRY(packer.finish());
  return summary;
}

}  // namespace bottle::workspace
