#include "inside/unpack.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/stream.h"

namespace bottle::inside {
namespace {

namespace fs = std::filesystem;

// Provides an empty directory and an archive.
class Unpacking : public ::testing::Test {
 protected:
  Unpacking() { fs::create_directory(below); }
  ~Unpacking() override {
    for (const auto& entry : fs::recursive_directory_iterator(below))
      if (entry.is_directory() && !entry.is_symlink()) ::chmod(entry.path().c_str(), 0700);
    fs::remove_all(below);
  }

  Result<> unpack(size_t piece = 1000) {
    Unpacker unpacker(below);
    for (size_t at = 0; at < archive.size(); at += piece) unpacker.take(std::string_view(archive).substr(at, piece));
    return unpacker.finish();
  }
  struct stat stat(const std::string& path) const {
    struct stat st{};
    EXPECT_EQ(::lstat((below + "/" + path).c_str(), &st), 0) << path;
    return st;
  }
  mode_t mode(const std::string& path) const { return stat(path).st_mode & 07777; }
  std::string text(const std::string& path) const { return read_file(below + "/" + path).value_or("nothing"); }
  // Adds a hard link, which our writer has no function for.
  void add_hard_link(const std::string& path, const std::string& target) {
    size_t begin = archive.size();
    ASSERT_TRUE(tar.symlink(path, target, 0, 0));
    archive[begin + 156] = '1';
    std::string sum = archive.substr(begin + 148, 6);
    std::string changed(8, '\0');
    std::snprintf(changed.data(), changed.size(), "%06lo", std::stoul(sum, nullptr, 8) - 1);
    archive.replace(begin + 148, 6, changed, 0, 6);
  }

  std::string below = ::testing::TempDir() + "/bottle-unpack-" + random_hex(4);
  std::string archive;
  docker::TarWriter tar{sink_to(archive), 1'000'000'000};
};

TEST_F(Unpacking, MakesEverythingThatTheArchiveDescribes) {
  ASSERT_TRUE(tar.directory("d", 0750, 0, 0));
  ASSERT_TRUE(tar.file("d/f", 0640, 0, 0, "text"));
  ASSERT_TRUE(tar.file("d/empty", 0755, 0, 0, ""));
  ASSERT_TRUE(tar.file("d/set", 04711, 0, 0, std::string(70000, 'x')));
  ASSERT_TRUE(tar.symlink("d/l", "../nowhere", 0, 0));
  add_hard_link("d/h", "d/f");
  ASSERT_TRUE(tar.finish());
  for (size_t piece : {7u, 1000u, 1000000u}) {
    // The second time, everything exists.
    auto unpacked = unpack(piece);
    ASSERT_TRUE(unpacked) << unpacked.error().what;
    EXPECT_EQ(text("d/f"), "text");
    EXPECT_EQ(text("d/empty"), "");
    EXPECT_EQ(text("d/set").size(), 70000u);
    EXPECT_EQ(fs::read_symlink(below + "/d/l"), "../nowhere");
    EXPECT_EQ(stat("d/h").st_ino, stat("d/f").st_ino);
    EXPECT_EQ(mode("d"), 0750u);
    EXPECT_EQ(mode("d/f"), 0640u);
    EXPECT_EQ(mode("d/set"), 04711u);
    for (const char* path : {"d", "d/f", "d/empty", "d/l", "d/h"}) {
      EXPECT_EQ(stat(path).st_mtim.tv_sec, 1'000'000'000) << path;
      EXPECT_EQ(stat(path).st_uid, ::geteuid()) << path;
    }
  }
}

// Its owner cannot make files in such a directory, unlike the engine, which is root.
TEST_F(Unpacking, ADirectoryMayBeOneThatItsOwnerCannotWriteTo) {
  ASSERT_TRUE(tar.directory("d", 0555, 0, 0));
  ASSERT_TRUE(tar.directory("d/e", 0, 0, 0));
  ASSERT_TRUE(tar.file("d/e/f", 0444, 0, 0, "text"));
  ASSERT_TRUE(tar.finish());
  // In a process of an ordinary user, because root can write to every directory.
  fs::permissions(below, fs::perms::all);
  pid_t pid = ::fork();
  if (pid == 0) {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(2);
    ::_exit(unpack() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(mode("d"), 0555u);
  EXPECT_EQ(mode("d/e"), 0u);
}

TEST_F(Unpacking, ReplacesWhatIsInTheWay) {
  fs::create_directory(below + "/real");
  fs::create_symlink(below + "/real", below + "/d");
  fs::create_symlink(below + "/real/f", below + "/f");
  fs::create_directory(below + "/l");
  ASSERT_TRUE(tar.directory("d", 0755, 0, 0));
  ASSERT_TRUE(tar.file("d/x", 0644, 0, 0, "x"));
  ASSERT_TRUE(tar.file("f", 0644, 0, 0, "new"));
  ASSERT_TRUE(tar.symlink("l", "f", 0, 0));
  ASSERT_TRUE(tar.finish());
  ASSERT_TRUE(unpack());
  EXPECT_FALSE(fs::is_symlink(below + "/d"));
  EXPECT_TRUE(fs::is_empty(below + "/real"));
  EXPECT_EQ(text("f"), "new");
  EXPECT_TRUE(fs::is_symlink(below + "/l"));
}

// The engine removes the directory. It unpacks the archive if this program cannot.
TEST_F(Unpacking, FailsIfADirectoryWithFilesIsInTheWay) {
  fs::create_directory(below + "/f");
  ASSERT_TRUE(write_file_atomically(below + "/f/x", "x"));
  ASSERT_TRUE(tar.file("f", 0644, 0, 0, "new"));
  ASSERT_TRUE(tar.file("g", 0644, 0, 0, "not reached"));
  ASSERT_TRUE(tar.finish());
  auto unpacked = unpack();
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().what, "unpacking " + below + "/f: File exists");
  EXPECT_FALSE(fs::exists(below + "/g"));
}

TEST_F(Unpacking, AnArchiveThatIsNotWholeIsAnError) {
  ASSERT_TRUE(tar.file("f", 0644, 0, 0, "text"));
  EXPECT_EQ(unpack().error().code, Code::closed);
  archive += "not an archive" + std::string(1024, 'x');
  EXPECT_EQ(unpack().error().code, Code::protocol);
  archive.clear();
  EXPECT_EQ(unpack().error().code, Code::closed);
}

TEST_F(Unpacking, RefusesPathsThatLeadOut) {
  ASSERT_TRUE(tar.file("../f", 0644, 0, 0, ""));
  EXPECT_EQ(unpack().error().code, Code::protocol);
}

// A full disk fails in the same way as a file that may not become so large.
TEST_F(Unpacking, ADiskThatIsFullIsAnError) {
  ASSERT_TRUE(tar.file("f", 0644, 0, 0, std::string(100000, 'x')));
  ASSERT_TRUE(tar.finish());
  pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(unpack() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace bottle::inside
