// Writes a git directory file by file instead of running `git init`. This takes no process, uses no template, and
// makes a directory that contains exactly the given settings. Every file is new, so nothing in the place where the
// directory is made can become a part of it.
#include "git/run/directory.h"

#include <fcntl.h>

#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle::git {
namespace {

// Quotes a path as in git's file of alternates: a path with a newline or a quotation mark is quoted as in C.
std::string quoted(const std::string& path) {
  std::string out = "\"";
  for (char c : path) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? "\\n" : std::string(1, c);
  }
  return out + "\"";
}

}  // namespace

Result<Directory> Directory::make(const std::string& path, const Content& content) {
  Directory made;
  made.path_ = path;
  // git treats a directory as a repository only if it has HEAD, objects and refs. In a directory that borrows its
  // objects, git makes whatever else it needs when it writes.
  bool is_whole = content.alternates.empty(), has_info = !content.attributes.empty() || !content.exclude.empty();
  TRY(make_directories(path + "/objects/info"));
  TRY(make_directories(path + (is_whole ? "/refs/heads" : "/refs")));
  if (is_whole) TRY(make_directories(path + "/objects/pack"));
  if (is_whole || has_info) TRY(make_directories(path + "/info"));
  // Extensions count only with format version 1.
  bool sha256 = content.format == ObjectFormat::sha256;
  std::string config = std::string("[core]\n\trepositoryformatversion = ") + (sha256 ? "1" : "0") +
                       "\n\tfilemode = true\n\tbare = " + (content.bare ? "true" : "false") +
                       "\n\tlogallrefupdates = " + (content.bare ? "false" : "true") + "\n";
  if (sha256) config += "[extensions]\n\tobjectformat = sha256\n";
  // If a setting appears twice, git uses the last one.
  TRY(write_new_file(path + "/config", config + content.config));
  TRY(write_new_file(path + "/HEAD", (content.head.starts_with("refs/") ? "ref: " : "") + content.head + "\n"));
  std::string alternates;
  for (const auto& objects : content.alternates) alternates += quoted(objects) + "\n";
  const std::pair<const char*, const std::string&> files[] = {{"/objects/info/alternates", alternates},
                                                              {"/packed-refs", content.packed_refs},
                                                              {"/shallow", content.shallow},
                                                              {"/info/attributes", content.attributes},
                                                              {"/info/exclude", content.exclude}};
  for (const auto& [name, text] : files)
    if (!text.empty()) TRY(write_new_file(path + name, text));
  return made;
}

Result<> Directory::configure(const std::string& lines) const {
  UniqueFd fd(::open((path_ + "/config").c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + path_ + "/config");
  return write_all(fd.get(), lines);
}

}  // namespace bottle::git
