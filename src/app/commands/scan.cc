// Looks for secrets in files as a guard looks for them in requests: with the same catalog and the same stream, which
// gets the file in pieces. A file that could not be scanned completely counts as one that the guard would stop.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/own_rules.h"
#include "base/files/file.h"
#include "base/text/words.h"
#include "scan/message/stream.h"

namespace bottle::app {
namespace {

using nlohmann::json;

struct ScanOptions {
  std::vector<std::string> files, allowed, rules;
  std::string known;
  bool as_json = false;
};

// Returns the rules and values to look for. `known` is a file with lines of the form NAME=VALUE.
Result<scan::Catalog> catalog_of(const ScanOptions& options) {
  auto catalog = TRY(catalog_with(options.rules));
  // These are fingerprints, as in egress.allowed_secrets.
  for (const auto& print : options.allowed) catalog.allow(print);
  if (!options.known.empty()) {
    std::string text = TRY(read_file(options.known, 1 << 20));
    for (std::string_view line : each_line(text))
      if (size_t equals = line.find('='); equals != line.npos)
        catalog.add_known(std::string(line.substr(0, equals)), line.substr(equals + 1));
  }
  catalog.build();
  return catalog;
}

// Reads the file to its end, or until the stream blocks.
Result<> scan_file(const std::string& file, scan::Stream& stream) {
  auto close = [](std::FILE* f) { return f == stdin ? 0 : std::fclose(f); };
  // "e" opens with O_CLOEXEC.
  std::unique_ptr<std::FILE, decltype(close)> in(file == "-" ? stdin : std::fopen(file.c_str(), "rbe"), close);
  if (!in) return fail_errno("the file to scan: reading " + (file.empty() ? "a file whose name is empty" : file));
  std::string piece(64 * 1024, '\0'), out;
  for (;;) {
    size_t size = std::fread(piece.data(), 1, piece.size(), in.get());
    if (size == 0) break;
    // The stream itself reports why it stopped.
    if (!stream.feed(std::string_view(piece).substr(0, size), out)) return {};
    out.clear();
  }
  if (std::ferror(in.get())) {
    bool directory = errno == EISDIR;
    auto failed = fail_errno("reading " + (file == "-" ? "stdin" : file));
    if (directory) failed.error().todo = "name the files in it";
    return failed;
  }
  stream.end(out);
  return {};
}

json as_json(const scan::Finding& each) {
  return {{"rule", each.name},   {"what", each.what}, {"encoding", each.encoding}, {"fingerprint", each.fingerprint},
          {"begin", each.begin}, {"end", each.end},   {"sure", each.sure},         {"warns", each.warns()}};
}

void show(const std::string& file, const scan::Finding& each) {
  std::string text =
      file + ": byte " + std::to_string(each.begin) + ": " + (each.warns() ? "warning: " : "") + each.what;
  if (!each.encoding.empty()) text += ", as " + each.encoding;
  if (!each.fingerprint.empty()) text += ", fingerprint " + each.fingerprint;
  print(text + " [" + each.name + "]");
}

int scan_files(const ScanOptions& options) {
  auto catalog = catalog_of(options);
  if (!catalog) return report(catalog.error(), options.as_json);
  json files = json::array();
  bool blocked = false;
  for (const auto& file : options.files) {
    // What the guard would refuse because it cannot scan it is a problem here, too, so a piece has the same limits.
    scan::Stream stream(&*catalog, scan::OnFinding::block, {},
                        [](const scan::Finding&) { return scan::OnFinding::report; });
    if (auto read = scan_file(file, stream); !read) return report(read.error(), options.as_json);
    json findings = json::array();
    std::string problem = stream.problem();
    if (problem.empty() && !stream.unscanned().empty())
      problem = "not all of it was scanned, because " + std::string(stream.unscanned());
    if (!problem.empty() && !options.as_json) print(file + ": " + problem);
    bool blocks = !problem.empty();
    for (const auto& each : stream.findings()) {
      blocks |= !each.warns();
      if (options.as_json) findings.push_back(as_json(each));
      else show(file, each);
    }
    blocked |= blocks;
    if (options.as_json)
      files.push_back({{"file", file}, {"blocked", blocks}, {"problem", problem}, {"findings", findings}});
  }
  if (options.as_json) print_json({{"files", files}});
  return blocked ? 1 : 0;
}

}  // namespace

void add_scan(Command app) {
  auto o = std::make_shared<ScanOptions>();
  Command command = app.command("scan");
  command.option("file", o->files).required();
  command.option("--rules", o->rules).one_value_each();
  command.option("--known", o->known);
  command.option("--allow", o->allowed).one_value_each();
  command.flag("--json", o->as_json);
  command.runs([o] { return scan_files(*o); });
}

}  // namespace bottle::app
