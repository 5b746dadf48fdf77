#include "inside/gate/gate.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/os/poller.h"

namespace bottle::inside {
namespace {

using nlohmann::json;

bool clean_text(const std::string& s) { return s.find('\0') == std::string::npos; }

Result<std::string> read_exactly(int fd, size_t size, int idle_ms) {
  std::string out;
  while (out.size() < size) {
    if (!wait_readable(fd, idle_ms)) return fail(Code::timed_out, "the gate was not opened in time");
    char buffer[65536];
    ssize_t got = ::read(fd, buffer, std::min(sizeof buffer, size - out.size()));
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail_errno("reading at the gate");
    if (got == 0) return fail(Code::closed, "the session closed the gate");
    out.append(buffer, static_cast<size_t>(got));
  }
  return out;
}

std::unexpected<Error> malformed(const std::string& what) {
  return fail(Code::protocol, "the go message is malformed: " + what);
}

}  // namespace

bool all_ok(const std::vector<Probe>& probes) {
  return !probes.empty() && std::all_of(probes.begin(), probes.end(), [](const Probe& p) { return p.ok; });
}

std::string encode_report(const std::vector<Probe>& probes) {
  json list = json::array();
  for (const auto& p : probes) list.push_back({{"name", p.name}, {"ok", p.ok}, {"detail", p.detail}});
  // The JSON encoder escapes control characters, so ESC and BEL mark the beginning and the end without ambiguity.
  return "\x1b]bottle;" +
         json{{"ok", all_ok(probes)}, {"probes", list}}.dump(-1, ' ', true, json::error_handler_t::replace) + "\x07";
}

Result<Go> parse_go(std::string_view text) {
  json j = json::parse(text.begin(), text.end(), nullptr, false);
  if (!j.is_object()) return malformed("it is not a JSON object");
  Go go;
  for (const auto& [key, value] : j.items()) {
    if (key == "env" || key == "locale") {
      if (!value.is_object()) return malformed(key);
      for (const auto& [name, v] : value.items()) {
        if (!v.is_string() || name.empty() || name.find('=') != std::string::npos || !clean_text(name) ||
            !clean_text(v.get_ref<const std::string&>()))
          return malformed(key);
        (key == "env" ? go.env : go.locale)[name] = v.get<std::string>();
      }
    } else if (key == "argv") {
      if (!value.is_array()) return malformed("argv");
      for (const auto& v : value) {
        if (!v.is_string() || !clean_text(v.get_ref<const std::string&>())) return malformed("argv");
        go.argv.push_back(v.get<std::string>());
      }
    } else if (key == "files") {
      if (!value.is_array()) return malformed("files");
      for (const auto& v : value) {
        if (!v.is_object() || !v.contains("path") || !v["path"].is_string() || !v.contains("text") ||
            !v["text"].is_string())
          return malformed("files");
        GoFile file{v["path"].get<std::string>(), 0644, v["text"].get<std::string>()};
        if (v.contains("mode")) {
          if (!v["mode"].is_number_integer() || v["mode"].get<int64_t>() < 0 || v["mode"].get<int64_t>() > 0777)
            return malformed("mode");
          file.mode = v["mode"].get<int>();
        }
        if (!file.path.starts_with('/') || file.path.ends_with('/') || !clean_text(file.path))
          return malformed("the path of a file is not valid");
        go.files.push_back(std::move(file));
      }
    } else if (key == "ssh_agent") {
      if (!value.is_boolean()) return malformed(key);
      go.ssh_agent = value.get<bool>();
    } else if (key == "cwd" || key == "ca" || key == "stdin") {
      if (!value.is_string()) return malformed(key);
      (key == "cwd" ? go.cwd : key == "ca" ? go.ca : go.stdin_text) = value.get<std::string>();
      if (key == "stdin") go.has_stdin = true;
    }
  }
  if (go.argv.empty() || go.argv[0].empty()) return malformed("it has no argv");
  if (!go.cwd.empty() && (!go.cwd.starts_with('/') || !clean_text(go.cwd))) return malformed("cwd");
  return go;
}

Result<> read_ask(int fd, int idle_ms) {
  std::string ask = TRY(read_exactly(fd, 1, idle_ms));
  if (ask != "\n") return fail(Code::protocol, "the gate received an unknown request");
  return {};
}

Result<Go> read_go(int fd, int idle_ms) {
  std::string head = TRY(read_exactly(fd, 8, idle_ms));
  size_t size = 0;
  for (char c : head) {
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return malformed("its length is not hexadecimal");
    size = size * 16 + static_cast<size_t>(digit);
  }
  if (size > kGoLimit) return fail(Code::limit, "the go message is larger than 64 MB");
  return parse_go(TRY(read_exactly(fd, size, idle_ms)));
}

}  // namespace bottle::inside
