// Tests that what came home survives a power failure, because the agent's container is removed next. The tests take the
// place of fsync(2) and note what each file and directory was when it was flushed.
#include <dirent.h>
#include <fcntl.h>

#include <mutex>
#include <set>

#include "base/unique_fd.h"
#include "workspace/agent_work_test.h"

namespace {

struct Flushed {
  off_t size = 0;
  std::set<std::string> names;  // of a directory
};

struct {
  std::mutex lock;
  std::map<std::pair<dev_t, ino_t>, Flushed> all;
} flushes;

std::set<std::string> names_in(int directory) {
  std::set<std::string> names;
  int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = fd < 0 ? nullptr : ::fdopendir(fd);
  for (dirent* entry; stream && (entry = ::readdir(stream));) names.insert(entry->d_name);
  if (stream) ::closedir(stream);
  return names;
}

}  // namespace

// Replaces the function of the C library in this program.
extern "C" int fsync(int fd) {
  struct stat st{};
  if (::fstat(fd, &st) != 0) return -1;
  Flushed now{st.st_size, S_ISDIR(st.st_mode) ? names_in(fd) : std::set<std::string>()};
  std::scoped_lock hold(flushes.lock);
  flushes.all[{st.st_dev, st.st_ino}] = std::move(now);
  return 0;
}

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

class Durable : public AgentWork {
 protected:
  void SetUp() override {
    AgentWork::SetUp();
    std::string path = std::getenv("PATH");
    put(root + "/bin/git", "#!/bin/sh\nGIT_TRACE2_EVENT=" + root + "/trace PATH='" + path + "' exec git \"$@\"\n");
    fs::permissions(root + "/bin/git", fs::perms::owner_all);
    path_ = path;
  }

  // Receives the work, and notes only what is flushed meanwhile.
  ReceivedWork take_work(const std::string& base) {
    run({"tar", "--format=pax", "-C", root + "/inside", "-cf", root + "/in.tar", "workspace"});
    std::string archive = *read_file(root + "/in.tar");
    {
      std::scoped_lock hold(flushes.lock);
      flushes.all.clear();
    }
    ::setenv("PATH", (root + "/bin:" + path_).c_str(), 1);
    auto back = take(archive, base);
    ::setenv("PATH", path_.c_str(), 1);
    EXPECT_TRUE(back) << back.error().what;
    return back.value_or(ReceivedWork{});
  }

  static const Flushed* flushed(const fs::path& path) {
    struct stat st{};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    std::scoped_lock hold(flushes.lock);
    auto found = flushes.all.find({st.st_dev, st.st_ino});
    return found == flushes.all.end() ? nullptr : &found->second;
  }

  // Checks that the file or directory has its name on the disk.
  static void check_name(const fs::path& path) {
    const Flushed* parent = flushed(path.parent_path());
    EXPECT_TRUE(parent && parent->names.contains(path.filename())) << "the name of " << path << " is not flushed";
  }

  // Checks everything at and below a path. Returns the number of files.
  static size_t check_tree(const fs::path& top) {
    size_t files = 0;
    check_name(top);
    for (const auto& each : fs::recursive_directory_iterator(top)) {
      check_name(each.path());
      if (!each.is_regular_file()) continue;
      ++files;
      const Flushed* file = flushed(each.path());
      EXPECT_TRUE(file && file->size == static_cast<off_t>(each.file_size())) << each.path() << " is not flushed";
    }
    return files;
  }

  std::string objects() { return sh("cd " + repo + "/.git/objects && find . -type f | sort"); }

  std::string path_;
};

TEST_F(Durable, ResultsRefsAndObjects) {
  put(repo + "/.gitignore", "build/\n");
  git("add .gitignore");
  git("commit -qm ignore");
  make_inner(repo + "/inner");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  sh("cd " + inside + " && echo b >b && git add b && " + commit_ + "-m b && echo c >c && mkdir -p build/deep && " +
     "echo o >build/deep/o && echo p >build/p && echo w >inner/v.txt");
  limits.keep_ignored = true;
  std::istringstream before(objects());
  std::set<std::string> old;
  for (std::string line; std::getline(before, line);) old.insert(line);
  auto back = take_work(sent.base);
  EXPECT_EQ(back.below.size(), 1u);
  // changes.patch, places.json, two kept files and the inner repository's patch
  EXPECT_GE(check_tree(root + "/results/s1"), 5u);
  check_name(root + "/results");
  EXPECT_EQ(check_tree(repo + "/.git/refs/bottle"), 2u);
  std::istringstream after(objects());
  size_t added = 0;
  for (std::string line; std::getline(after, line);) {
    if (old.contains(line)) continue;
    ++added;
    fs::path object = fs::path(repo + "/.git/objects") / line.substr(2);
    check_name(object);
    if (object.parent_path().filename() != "objects") check_name(object.parent_path());
  }
  EXPECT_GT(added, 4u);
  // git itself flushes the contents of the objects.
  size_t flushes = 0;
  std::istringstream counts(
      sh("grep -o '\"fsync/hardware-flush\",\"value\":\"[0-9]*' " + root + "/trace | grep -o '[0-9]*$'"));
  for (size_t count; counts >> count;) flushes += count;
  size_t inner = std::stoul(sh("cd " + repo + "/inner/.git/objects && find . -type f | wc -l"));
  EXPECT_GE(flushes, added + inner - 3) << "the inner repository had a commit, a tree and a blob";
}

TEST_F(Durable, FilesOfADirectoryThatIsNoRepository) {
  fs::remove_all(repo);
  put(repo + "/a.txt", "one\n");
  auto sent = pack(WorkspaceMode::copy);
  unpack();
  put(inside + "/n/new.txt", "new\n");
  put(inside + "/a.txt", "changed\n");
  take_work(sent.base);
  EXPECT_EQ(*read_file(root + "/results/s1/files/n/new.txt"), "new\n");
  EXPECT_GE(check_tree(root + "/results/s1"), 3u);
}

}  // namespace
}  // namespace bottle::workspace
