// Replaces files of a directory, all of them or none.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/beneath.h"

namespace bottle::workspace {

// Holds the new state of some files of one directory. The new files are in a directory in it, so that they are on the
// same file system and only have to be renamed. Never follows a symbolic link below the directory.
class Replacement {
 public:
  // Copies what is at these relative paths into staged(), and the .gitattributes that apply to them. Fails with
  // Code::conflict if an earlier replacement in the directory was interrupted. Blocks.
  static Result<std::unique_ptr<Replacement>> begin(const std::string& directory,
                                                    const std::vector<std::string>& paths);

  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;
  ~Replacement();  // calls clean()

  // Returns the directory in which the caller makes the new state: it changes, adds and removes files at the paths.
  std::string staged() const { return directory_ + "/" + own_ + "/new"; }

  // Returns an empty directory on the same file system, to which the caller can move files of staged() for a while.
  std::string aside() const { return directory_ + "/" + own_ + "/aside"; }

  // Flushes the new files to the disk, with the modes of those that they replace. After that, there is room for all of
  // them. Blocks.
  Result<> prepare();

  // Moves the new files into place. Fails with Code::conflict if a file has changed since begin(). After an error, some
  // files may be in place until put_back() is called.
  Result<> put_in_place();

  // Makes put_in_place() final.
  void keep();

  // Removes the files that are not in place, unless put_back() has failed. Nothing may be called after it.
  void clean();

  // Undoes put_in_place(). If that fails, the error says where the files are.
  Result<> put_back();

 private:
  struct File {
    std::string path;
    std::optional<struct stat> before;  // of what was there at first
  };
  struct Step {
    enum class Did { moved_away, moved_in, made_directory, removed_directory } did;
    std::string path;
    mode_t mode = 0;  // of a directory that was removed
  };

  Replacement(std::string directory, Beneath root, std::string own);
  Result<> stage(const File& file);
  Result<> check_unchanged(const File& file) const;
  Result<> move_away(const File& file);
  Result<> move_in(const File& file);
  Result<> undo(const Step& step);
  Result<> make_parents(const std::string& path, bool in_place);
  void remove_empty_parents(const std::string& path, const std::string& last = "");

  std::string directory_;
  Beneath root_;
  std::string own_;  // the name of the directory that holds the new files and the replaced ones
  std::vector<File> files_;
  std::vector<Step> steps_;
};

// Puts all replacements into place, or leaves every directory as it was. Signals should not end the process meanwhile.
// If a directory cannot be put back, the error names it, and the others are put back nevertheless.
Result<> put_in_place(const std::vector<std::unique_ptr<Replacement>>& all);

}  // namespace bottle::workspace
