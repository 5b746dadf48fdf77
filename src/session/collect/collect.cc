// Work must not be lost, and the container that holds it is removed as soon as the work counts as home. So there are
// three ways, in the order of preference. The work is streamed out of the container and sorted against the
// repository. If it cannot be sorted, the whole workspace is kept as an archive. If the archive cannot be written
// either, the work is held: the container stays until a later sweep succeeds. If the disk is full, the archive is
// skipped, because the operator can free space, and the work then comes home sorted.
//
// On a far machine, there is no repository to sort against, so the work is kept as an archive, which the near side
// sorts.
#include "session/collect/collect.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <future>

#include "base/defer.h"
#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/stream.h"
#include "base/text/line.h"
#include "base/text/parse.h"
#include "base/text/shell_word.h"
#include "session/collect/transcript.h"
#include "session/ledger/files.h"
#include "session/ledger/names.h"
#include "workspace/archive/sparse_file.h"

namespace bottle::session {

using wire::Job;

namespace {

// In the session's directory: how many bytes were free when there was too little room for the work, and the error.
constexpr const char* kNoRoom = "/no-room";
constexpr size_t kLongestNote = 64 << 10;
constexpr uint64_t kMoreRoom = 64 << 20;  // bytes; a new attempt with less than that much more would fail as well

// Shortens a list so that the result can always be read. An agent may make any number of refs and files.
std::vector<std::string> some_of(std::vector<std::string> texts, size_t most, size_t room) {
  size_t count = 0;
  for (; count < std::min(texts.size(), most) && texts[count].size() <= room; ++count) room -= texts[count].size();
  texts.resize(count);
  return texts;
}

// Writes the whole workspace into an archive in the results, and returns its path.
Result<std::string> keep_archive(docker::Engine& engine, const std::string& session, const Work& work,
                                 workspace::LargestFile& largest) {
  std::string kept = work.results + "/" + kArchive, part = kept + ".part";
  auto file = TRY(workspace::ArchiveFile::create(part));
  Defer remove([&] { ::unlink(part.c_str()); });
  auto whole = pipe_through(
      [&](const Sink& sink) {
        return engine.get_archive(Names(session).agent, work.workdir, [&](std::string_view bytes) -> Result<> {
          TRY(file.write(bytes));
          return sink(bytes);
        });
      },
      [&](const Source& source) { return workspace::check_whole(source, largest); });
  TRY(during(kept, std::move(whole)));
  // The container is removed next. After a power failure, the archive must be complete or not exist under its name.
  TRY(file.end(workspace::ArchiveFile::Flush::yes));
  if (std::rename(part.c_str(), kept.c_str()) != 0) return fail_errno("renaming to " + kept);
  remove.dismiss();
  TRY(flush(work.results));
  return kept;
}

// Says where work that is held is, and what to do.
std::string where_held_work_is(const std::string& session) {
  return "The work is still in the container " + Names(session).agent +
         ". Fix the cause, then run `bottle cleanup` to bring it home.";
}

// Returns whether the work needs more room than this disk has for it.
bool is_lack_of_room(const Error& error) { return error.code == Code::no_space || error.code == Code::limit; }

// Says how to make the work smaller if there is no room for it, and returns nothing for other errors.
std::string about_room(const std::string& session, const Error& error, const workspace::LargestFile& largest) {
  if (!is_lack_of_room(error)) return "";
  std::string file = largest.path.empty() ? "FILE" : largest.path, workspace = "workspace/";
  if (file.starts_with(workspace)) file.erase(0, workspace.size());
  std::string what = largest.path.empty() ? ""
                                          : " Its largest file is " + one_line(file, 1000) + ", with " +
                                                std::to_string(largest.bytes >> 20) + " MB.";
  return what +
         " To remove a file from it, use any image that has rm, on the machine with the container: docker run --rm "
         "-v " +
         Names(session).work + ":/workspace IMAGE rm " + shell_word("/workspace/" + one_line(file, 1000));
}

wire::WorkResult held_for(const std::string& session, const Error& error, const std::string& why,
                          const workspace::LargestFile& largest) {
  auto held = held_result(session, why);
  held.text += about_room(session, error, largest);
  return held;
}

// Collects on a far machine. The work is sorted on the operator's machine, which has the repository, after it has been
// fetched.
wire::WorkResult collect_archive(docker::Engine& engine, const std::string& session, const Work& work,
                                 bool& lacks_room) {
  workspace::LargestFile largest;
  auto kept = keep_archive(engine, session, work, largest);
  lacks_room = !kept && is_lack_of_room(kept.error());
  if (!kept) return held_for(session, kept.error(), kept.error().what, largest);
  return {.archive = *kept};
}

// Collects where the repository is.
wire::WorkResult collect_sorted(docker::Engine& engine, const std::string& session, const Work& work,
                                const std::string& scratch, const Progress& progress, bool& lacks_room) {
  workspace::Incoming incoming;
  incoming.session = session;
  incoming.source = work.source;
  incoming.base = work.base;
  incoming.results_dir = work.results;
  incoming.scratch = scratch;
  incoming.record = record_in(scratch);
  workspace::ReceivedWork back;
  // The work is sorted while it arrives. The archive itself is never on a disk.
  auto done = pipe_through(
      [&](const Sink& sink) { return engine.get_archive(Names(session).agent, work.workdir, sink); },
      [&](const Source& source) -> Result<> {
        back = TRY(workspace::receive(incoming, with_progress(source, "bringing the work home", progress)));
        return {};
      });
  // The operator can free space on a full disk. The work then comes home sorted, from the container.
  workspace::LargestFile largest;
  lacks_room = !done && done.error().code == Code::no_space;
  if (lacks_room) return held_for(session, done.error(), done.error().what, largest);
  if (done && !back.is_incomplete) return sorted(back);
  // The container is removed next, so what cannot be sorted is kept as an archive.
  auto kept = keep_archive(engine, session, work, largest);
  lacks_room = !kept && is_lack_of_room(kept.error());
  if (!done && !kept)
    return held_for(session, kept.error(),
                    done.error().what + "; keeping it as an archive failed too: " + kept.error().what, largest);
  if (!done) return {.text = workspace::about_archive(*kept, session), .error = done.error().what, .archive = *kept};
  // Parts that could not be sorted are only in the archive, so without it, the work is not home yet.
  if (!kept)
    return {.text = back.text + where_held_work_is(session) + about_room(session, kept.error(), largest),
            .error = "keeping what could not be sorted, as an archive: " + kept.error().what,
            .held = true};
  wire::WorkResult answer = sorted(std::move(back));
  answer.archive = *kept;
  answer.text += workspace::about_archive(*kept, session);
  return answer;
}

}  // namespace

std::string record_in(const std::string& scratch) { return scratch + "/sent"; }

workspace::Outgoing outgoing_of(const Job& job) {
  const auto& plan = job.plan;
  workspace::Outgoing outgoing;
  outgoing.mode = plan.workspace_mode;
  outgoing.source = plan.workspace;
  outgoing.uid = plan.uid;
  outgoing.gid = plan.gid;
  outgoing.scratch = job.directories.session(plan.session);
  outgoing.prefix = plan.workdir.substr(1) + "/";
  outgoing.home = "home/agent/";
  outgoing.record = record_in(outgoing.scratch);
  outgoing.start = plan.start;
  outgoing.include = plan.include;
  outgoing.keep_ignored = plan.keep_ignored;
  outgoing.keep = plan.keep;
  return outgoing;
}

std::optional<Work> work_of(const Job& job, const workspace::Summary& sent) {
  using manifest::WorkspaceMode;
  const auto& plan = job.plan;
  // With `bind`, the agent worked on the operator's own files.
  if (plan.workspace_mode == WorkspaceMode::none || plan.workspace_mode == WorkspaceMode::bind) return std::nullopt;
  return Work{plan.workspace, plan.workdir, sent.base, job.directories.results_of(plan.session),
              job.side() == wire::Side::far};
}

wire::WorkResult sorted(workspace::ReceivedWork back) {
  // These limits keep the result small: it is one frame, which the near side of a session accepts up to 1 MB.
  constexpr size_t kMost = 100, kMostRefs = 1000, kRoom = 128 << 10, kLongest = 1000;
  wire::ReceivedWork all{.refs = some_of(std::move(back.refs), kMostRefs, kRoom),
                         .commits = back.commits,
                         .files = back.files,
                         .patch = std::move(back.patch),
                         .bundle = std::move(back.bundle),
                         .kept = std::move(back.kept),
                         .flagged = std::move(back.flagged),
                         .all_flagged = std::move(back.all_flagged),
                         .skipped = back.skipped};
  for (auto& each : back.below) {
    if (all.below.size() == kMost) break;
    // The agent chose the names of directories and files.
    all.below.push_back({one_line(each.path, 4096), some_of(std::move(each.refs), kMost, kRoom / kMost), each.commits,
                         each.files, std::move(each.patch)});
  }
  for (size_t i = 0; i < std::min(back.ignored.size(), kMost); ++i)
    all.ignored.push_back(one_line(back.ignored[i], kLongest));
  return {.text = std::move(back.text), .sorted = std::move(all)};
}

wire::WorkResult held_result(const std::string& session, const std::string& error) {
  return {.text = where_held_work_is(session), .error = error, .held = true};
}

void mark_held(wire::WorkResult& back, const std::string& session, const Error& error) {
  back = {.text = std::move(back.text) + where_held_work_is(session),
          .error = "writing what came home: " + error.what,
          .held = true};
}

std::optional<std::string> lack_of_room(const std::string& scratch, const std::string& results) {
  auto note = read_file(scratch + kNoRoom, kLongestNote);
  if (!note) return std::nullopt;
  size_t end = note->find('\n');
  auto had = number_in<uint64_t>(std::string_view(*note).substr(0, end));
  auto has = free_bytes(results);
  if (end == std::string::npos || !had || !has || *has >= *had + kMoreRoom) return std::nullopt;
  return note->substr(end + 1);
}

wire::WorkResult collect(docker::Engine& engine, const std::string& session, const Work& work,
                         const std::string& scratch, const Progress& progress) {
  auto room = free_bytes(work.results);
  std::string container = Names(session).agent;
  // The transcript is saved in parallel. If that fails, the work is still collected.
  auto transcript = std::async(std::launch::async, [&] { save_transcript(engine, container, work.results); });
  Defer wait([&] { transcript.wait(); });
  bool lacks_room = false;
  auto back = work.only_archive ? collect_archive(engine, session, work, lacks_room)
                                : collect_sorted(engine, session, work, scratch, progress, lacks_room);
  if (scratch.empty()) return back;
  if (lacks_room && room) (void)write_file_atomically(scratch + kNoRoom, std::to_string(*room) + "\n" + back.error);
  else ::unlink((scratch + kNoRoom).c_str());
  return back;
}

}  // namespace bottle::session
