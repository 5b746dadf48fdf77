// Receives a workspace with all repositories in it. The archive is unpacked once, into one quarantine for each
// repository that was sent. Each Homecoming then compares its quarantine with what was sent, and brings refs and files
// home. Nothing that the archive says decides where something is written: places, refs and results come from the record
// and the plan.
//
// A repository that can no longer be read does not stop the others. Receiving fails only if it is the workspace's own
// repository; the caller then keeps the archive.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/ids.h"
#include "base/keyed_hash.h"
#include "base/os/deadline.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/text/shell_word.h"
#include "wire/repositories/repositories.h"
#include "workspace/files/paths.h"
#include "workspace/files/scratch_directory.h"
#include "workspace/files/untar.h"
#include "workspace/receiving/advice.h"
#include "workspace/receiving/homecoming.h"
#include "workspace/receiving/ref_names.h"
#include "workspace/unmoved.h"
#include "workspace/workspace.h"

namespace bottle::workspace {
namespace {

// Ignored files of at most this many bytes are copied, although no pattern asked to keep them.
constexpr uint64_t kCopiedIgnored = 32 << 20;

// Returns the repository that the work started from.
Result<std::optional<git::Repository>> original_at(const std::string& source) {
  std::error_code error;
  std::string path = std::filesystem::canonical(source, error).string();
  if (error == std::errc::no_such_file_or_directory)
    return fail(Code::not_found, one_line(source) + " no longer exists");
  if (error) return fail(Code::not_found, one_line(source) + ": " + error.message());
  TRY(check_unmoved(source));
  auto found = TRY(git::find(path));
  if (!found || found->top != path) return fail(Code::not_found, one_line(path) + " is no longer a git repository");
  return found;
}

// Receives all repositories of one workspace.
class Reception {
 public:
  Reception(Incoming in, git::Runner& git, const std::string& root, const std::string& results)
      : in_(std::move(in)), git_(git), root_(root), results_(results), room_(in_.room ? *in_.room : own_room_) {}

  Result<> prepare() {
    auto sent = TRY(read_sent(in_.record));
    if (sent) {
      in_.elsewhere |= !sent->start.empty();
      in_.keep_ignored |= sent->keep_ignored;
      in_.keep.insert(in_.keep.end(), sent->keep.begin(), sent->keep.end());
    }
    // Without a record, there is only the workspace itself.
    std::vector<SentRepository> repositories = {{"", in_.base, {}, ".git"}};
    bool is_repository = !in_.base.empty();
    for (const auto& each : sent ? sent->repositories : std::vector<SentRepository>()) {
      if (!each.path.empty()) repositories.push_back(each);
      else if (each.base == in_.base)
        repositories[0].refs = each.refs, repositories[0].packs = each.packs, is_repository = true;
    }
    std::ranges::sort(repositories, {}, &SentRepository::path);  // the workspace's own comes first
    // Counts how many of the repositories use each object store.
    std::map<std::string, int> stores;
    std::vector<Homecoming::Origin> origins;
    for (const auto& each : repositories) {
      auto original = each.path.empty() && !is_repository
                          ? Result<std::optional<git::Repository>>(std::nullopt)
                          : original_at(each.path.empty() ? in_.source : in_.source + "/" + each.path);
      if (!original && each.path.empty()) return std::unexpected(std::move(original.error()));
      Homecoming::Origin origin{original.value_or(std::nullopt), each.base, each.refs,
                                original ? "" : original.error().what, each.packs};
      // Without the repository there are no objects to compare with, so its files are treated as those of a plain
      // directory.
      if (!origin.repository) origin.base.clear();
      else ++stores[origin.repository->common_dir];
      origins.push_back(std::move(origin));
    }
    // This is a second loop, because only now is it known which repositories share an object store.
    for (size_t i = 0; i < repositories.size(); ++i) {
      // Linked work trees write to the same repository. The names of the inner ones' refs therefore get an additional
      // part.
      bool shares = origins[i].repository && stores[origins[i].repository->common_dir] > 1;
      add(repositories[i], std::move(origins[i]), shares && i > 0);
    }
    for (auto& outer : quarantines_)
      for (const auto& inner : quarantines_)
        if (auto path = path_below(outer->place, inner->place); !path.empty()) outer->nested.insert(path);
    if (sent) share_out(sent->files);
    // This follows share_out(), because each repository is compared with its own share of the files.
    bool has_repository = std::ranges::any_of(all_, [](const auto& home) { return home->is_repository(); });
    auto operators = has_repository ? in_.operators() : git::OperatorsConfiguration();
    for (auto& home : all_) {
      auto prepared = home->prepare(sent, operators);
      bool is_below = !home->quarantine().place.empty();
      if (prepared || !is_below || !home->is_repository()) {
        TRY(std::move(prepared));
        continue;
      }
      // It may have lost the commit, for example because it was cloned again.
      TRY(check_room(prepared));
      home = home->without_repository(prepared.error().what);
      TRY(home->prepare(sent, operators));
    }
    return {};
  }

  Result<> take(const Source& source, git::Limits limits) {
    // None of the operator's files are touched until the whole archive has arrived.
    TRY(fill(quarantines_, git_, in_, source));
    TRY(list_all());
    // Sets one limit for all branches together, because there may be hundreds, and each may be slow.
    limits.until = Deadline::in(in_.max_time);
    git_.set_limits(limits);
    std::map<std::string, std::string> heads;
    std::map<std::string, const Inspection*> inspections;
    uint64_t room_for_ignored = kCopiedIgnored;
    uint64_t entries = in_.max_entries;  // the archive cannot have had more files
    // Handles an inner repository before the one that contains it.
    for (size_t i = all_.size(); i-- > 0;) {
      TRY(all_[i]->prepare_inspection(room_));
      for (const auto& [place, inspection] : parts_below(*all_[i], inspections))
        all_[i]->inspection().add_below(place, *inspection);
      TRY(all_[i]->take_refs());
      TRY(all_[i]->take_files(parts_below(*all_[i], heads), entries));
      TRY(all_[i]->keep_ignored(room_for_ignored));
      // The outer repository records this commit, if the inner one is its submodule.
      heads[quarantines_[i]->place] = all_[i]->head();
      if (all_[i]->inspection().has_links()) inspections[quarantines_[i]->place] = &all_[i]->inspection();
    }
    return {};
  }

  // Adds up what the repositories brought, and writes the files that name it.
  Result<ReceivedWork> finish() {
    ReceivedWork back;
    back.commits = 0;
    for (const auto& home : all_) {
      const auto& q = home->quarantine();
      const auto& left = home->agent_changes();
      if (auto commits = home->commits(); commits && back.commits) *back.commits += *commits;
      else back.commits.reset();
      back.files += left.files();
      back.skipped += q.skipped;
      if (q.place.empty()) back.refs = home->refs(), back.patch = home->patch();
      else if (home->has_changes())
        back.below.push_back({q.place, home->refs(), home->commits(), left.files(), home->patch()});
      if (!home->bundle().empty()) back.bundle = home->bundle();
      if (!home->kept().empty()) back.kept = home->kept();
      for (const auto& top : home->ignored_tops()) back.ignored.push_back(q.shown(top));
    }
    // The operator asked for these links, and only the archive has them.
    bool has_links = std::ranges::any_of(all_, [](const auto& home) { return !home->ignored_links().empty(); });
    back.is_incomplete = back.skipped > 0 || has_links;
    back.text = advice(in_, back, all_);
    TRY(report_findings(back));
    TRY(write_changed());
    TRY(flush_directories());
    return back;
  }

 private:
  // Returns the prefix that makes the path of a finding, which is relative to its repository, relative to the
  // workspace.
  static std::string where(const Homecoming& home) {
    const std::string& place = home.quarantine().place;
    return place.empty() ? "" : "in " + one_line(place, 300) + ": ";
  }

  // Says what to look at before running anything. If that does not name all findings, writes them to a file.
  Result<> report_findings(ReceivedWork& back) const {
    constexpr size_t kMostLines = 200;  // the result of a session is limited as well
    bool is_shortened = false;
    for (const auto& home : all_) {
      is_shortened |= home->inspection().look().is_shortened();
      for (const auto& line : home->inspection().lines()) back.flagged.push_back(where(*home) + line);
    }
    if (size_t count = back.flagged.size(); count > kMostLines) {
      is_shortened = true;
      back.flagged.resize(kMostLines);
      back.flagged.push_back("and " + std::to_string(count - kMostLines) + " more");
    }
    if (!is_shortened) return {};
    std::string text;
    for (const auto& home : all_)
      for (const auto& line : home->inspection().look().all()) text += where(*home) + line + "\n";
    back.all_flagged = results_ + "/look-at-these.txt";
    return write_file_atomically(back.all_flagged, text);
  }

  // Lists all repositories before any of them gets a ref, so that `bottle discard` finds the refs even if this call
  // fails. What an earlier call wrote about a repository stays.
  Result<> list_all() {
    auto text = read_file(list_, wire::ChangedRepositories::kMost);
    if (!text && text.error().code != Code::not_found) return std::unexpected(std::move(text.error()));
    was_listed_ = text.has_value();
    auto listed = wire::decode_repositories(text.value_or("")).value_or(wire::ChangedRepositories());
    KeyedSet<std::string> known;
    for (const auto& each : listed.repositories) known.insert(each.directory);
    size_t before = listed.repositories.size();
    for (const auto& home : all_)
      if (home->is_repository() && !known.contains(home->quarantine().source))
        listed.repositories.push_back({home->quarantine().source, "", ""});
    if (listed.repositories.size() == before) return {};
    return write_file_atomically(list_, wire::encode(listed) + "\n");
  }

  // Writes what `bottle apply` and similar commands need later. Always replaces the list of an earlier call. For
  // `bottle discard`, the new list also names the repositories that may still have refs of that call.
  Result<> write_changed() const {
    wire::ChangedRepositories changed;
    for (const auto& home : all_)
      if (home->has_changes() || (was_listed_ && home->is_repository()))
        changed.repositories.push_back({home->quarantine().source, home->patch(), home->filtered()});
    if (!changed.repositories.empty() || was_listed_) return write_file_atomically(list_, wire::encode(changed) + "\n");
    if (::unlink(list_.c_str()) != 0 && errno != ENOENT) return fail_errno("removing " + list_);
    return {};
  }

  // Makes sure that the names of the results survive a power failure. Their contents are flushed already.
  Result<> flush_directories() const {
    namespace fs = std::filesystem;
    std::error_code none;
    for (fs::directory_iterator each(results_ + "/below", none), end; !none && each != end; each.increment(none))
      TRY(flush(each->path().string()));
    if (fs::exists(results_ + "/below", none)) TRY(flush(results_ + "/below"));
    // The directories above may be as new as the results.
    for (std::string path = results_; path != parent_of(parent_of(parent_of(results_))); path = parent_of(path))
      TRY(flush(path));
    return {};
  }

  // Gives each file to the innermost repository that contains it. Leaves out files such as the .git of a submodule,
  // which are in a copy and never come back as files.
  void share_out(const KeyedMap<std::string, SentFile>& files) {
    KeyedMap<std::string_view, Quarantine*> places;
    for (const auto& q : quarantines_) places.emplace(q->place, q.get());
    for (const auto& [path, file] : files) {
      if (std::ranges::any_of(split_path(path), is_git_directory)) continue;
      std::string_view place = path;
      do {
        size_t slash = place.rfind('/');
        place = place.substr(0, slash == place.npos ? 0 : slash);
      } while (!places.contains(place));  // the workspace's own place is ""
      places.at(place)->sent.emplace(place.empty() ? path : path.substr(place.size() + 1), file);
    }
  }

  void add(const SentRepository& repository, Homecoming::Origin origin, bool shares) {
    // A Homecoming keeps a reference to the quarantine, which must not move.
    auto q = std::make_unique<Quarantine>();
    q->root = root_ + "/" + std::to_string(quarantines_.size());
    q->place = repository.path;
    // The path comes from the record, never from the archive.
    q->source = in_.source + (repository.path.empty() ? "" : "/" + repository.path);
    q->git_at = repository.git_at;
    q->inside = in_.inside;
    q->is_unreadable = !origin.error.empty();
    std::string prefix = "refs/bottle/" + in_.session + "/";
    // One component, so that no repository's directory is among the files of another one's results.
    std::string component = encoded_component(repository.path);
    if (shares) prefix += "in/" + component + "/";
    std::string results = repository.path.empty() ? results_ : results_ + "/below/" + component;
    all_.push_back(std::make_unique<Homecoming>(in_, git_, *q, std::move(origin), prefix, results));
    quarantines_.push_back(std::move(q));
  }

  // Returns the path relative to a place, or an empty string if the path is not below it.
  static std::string path_below(const std::string& place, const std::string& path) {
    if (place.empty()) return path;
    return path.starts_with(place + "/") ? path.substr(place.size() + 1) : "";
  }

  // Returns what belongs to the repositories below this one. The keys are places, from here on in the result.
  template <class Value>
  static std::map<std::string, Value> parts_below(const Homecoming& home, const std::map<std::string, Value>& all) {
    std::map<std::string, Value> below;
    for (const auto& [place, value] : all)
      if (auto path = path_below(home.quarantine().place, place); !path.empty()) below[path] = value;
    return below;
  }

  Incoming in_;
  git::Runner& git_;
  std::string root_, results_, list_ = results_ + "/places.json";
  bool was_listed_ = false;                // an earlier call has written the list
  uint64_t own_room_ = 2 * in_.max_bytes;  // files of the trees become objects, too
  uint64_t& room_;
  std::vector<std::unique_ptr<Quarantine>> quarantines_;
  std::vector<std::unique_ptr<Homecoming>> all_;
};

}  // namespace

std::string about_archive(const std::string& path, const std::string& session) {
  std::string to = shell_word(session);
  // A file system may treat other spellings as .git.
  return "The whole workspace as the agent left it, unchecked, is in an archive. To unpack its files: mkdir " + to +
         " && tar -xf " + shell_word(path) + " -C " + to +
         " --exclude='.[Gg][Ii][Tt]'\n"
         "  Do not run git in it, and do not open it in an editor or in a shell whose prompt runs git: a .git can name "
         "commands that git runs. To look at all of it, unpack it without --exclude, and let a bottle read it: bottle "
         "start -C " +
         to + "/workspace\n";
}

Result<> check_whole(const Source& source, LargestFile& largest) {
  SizeOfAll size;
  auto read = read_tar(source, [&](const TarEntry& e, const Source&) {
    if (e.kind == TarEntry::Kind::file && e.size > largest.bytes) largest = {e.path, e.size};
    return size.add(e);
  });
  if (read || read.error().code != Code::protocol) return read;
  // An archive that cannot be understood is better than none.
  for (char rest[65536]; TRY(source(rest, sizeof rest)) > 0;) {
  }
  return {};
}

Result<ReceivedWork> receive(const Incoming& in, const Source& source) {
  // The name becomes a part of names of refs and of paths.
  if (!is_session_name(in.session)) return fail(Code::invalid, "the session's name is not valid");
  if (!in.base.empty() && !git::is_object_id(in.base))
    return fail(Code::invalid, one_line(in.base) + " is not the id of a commit");
  TRY(make_directories(in.results_dir));
  std::error_code error;
  // The messages name files below it, and the operator may paste them in another directory.
  std::string results = std::filesystem::canonical(in.results_dir, error).string();
  if (error) return fail(Code::not_found, in.results_dir + ": " + error.message());
  // The quarantines hold everything that was in the archive, including what must not stay on this disk.
  auto root = TRY(ScratchDirectory::make(in.scratch, "incoming"));
  // Only what goes into the operator's repository must survive this process (git::Runner::Options::durable).
  git::Limits limits{.memory = in.max_memory, .flush = false};
  git::Runner git = TRY(git::Runner::make(root.path(), limits));
  Reception reception(in, git, root.path(), results);
  TRY(reception.prepare());
  TRY(reception.take(source, limits));
  return reception.finish();
}

}  // namespace bottle::workspace
