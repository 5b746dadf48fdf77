#include "session/ledger/graves.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/files/durable.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/files/own_file.h"
#include "base/ids.h"
#include "base/text/path_parts.h"
#include "session/ledger/files.h"

namespace bottle::session {

std::string graves_in(const Directories& directories) { return parent_of(directories.sessions) + "/graves"; }

std::string session_of_grave(const std::string& grave) { return grave.substr(0, grave.find('.')); }

Result<std::vector<std::string>> graves_of(const Directories& directories, const std::string& session) {
  auto names = TRY(names_in(graves_in(directories)));
  std::erase_if(names, [&](const std::string& name) { return session_of_grave(name) != session; });
  return names;
}

Result<> write_grave(const Directories& directories, const std::string& session, const std::string& engine,
                     const std::string& engine_id, const std::vector<Thing>& things) {
  std::string graves = graves_in(directories);
  TRY(make_directories(graves));
  (void)TRY(open_own_directory(graves));
  auto unfinished = TRY(UnfinishedDirectory::make(graves, session));
  LedgerRecord uses{.engine = engine};
  if (!engine_id.empty()) uses.engine_id = engine_id;
  std::string text;
  for (const LedgerRecord& record : {LedgerRecord{.owner = Owner::self().to_label()}, uses, {.make = things}})
    text += TRY(wire::encode_exactly(record)) + "\n";
  // All records are written together, so that no reader finds a grave that names nothing.
  TRY(write_file_atomically(unfinished.path() + "/" + kLedger, text));
  return unfinished.publish();
}

void remove_grave(const Directories& directories, const std::string& session) {
  std::string grave = graves_in(directories) + "/" + session;
  ::unlink((grave + "/" + kLedger).c_str());
  ::rmdir(grave.c_str());
}

void keep_grave(const Directories& directories, const std::string& session) {
  ::utimensat(AT_FDCWD, (graves_in(directories) + "/" + session + "/" + kLedger).c_str(), nullptr, 0);
}

bool may_still_be_done(const Error& error) {
  switch (error.code) {
    // These stand for an answer, or the request was never sent.
    case Code::invalid:
    case Code::denied:
    case Code::not_found:
    case Code::conflict:
    case Code::internal:
      return false;
    default:
      return true;
  }
}

Result<> bury(const Directories& directories, const std::string& session, const std::string& directory) {
  TRY(make_directories(graves_in(directories)));
  std::string name = session;
  auto move = [&] { return std::rename(directory.c_str(), (graves_in(directories) + "/" + name).c_str()) == 0; };
  while (!move()) {
    if (errno != ENOTEMPTY && errno != EEXIST) return fail_errno("creating " + graves_in(directories) + "/" + name);
    name = session + "." + random_hex(4);
  }
  keep_grave(directories, name);
  return {};
}

}  // namespace bottle::session
