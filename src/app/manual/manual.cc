// The format is a small part of Markdown, so that a page is readable as it is. Parsing goes line by line; its only
// state is whether the last block is still open. A page is part of the program, so a malformed page is a bug: the
// program aborts, and a unit test parses every page.
#include "app/manual/manual.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "app/commands/commands.h"
#include "base/text/words.h"
#include "manifest/manifest.h"

namespace bottle::app {
namespace {

using Kind = Block::Kind;

// Aborts the program and prints the malformed line.
[[noreturn]] void bad_page(std::string_view name, std::string_view line) {
  std::fprintf(stderr, "the page of %.*s is not written as manual.h says: %.*s\n", static_cast<int>(name.size()),
               name.data(), static_cast<int>(line.size()), line.data());
  std::abort();
}

// Splits "- `a`, `b VALUE`: text" into its terms and the text. A bullet without terms has only text.
Block item_from(std::string_view name, std::string line, const std::string& section) {
  Block block{Kind::item, "", {}, section};
  line.erase(0, 2);
  while (line.starts_with("`")) {
    size_t end = line.find('`', 1);
    if (end == std::string::npos) bad_page(name, line);
    block.terms.push_back(line.substr(1, end - 1));
    line.erase(0, end + 1);
    if (line.starts_with(", ")) line.erase(0, 2);
  }
  if (block.terms.empty() || !line.starts_with(": ")) bad_page(name, line);
  block.text = line.substr(2);
  return block;
}

}  // namespace

Page parse_page(std::string_view name, std::string_view markdown) {
  Page page;
  page.name = name;
  std::string section;
  bool open = false;  // whether the last block may continue
  for (std::string_view each : each_line(markdown)) {
    std::string line(each);
    Block* last = open && !page.blocks.empty() ? &page.blocks.back() : nullptr;
    if (page.title.empty()) {
      size_t colon = line.find(": ");
      if (!line.starts_with("# ") || colon == std::string::npos) bad_page(name, line);
      page.title = line.substr(2, colon - 2);
      page.summary = line.substr(colon + 2);
    } else if (line.empty()) {
      // Code may contain empty lines. Those at its end are removed below.
      if (last && last->kind == Kind::code) last->text += '\n';
      else open = false;
    } else if (line.starts_with("## ")) {
      section = line.substr(3);
      page.blocks.push_back({Kind::heading, section, {}, section});
      open = false;
    } else if (line.starts_with("    ")) {
      if (last && last->kind == Kind::code) last->text += line.substr(4) + '\n';
      else page.blocks.push_back({Kind::code, line.substr(4) + '\n', {}, section});
      open = true;
    } else if (line.starts_with("- ")) {
      page.blocks.push_back(item_from(name, line, section));
      open = true;
    } else if (last && (last->kind == Kind::text || (last->kind == Kind::item && line.starts_with("  ")))) {
      last->text += ' ' + line.substr(line.find_first_not_of(' '));
    } else {
      if (line[0] == '#' || line[0] == '|' || line[0] == ' ') bad_page(name, line);
      page.blocks.push_back({Kind::text, line, {}, section});
      open = true;
    }
  }
  for (Block& block : page.blocks)
    while (block.kind == Kind::code && block.text.ends_with("\n\n")) block.text.pop_back();
  if (page.blocks.empty() || page.blocks[0].kind != Kind::code) bad_page(name, "no usage");
  return page;
}

// A page with one command documents its options under "Options", one with several under the name of each.
std::map<std::string, std::string> Page::items(std::string_view command) const {
  std::map<std::string, std::string> found;
  for (const Block& block : blocks)
    if (block.kind == Kind::item && (block.section == command || (command == title && block.section == "Options")))
      for (const std::string& term : block.terms) found[term] = block.text;
  return found;
}

std::string Page::about(std::string_view command) const {
  if (command == title) return summary;
  for (const Block& block : blocks)
    if (block.kind == Kind::text && block.section == command) return block.text;
  return "";
}

const std::vector<Page>& pages() {
  static const std::vector<Page> all = [] {
    std::vector<Page> parsed = {parse_page("bottle", page_text("bottle"))};
    for (const CommandEntry& command : commands()) parsed.push_back(parse_page(command.name, page_text(command.name)));
    return parsed;
  }();
  return all;
}

// The program's own page decides the order of the groups and of the commands in them.
std::vector<Group> groups() {
  std::vector<Group> all;
  for (const Block& block : pages().front().blocks) {
    if (block.kind != Kind::item || block.section != "Commands") continue;
    Group group{block.terms.front(), {}};
    std::istringstream names(block.text);
    for (std::string name; names >> name;) {
      const Page* page = find_page(name);
      if (!page) bad_page("bottle", "there is no command " + name);
      group.pages.push_back(page);
    }
    all.push_back(std::move(group));
  }
  return all;
}

const Page* find_page(std::string_view name) {
  for (const Page& page : pages())
    if (page.name == name) return &page;
  return nullptr;
}

Result<const Page*> named_page(const std::string& name) {
  if (const Page* page = find_page(name)) return page;
  std::vector<std::string> known;
  for (const Page& page : pages()) known.push_back(page.name);
  return fail(Code::not_found, "there is no command '" + name + "'", manifest::suggest(name, known));
}

std::string man_name(const Page& page) { return page.name == "bottle" ? "bottle" : "bottle-" + page.name; }

}  // namespace bottle::app
