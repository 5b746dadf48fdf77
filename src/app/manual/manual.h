// The manual pages: one text per command (commands/NAME.md, carried in the program), shown as help, as roff,
// as docs/commands.md, and read by the parser for its descriptions and by the completions. The subset of
// Markdown they are written in:
//
//   # bottle NAME: summary          once, first
//       usage                       code, four spaces
//   ## Section                      "Options", or a subcommand's full name ("bottle image build")
//   - `--flag VALUE`: meaning       an item: its terms, then text; goes on in lines of two spaces
//   text                            `code`, **bold**, *emphasis*, [text](link)
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::app {

struct Block {
  enum class Kind { heading, text, code, item } kind;
  std::string text;                // of code: lines, without their indentation
  std::vector<std::string> terms;  // of an item
  std::string section;             // the heading it stands under; empty: before the first
};

struct Page {
  std::string name;     // "start"; "bottle" for the program itself
  std::string title;    // "bottle start"
  std::string summary;  // "run an agent in a bottle"
  std::vector<Block> blocks;

  // The items that document `command` ("bottle start", "bottle image build"): term → meaning.
  std::map<std::string, std::string> items(std::string_view command) const;
  // The first words of a subcommand's section; of the page's own command the summary.
  std::string about(std::string_view command) const;
};

// Aborts on a page that is not written as above: a mistake of ours, found by the first test.
Page parse_page(std::string_view name, std::string_view markdown);

// All pages, in the order of help.
const std::vector<Page>& pages();
// The groups of commands that help shows: the items of the section "Commands" in the program's own page, each with a
// title and the names of its commands.
struct Group {
  std::string title;  // "Run agents"
  std::vector<const Page*> pages;
};
std::vector<Group> groups();
const Page* find_page(std::string_view name);
// The same for a person: Code::not_found with a suggestion.
Result<const Page*> named_page(const std::string& name);
// "bottle-start": the page's name for man(1).
std::string man_name(const Page& page);

// `width` columns; `bold` only where the output is a terminal that has it.
std::string to_terminal(const Page& page, size_t width, bool bold);
// The overview that `bottle help` shows.
std::string overview(size_t width, bool bold);
// man(7). Source: groff_man(7).
std::string to_roff(const Page& page);
// docs/commands.md.
std::string commands_markdown();

}  // namespace bottle::app
