// Supports tests of the workspace. Each test has its own directory with a repository, what is sent of it and what
// comes back.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/files/file.h"
#include "base/text/words.h"
#include "docker/tar/tar.h"
#include "git/git_test.h"
#include "git/refs.h"
#include "git/repository.h"
#include "git/run/git.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/paths.h"
#include "workspace/files/untar.h"
#include "workspace/workspace.h"

namespace bottle::workspace {

namespace fs = std::filesystem;

class Workspace : public git::Repositories {
 protected:
  // Returns the settings that a test has written. Without any, git need not be asked.
  git::OperatorsConfiguration operators() const {
    return fs::exists(root + "/gitconfig") ? git::read_operators_configuration() : git::OperatorsConfiguration();
  }
  Summary pack(manifest::WorkspaceMode mode, const std::string& from = "", uint64_t time = 0) {
    archive.clear();
    auto r = send({.mode = mode,
                   .source = from.empty() ? repo : from,
                   .uid = ::getuid(),
                   .gid = ::getgid(),
                   .scratch = root + "/scratch",
                   .record = root + "/sent",
                   .time = time},
                  operators(), sink_to(archive));
    EXPECT_TRUE(r) << r.error().what;
    return r.value_or(Summary{});
  }
  // Does what the engine and the agent's side do: unpacks into /workspace.
  void unpack() {
    inside = root + "/inside/workspace";
    fs::remove_all(root + "/inside");
    fs::create_directories(inside);
    std::ofstream(root + "/out.tar", std::ios::binary) << archive;
    run({"tar", "-C", inside, "-xf", root + "/out.tar"});
  }
  Result<ReceivedWork> take(const std::string& bytes, const std::string& base, const std::string& source = "",
                            uint64_t max_bytes = 1 << 28) {
    size_t at = 0;
    Incoming in = limits;
    in.session = "s1";
    in.source = source.empty() ? repo : source;
    in.base = base;
    in.results_dir = root + "/results/s1";
    in.scratch = root + "/scratch";
    in.record = root + "/sent";
    in.max_bytes = max_bytes;
    in.operators = [this] { return operators(); };
    return receive(in, [&](char* buffer, size_t room) -> Result<size_t> {
      size_t n = std::min({room, bytes.size() - at, size_t{7777}});
      bytes.copy(buffer, n, at);
      at += n;
      return n;
    });
  }
  // Returns the archive of the agent's copy.
  virtual std::string archive_inside() {
    run({"tar", "--format=pax", "-C", root + "/inside", "-cf", root + "/in.tar", "workspace"});
    return *read_file(root + "/in.tar");
  }
  Result<ReceivedWork> take_inside(const std::string& base, const std::string& source = "") {
    return take(archive_inside(), base, source);
  }
  ReceivedWork come_home(const std::string& base, const std::string& source = "") {
    auto back = take_inside(base, source);
    EXPECT_TRUE(back) << back.error().what;
    return back.value_or(ReceivedWork{});
  }
  // Returns the names of the sessions' refs. The tests of read_refs() compare it with git.
  std::string refs(const std::string& where = "") {
    auto repository = git::find(where.empty() ? repo : where);
    if (!repository || !*repository) return "no repository";
    auto found = git::read_refs(**repository, "refs/bottle/");
    EXPECT_TRUE(found) << found.error().what;
    std::vector<std::string> names;
    for (const auto& [name, id] : found.value_or(git::Refs())) names.push_back(name);
    return joined(names, "\n");
  }
  void make_inner(const std::string& path) { commit(path, {{"v.txt", "v\n"}}); }
  // Makes an archive, as hostile as the test needs.
  std::string craft(const std::function<void(docker::TarWriter&)>& fill) {
    std::string out;
    docker::TarWriter tar(sink_to(out));
    EXPECT_TRUE(tar.directory("workspace", 0755, 0, 0));
    fill(tar);
    EXPECT_TRUE(tar.finish());
    return out;
  }
  // Returns whether something was flagged with these words. A test that fails prints all that was flagged.
  static ::testing::AssertionResult flagged(const ReceivedWork& back, const std::string& what) {
    bool found = std::ranges::any_of(back.flagged, [&](const auto& each) { return each.contains(what); });
    auto outcome = found ? ::testing::AssertionSuccess() : ::testing::AssertionFailure();
    return outcome << "flagged:\n" << joined(back.flagged, "\n");
  }
  std::string state() { return git("status --porcelain=v2 --branch --ignored") + git("for-each-ref refs/heads"); }

  std::string archive, inside;
  Incoming limits{.max_entries = 10000};
};

}  // namespace bottle::workspace
