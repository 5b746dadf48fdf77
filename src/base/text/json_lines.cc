// Hostile lines reach the file only through a parser and a writer: what is written is a JSON object that this program
// has understood, with every character beyond ASCII escaped. Lines that are too long or too deep are left out without
// an error, because one bad line must not hide the others. Too much in total is an error, because the disk is the
// operator's.

#include "base/text/json_lines.h"

#include <fcntl.h>

#include <algorithm>

#include "base/files/file.h"
#include "base/text/json.h"

namespace bottle {
namespace {
// These lines come from agents and far guards, so they may be deeper than our own JSON (`kDeepestJson`).
constexpr size_t kDeepest = 64;
}  // namespace

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && name[0] != '.' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
             std::string_view::npos;
}

Result<JsonLines> JsonLines::create(const std::string& path, uint64_t most, size_t longest) {
  // O_NOFOLLOW keeps a link of that name from redirecting the write.
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating " + path);
  JsonLines lines(std::move(fd));
  lines.left_ = lines.written_left_ = most;
  lines.longest_ = longest;
  return lines;
}

Result<> JsonLines::feed(std::string_view bytes) {
  // The input is counted as well, because lines that are left out also cost time.
  if (bytes.size() > left_) return fail(Code::limit, "the lines of JSON exceed the limit for their file");
  left_ -= bytes.size();
  for (size_t end; (end = bytes.find('\n')) != std::string_view::npos; bytes.remove_prefix(end + 1)) {
    pending_ += bytes.substr(0, end);
    // Leaves out a line that is nested very deeply, because writing it is recursive.
    bool whole = !skipping_ && pending_.size() <= longest_;
    auto line = whole ? parse_json(pending_, kDeepest) : Result<nlohmann::json>(nullptr);
    pending_.clear();
    skipping_ = false;
    if (!line || !line->is_object()) continue;
    // The line is written again instead of copied: escapes for everything that is not ASCII make the line safe for a
    // terminal, and text that is not UTF-8 cannot break a later reader.
    std::string text = line->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
    if (text.size() > written_left_) return fail(Code::limit, "the lines of JSON exceed the limit for their file");
    written_left_ -= text.size();
    TRY(write_all(fd_.get(), text));
  }
  pending_ += bytes;
  // Drops the beginning of a line that is already too long, so that a stream without line ends needs no more memory
  // than one line.
  if (pending_.size() > longest_) {
    pending_.clear();
    skipping_ = true;
  }
  return {};
}

}  // namespace bottle
