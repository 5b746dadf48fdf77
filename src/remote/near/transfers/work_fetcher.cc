// Reads deliveries of a machine that an agent may have taken over. A name in a delivery selects what is done with its
// content, never where it is written; unknown names are read and dropped. A checkpoint is sorted as it arrives. The
// final workspace is first written to the disk and sorted from there, because the archive is all that is left if
// sorting fails.
#include "remote/near/transfers/work_fetcher.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <optional>

#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/text/json_lines.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/unique_fd.h"
#include "session/audit/audit_file.h"
#include "session/collect/collect.h"
#include "session/collect/transcript.h"
#include "session/ledger/files.h"
#include "transfer/delivery.h"
#include "workspace/archive/sparse_file.h"

namespace bottle::remote {

using session::AuditFile, transfer::kHeld, session::keep_transcript;

namespace {

constexpr size_t kLongestLine = 1 << 16;
constexpr uint64_t kMostSent = 64ull << 30;  // bytes: more than a workspace has that an operator sends

// Reads and drops what follows the end of the tar archive.
Result<> drain(const Source& source) {
  for (char rest[65536]; TRY(source(rest, sizeof rest)) > 0;) {
  }
  return {};
}

// Writes an archive to the disk. Fails with Code::limit beyond `most` bytes without holes, and with Code::no_space
// before this disk is full. What came stays in the file.
Result<> keep(const Source& source, const std::string& path, uint64_t most) {
  auto file = TRY(workspace::ArchiveFile::create(path, most));
  char buffer[256 << 10];
  auto written = [&]() -> Result<> {
    for (size_t n; (n = TRY(source(buffer, sizeof buffer))) > 0;) TRY(file.write({buffer, n}));
    return {};
  }();
  auto ended = file.end(workspace::ArchiveFile::Flush::no);
  return written ? ended : written;
}

// Returns the size of a file in bytes, or 0 if there is none.
off_t size_of(const std::string& path) {
  struct stat file{};
  return ::lstat(path.c_str(), &file) == 0 ? file.st_size : 0;
}

// Keeps the larger of two parts of an archive under the second name. A machine that fails may send less at each
// attempt.
void keep_larger(const std::string& part, const std::string& kept) {
  if (size_of(part) > size_of(kept)) ::rename(part.c_str(), kept.c_str());
  else ::unlink(part.c_str());
}

// Allows only one workspace per delivery. Sorting a workspace costs work, and a million small ones would fit into the
// same number of bytes.
Result<> only_once(bool& came) {
  if (came) return fail(Code::protocol, "the delivery has more than one workspace");
  came = true;
  return {};
}

// Returns the far side's reason why the workspace cannot be read although it exists.
Result<std::string> why_held(const Source& source) {
  std::string why(kMostOfReason, '\0');
  size_t have = 0;
  for (size_t n; have < why.size() && (n = TRY(source(why.data() + have, why.size() - have))) > 0;) have += n;
  why.resize(have);
  return "the workspace may still be in its container: " + folded(why, kMostOfReason);
}

}  // namespace

uint64_t most_fetched(const Job& job) { return kMostSent + 2 * job.plan.resources.disk; }

// Brings a workspace home with the same code as a local session. `room` is null for the final fetch, which has its own
// limit.
Result<wire::WorkResult> WorkFetcher::sort(const Source& source, uint64_t* room) {
  workspace::Incoming incoming;
  incoming.session = job_.plan.session;
  incoming.source = job_.plan.workspace;
  incoming.base = base_;
  incoming.results_dir = job_.directories.results_of(job_.plan.session);
  incoming.scratch = job_.directories.session(job_.plan.session);
  incoming.record = session::record_in(incoming.scratch);
  incoming.room = room;
  auto back = TRY(workspace::receive(incoming, source));
  is_incomplete_ = back.is_incomplete;
  return session::sorted(std::move(back));
}

// Saves the far guard's audit, line by line through the parser. The agent may have taken over the far side, and this
// file is read on a terminal.
Result<> WorkFetcher::save_egress(const Source& source) {
  auto lines = TRY(JsonLines::create(job_.directories.results_of(job_.plan.session) + "/" + session::kAudit,
                                     AuditFile::kMost, kLongestLine));
  char buffer[65536];
  for (size_t n; (n = TRY(source(buffer, sizeof buffer))) > 0;)
    TRY(during("saving the far guard's audit", lines.feed({buffer, n})));
  return {};
}

Result<bool> WorkFetcher::checkpoint(const Fetch& from) {
  // Each checkpoint adds objects to the operator's repository, and a machine that was taken over could send new ones
  // forever.
  if (room_ == 0)
    return fail(Code::limit,
                "the checkpoints of this session have reached their limit; later changes are fetched at its end");
  bool news = false;
  std::string seen;
  TRY(from({"checkpoint", job_.plan.session, job_.id, fingerprint_},
           [&](const std::string& name, const Source& source) -> Result<> {
             if (name == session::kArchive) {
               TRY(only_once(news));
               (void)TRY(sort(source, &room_));
             } else if (name == "fingerprint") {
               char text[64];
               seen.assign(text, TRY(source(text, sizeof text)));
             }
             return drain(source);
           }));
  // The fingerprint is kept only after everything has arrived. Otherwise the far side would skip a state that this side
  // does not have.
  fingerprint_ = seen;
  return news;
}

Result<Fetched> WorkFetcher::fetch(const Fetch& from, const Progress& progress, const std::string& engine_id) {
  std::string results = job_.directories.results_of(job_.plan.session);
  std::string kept = results + "/" + session::kArchive, arriving = kept + ".arriving", part = part_in(results);
  TRY(make_directories(results));
  keep_larger(arriving, part);  // an earlier attempt did not end
  bool came = false, gone = false;
  std::optional<Held> held;
  auto put = [&](const std::string& name, const Source& source) -> Result<> {
    if (name == session::kAudit) TRY(save_egress(source));
    if (name == session::kArchive) {
      TRY(only_once(came));
      auto whole = keep(with_progress(source, "fetching the work", progress), arriving, most_fetched(job_));
      // The machine was sending, so it still has all of the work, and the next attempt needs the room of the parts.
      if (!whole && whole.error().code == Code::no_space)
        for (const auto& path : {arriving, part}) ::unlink(path.c_str());
      else if (!whole) keep_larger(arriving, part);
      TRY(std::move(whole));
    }
    if (name == kHeld) held = Held{TRY(why_held(source))};
    if (name == transfer::kGone) gone = true;
    if (name.starts_with("transcript/")) TRY(keep_transcript(source, name, results));
    return drain(source);
  };
  TRY(from({"fetch", job_.plan.session, job_.id, engine_id}, put));
  if (held) return std::move(*held);
  if (gone && !came) return Gone();
  // The far side had no workspace, as with `workspace: none`. A file with this name is from an earlier fetch.
  if (!came) return wire::WorkResult();
  // The work is saved to this disk before it is sorted, so that it is not lost if it cannot be sorted.
  UniqueFd fd(::open(arriving.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + arriving);
  Source saved = source_of(fd.get(), "reading " + arriving);
  auto sorted = sort(with_progress(saved, "bringing the work home", progress));
  // The archive is cut off, and the machine still has the whole work.
  if (!sorted && sorted.error().code == Code::closed) {
    keep_larger(arriving, part);
    return std::unexpected(std::move(sorted.error()));
  }
  if (::rename(arriving.c_str(), kept.c_str()) != 0) return fail_errno("renaming " + arriving);
  ::unlink(part.c_str());
  // The far side removes the work next.
  if (!sorted || is_incomplete_) {
    TRY(flush(kept));
    TRY(flush(parent_of(kept)));
    TRY(flush(parent_of(parent_of(kept))));
  }
  if (!sorted)
    return wire::WorkResult{
        .text = workspace::about_archive(kept, job_.plan.session), .error = sorted.error().what, .archive = kept};
  if (is_incomplete_) {
    sorted->archive = kept;
    sorted->text += workspace::about_archive(kept, job_.plan.session);
  } else {
    ::unlink(kept.c_str());
  }
  return std::move(*sorted);
}

}  // namespace bottle::remote
