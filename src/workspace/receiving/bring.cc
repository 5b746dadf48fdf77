// Copies objects from the quarantine to the operator's repository, as `git fetch` would: pack-objects reads the agent's
// objects, and unpack-objects or index-pack writes them with --strict. The pack is in a file between them, because its
// count of objects decides which of the two is used, and because it is read twice for unpack-objects. A last rev-list,
// which no longer sees the quarantine's objects, makes sure that the commit is complete in its new place.
//
// A few bytes from an agent can unpack to any size. Each process therefore has limits, and after each commit, the
// growth of the operator's object store is measured.
#include "workspace/receiving/bring.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "base/defer.h"
#include "base/files/durable.h"
#include "base/files/entries.h"
#include "base/files/full_disk.h"
#include "base/text/line.h"
#include "base/text/words.h"
#include "base/unique_fd.h"
#include "git/refs.h"
#include "git/run/complaint.h"
#include "workspace/receiving/homecoming.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostKnown = 5000, kMostTogether = 1000;
// The default of git's transfer.unpackLimit. Fewer objects than this are stored as files and not as another pack.
constexpr uint32_t kFewObjects = 100;

std::string as_lines(const std::vector<std::string>& ids, const char* before) {
  std::string text;
  for (const auto& id : ids) text += before + id + "\n";
  return text;
}

// Returns how many objects a pack claims to have (gitformat-pack(5)).
Result<uint32_t> count_of(int pack) {
  unsigned char head[12];
  if (::pread(pack, head, sizeof head, 0) != sizeof head || std::memcmp(head, "PACK", 4) != 0)
    return fail(Code::protocol, "git did not make a pack");
  return static_cast<uint32_t>(head[8]) << 24 | static_cast<uint32_t>(head[9]) << 16 |
         static_cast<uint32_t>(head[10]) << 8 | head[11];
}

// Returns whether git succeeded. Fails with Code::denied if the repository cannot be written to.
Result<bool> succeeded(Result<git::Runner::Answer> ran, const git::Repository& repository) {
  auto answer = TRY(std::move(ran));
  if (answer.status == 0) return true;
  for (std::string_view message : git::errors_in(answer.complaint))
    if (int reason = git::system_error_of(message); reason == EROFS || reason == EACCES || reason == EPERM)
      return fail(Code::denied, one_line(repository.objects[0], 4096) +
                                    " cannot be written to: " + std::generic_category().message(reason));
  return false;
}

// Returns the times of the directories of an object store. A change of their names changes them.
Result<std::map<std::string, int64_t>> times_of(const std::string& objects) {
  std::map<std::string, int64_t> times;
  auto note = [&](const std::string& path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0) times[path] = st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec;
  };
  note(objects);
  note(objects + "/pack");
  // git keeps single objects in directories with names of two digits, of which most repositories have few.
  for (const auto& name : TRY(names_in(objects)))
    if (name.size() == 2) note(objects + "/" + name);
  return times;
}

// Flushes the names of objects that are new since `before`. git does not do that, even if it flushes the objects.
Result<> flush_changed(const std::string& objects, const std::map<std::string, int64_t>& before,
                       std::chrono::system_clock::time_point since) {
  // A directory that changes twice within one tick of the kernel's clock keeps its time.
  auto recent = std::chrono::nanoseconds((since - std::chrono::seconds(1)).time_since_epoch()).count();
  for (const auto& [path, time] : TRY(times_of(objects))) {
    auto was = before.find(path);
    bool changed = was == before.end() || was->second != time;
    if (!changed && time <= recent) continue;
    auto flushed = flush(path);
    if (flushed) continue;
    // Another git process removes directories that are empty, and one of another user may have changed this one.
    bool is_others = flushed.error().code == Code::not_found || (!changed && flushed.error().code == Code::denied);
    if (!is_others) return flushed;
  }
  return {};
}

Result<> to_start(int pack) {
  if (::lseek(pack, 0, SEEK_SET) != 0) return fail_errno("reading a pack");
  return {};
}

Result<bool> add(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                 const std::vector<std::string>& known, const std::vector<std::string>& ids, uint64_t most) {
  std::string path = q.root + "/pack";
  UniqueFd pack(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!pack) return fail_errno("creating " + path);
  // Without a name, the file disappears when this call ends, however it ends.
  ::unlink(path.c_str());
  auto options = q.at();
  options.input = as_lines(ids, "") + as_lines(known, "^");
  options.output_fd = pack.get();
  options.most_written = most;
  // --local leaves out what the operator already has.
  if (!TRY(git.agrees({"pack-objects", "--quiet", "--revs", "--local", "--delta-base-offset", "--stdout"}, options)))
    return false;
  uint32_t count = TRY(count_of(pack.get()));
  bool few = count < kFewObjects;
  // unpack-objects writes all objects before it checks the content of files such as .gitmodules. After a failed check,
  // the objects would stay, and they would not be checked again for the next commit that has them. Therefore index-pack
  // checks them first, and writes nothing to the operator's repository.
  if (few && count > 0) {
    auto check = q.at();
    check.input_fd = pack.get();
    check.most_written = most;
    TRY(to_start(pack.get()));
    if (!TRY(git.agrees({"index-pack", "--stdin", "--strict"}, check))) return false;
  }
  TRY(to_start(pack.get()));
  auto into = q.at();
  into.objects = repository.objects[0];
  into.input_fd = pack.get();
  into.most_written = most;
  into.durable = true;
  auto since = std::chrono::system_clock::now();
  auto before = TRY(times_of(into.objects));
  std::vector<std::string> shared;
  // The objects must stay readable for the other users of a shared repository.
  if (repository.settings.shared) {
    char octal[16];
    (void)std::snprintf(octal, sizeof octal, "0%03o", static_cast<unsigned>(repository.settings.shared) | 0600);
    shared = {"-c", std::string("core.sharedRepository=") + octal};
  }
  auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), shared.begin(), shared.end());
    return succeeded(git.run(arguments, into), repository);
  };
  // A pack without objects means that the operator has them all already.
  if (count > 0 && !TRY(run(few ? std::vector<std::string>{"unpack-objects", "-q", "--strict"}
                                : std::vector<std::string>{"index-pack", "--stdin", "--strict"})))
    return false;
  TRY(flush_changed(into.objects, before, since));
  // Checks all objects as the operator's repository will see them.
  auto whole = q.at();
  whole.objects = repository.objects[0];
  whole.input = as_lines(ids, "") + as_lines(known, "^");
  return git.agrees({"rev-list", "--objects", "--quiet", "--stdin"}, whole);
}

}  // namespace

std::string why_unwritable(const git::Repository& repository) {
  // AT_EACCESS asks for the effective user, as opening the file would.
  for (const std::string& path : {repository.objects[0], repository.common_dir, repository.common_dir + "/refs"})
    if (::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0)
      return one_line(path, 4096) + " cannot be written to: " + std::generic_category().message(errno);
  return "";
}

// Another git process may remove files and directories meanwhile, so what does not exist is not an error.
Result<uint64_t> size_of(const std::string& objects) {
  uint64_t bytes = 0;
  if (objects.empty()) return bytes;
  for (const auto& name : TRY(names_in(objects))) {
    struct stat st{};
    std::string path = objects + "/" + name;
    if (::lstat(path.c_str(), &st) != 0) {
      if (errno != ENOENT) return fail_errno("measuring " + one_line(path));
    } else if (S_ISDIR(st.st_mode)) {
      // git cannot read this directory either (git/alternates.cc), so nothing comes into it.
      if (::faccessat(AT_FDCWD, path.c_str(), R_OK | X_OK, AT_EACCESS) != 0 && errno == EACCES) continue;
      bytes += TRY(size_of(path));
    } else if (S_ISREG(st.st_mode)) {
      bytes += static_cast<uint64_t>(st.st_size);
    }
  }
  return bytes;
}

Result<Known> known_commits(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                            const std::string& base, const git::Refs& sent) {
  std::set<std::string> ids = {base}, missing;
  for (const char* below : {"refs/heads/", "refs/bottle/", "refs/remotes/", "refs/tags/"})
    for (const auto& [name, id] : TRY(git::read_refs(repository, below)))
      // Each commit costs a line of input and a read. More of them save nothing.
      if (ids.size() < kMostKnown) ids.insert(id);
  // git keeps what a ref reaches. If the operator has removed or moved a ref, its commit may still exist without its
  // history.
  Known known{.commits = {},
              .has_sent = std::ranges::all_of(sent, [&](const auto& ref) { return ids.contains(ref.second); })};
  // The caller has read the base, unless it is bottle's own.
  if (ids.size() == 1) {
    if (!q.is_unborn) known.commits = {base};
    return known;
  }
  auto options = q.at();
  options.objects = repository.objects[0];  // without the objects that the agent made
  options.input = as_lines({ids.begin(), ids.end()}, "");
  // Each line is "ID commit SIZE" or "ID missing".
  std::string out = TRY(git.ask({"cat-file", "--batch-check", "--buffer"}, options));
  for (std::string_view line : each_line(out)) {
    std::string id(line.substr(0, line.find(' ')));
    if (!ids.contains(id)) continue;
    if (line.substr(id.size()) == " missing") missing.insert(id);
    if (line.substr(id.size()).starts_with(" commit ")) known.commits.push_back(id);
  }
  for (const auto& [name, id] : sent) known.has_sent &= !missing.contains(id);
  return known;
}

Result<bool> bring_objects(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                           const std::vector<std::string>& known, const std::vector<std::string>& ids, Room& room) {
  if (std::ranges::all_of(ids, [&](const auto& id) { return room.brought.contains(id); })) return true;
  if (room.left == 0)
    return fail(Code::limit,
                "bringing the work into " + one_line(repository.top, 4096) + ": the work is larger than the limit");
  auto added = add(q, git, repository, known, ids, room.left);
  bool cut_off = !added && added.error().code == Code::limit;
  auto size = size_of(q.known_objects);
  uint64_t before = std::exchange(room.size, size.value_or(room.size));
  // If a process was stopped at the limit, the room counts as used up, even if the process removed its files. The same
  // holds if the growth cannot be measured.
  room.left -= cut_off || !size ? room.left : std::min(room.left, std::max(room.size, before) - before);
  if (!added && added.error().code != Code::denied)
    return std::unexpected(std::move(added.error()).during("bringing the work into " + one_line(repository.top, 4096)));
  if (added && *added) room.brought.insert(ids.begin(), ids.end());
  return added;
}

Result<> bring_together(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                        const std::vector<std::string>& known, const std::vector<std::string>& ids, Room& room) {
  uint64_t left = room.left, size = room.size;
  auto brought = bring_objects(q, git, repository, known, ids, room);
  if (brought) return {};
  if (brought.error().code == Code::no_space || brought.error().code == Code::canceled)
    return std::unexpected(std::move(brought.error()));
  // Some of the commits may fit into a room, or into a time, that is too small for all. The room counts as used up if
  // the growth cannot be measured.
  auto now = size_of(q.known_objects);
  if (brought.error().code == Code::limit && now) {
    room.size = *now;
    room.left = left - std::min(left, std::max(*now, size) - size);
  }
  return {};
}

// Brings all commits in one step, because each step takes four processes. If that does not work, each ref is brought by
// itself later.
Result<> Homecoming::bring_together(const std::map<std::string, std::string>& wanted) {
  std::vector<std::string> ids;
  for (const auto& [from, id] : wanted)
    if (std::ranges::find(ids, id) == ids.end() && ids.size() < kMostTogether) ids.push_back(id);
  lists_ = TRY(changes_of_commits(q_, git_, base_, ids));
  std::erase_if(ids, [&](const auto& id) { return !lists_.contains(id); });
  // A single commit is brought when its turn comes.
  if (ids.size() < 2 || !unwritable_.empty() || wanted.size() > kMostTogether) return {};
  return workspace::bring_together(q_, git_, *origin_.repository, known_, ids, *room_);
}

// Returns whether a ref of the agent is what the agent had checked out.
bool Homecoming::is_head(const std::string& ref, const std::string& id) const {
  return q_.head == "ref: " + ref || (q_.head == id && ref.starts_with("refs/heads/"));
}

// Returns the commit of the agent's branch if the operator has it as well, and otherwise the base.
std::string Homecoming::known_head() const {
  if (!q_.head.starts_with("ref: ")) return base_;
  auto at = q_.refs.find(q_.head.substr(5));
  return at != q_.refs.end() && std::ranges::find(known_, at->second) != known_.end() ? at->second : base_;
}

}  // namespace bottle::workspace
