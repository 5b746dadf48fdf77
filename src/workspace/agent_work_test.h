// Supports tests of what comes back after an agent's commands in a copy of a repository.
#pragma once

#include "base/stream.h"
#include "workspace/workspace_test.h"

namespace bottle::workspace {

class AgentWork : public Workspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    make_repository();
  }
  // Runs a command in a copy of the repository as the agent does. Sends the same archive again as long as the
  // operator's files are the same, because several processes make it.
  ReceivedWork after(manifest::WorkspaceMode mode, const std::string& command) {
    auto files = operators_files();
    if (!last_ || last_->mode != mode || last_->files != files || last_->archive != archive) {
      auto sent = pack(mode);
      last_ = {mode, std::move(files), archive, sent};
    }
    unpack();
    sh("cd " + inside + " && " + command);
    return come_home(last_->sent.base);
  }
  static bool says(const ReceivedWork& back, const std::string& words) {
    return back.text.find(words) != std::string::npos;
  }

  const std::string commit_ = "git -c user.name=a -c user.email=a@b commit -q ";

  // Unpacks what was sent without a process. The files get other times than those that were sent.
  void unpack() {
    inside = root + "/inside/workspace";
    fs::remove_all(root + "/inside");
    fs::create_directories(inside);
    std::map<std::string, int> directories;
    auto unpacked = read_tar(source_of(archive), [&](const TarEntry& entry, const Source& body) -> Result<> {
      const std::string path = inside + "/" + entry.path;
      if (entry.kind == TarEntry::Kind::directory) {
        fs::create_directories(path);
        directories[path] = entry.mode;
      } else if (entry.kind == TarEntry::Kind::symlink) {
        fs::create_symlink(entry.target, path);
      } else {
        EXPECT_EQ(entry.kind, TarEntry::Kind::file) << path;
        std::ofstream file(path, std::ios::binary);
        char buffer[65536];
        while (size_t n = TRY(body(buffer, sizeof buffer))) file.write(buffer, static_cast<std::streamsize>(n));
        EXPECT_EQ(::chmod(path.c_str(), static_cast<mode_t>(entry.mode)), 0) << path;
      }
      return {};
    });
    EXPECT_TRUE(unpacked) << unpacked.error().what;
    for (const auto& [path, mode] : directories) EXPECT_EQ(::chmod(path.c_str(), static_cast<mode_t>(mode)), 0) << path;
  }
  // Writes the archive without a process, unless the copy has hard links, or what is no file, directory or link.
  std::string archive_inside() override {
    bool is_plain = true;
    std::string bytes = craft([&](docker::TarWriter& tar) {
      for (fs::recursive_directory_iterator each(inside), end; each != end && is_plain; ++each) {
        std::string path = each->path(), name = "workspace" + path.substr(inside.size());
        struct stat st{};
        ASSERT_EQ(::lstat(path.c_str(), &st), 0) << path;
        int mode = static_cast<int>(st.st_mode & 07777);
        if (S_ISDIR(st.st_mode)) EXPECT_TRUE(tar.directory(name, mode, 0, 0));
        else if (S_ISLNK(st.st_mode)) EXPECT_TRUE(tar.symlink(name, fs::read_symlink(path), 0, 0));
        else if (S_ISREG(st.st_mode) && st.st_nlink == 1) EXPECT_TRUE(tar.file(name, mode, 0, 0, *read_file(path)));
        else is_plain = false;
      }
    });
    return is_plain ? bytes : Workspace::archive_inside();
  }

 private:
  struct Sent {
    manifest::WorkspaceMode mode;
    std::map<std::string, std::string> files;
    std::string archive;
    Summary sent;
  };

  // Describes all of the operator's files, except for what comes home: refs of the session, and objects, of which none
  // changes.
  std::map<std::string, std::string> operators_files() const {
    std::map<std::string, std::string> files;
    auto note = [&](const std::string& path) {
      struct stat st{};
      if (::lstat(path.c_str(), &st) != 0) return;
      std::string text = std::to_string(st.st_mode);
      if (!S_ISDIR(st.st_mode))
        for (auto number : {static_cast<long>(st.st_ino), static_cast<long>(st.st_size),
                            static_cast<long>(st.st_mtim.tv_sec), static_cast<long>(st.st_mtim.tv_nsec)})
          text += " " + std::to_string(number);
      files[path] = text;
    };
    note(root + "/gitconfig");
    for (fs::recursive_directory_iterator each(repo), end; each != end; ++each) {
      std::string path = each->path();
      if (path.ends_with("/.git/refs/bottle") || path.ends_with("/.git/objects")) each.disable_recursion_pending();
      else note(path);
    }
    return files;
  }

  std::optional<Sent> last_;
};

}  // namespace bottle::workspace
