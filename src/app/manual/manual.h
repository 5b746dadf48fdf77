// Parses and shows the manual pages. Each command has one page (commands/NAME.md, which is compiled into the program).
// Pages are shown as help, as roff and as docs/commands.md; the completions read descriptions from them.
// They are written in this subset of Markdown:
//
//   # bottle NAME: summary          once, first
//       usage                       code, four spaces
//   ## Section                      "Options", or a subcommand's full name ("bottle image build")
//   - `--flag VALUE`: meaning       an item: its terms, then text; continuation lines start with two spaces
//   text                            `code`, **bold**, *emphasis*, [text](link)
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::app {

// Holds a part of a page: a heading, a paragraph, code, or an item of a list.
struct Block {
  enum class Kind { heading, text, code, item } kind;
  std::string text;                // for code: lines without their indentation
  std::vector<std::string> terms;  // for an item
  std::string section;             // the heading above it; empty before the first heading
};

// Holds the parsed page of one command. All pages exist as long as the program runs.
struct Page {
  std::string name;     // such as "start"; "bottle" for the program itself
  std::string title;    // "bottle start"
  std::string summary;  // "run an agent in a bottle"
  std::vector<Block> blocks;

  // Returns the items that document `command` ("bottle start", "bottle image build"): term → meaning.
  std::map<std::string, std::string> items(std::string_view command) const;
  // Returns the first words of a subcommand's section, or the summary for the page's own command.
  std::string about(std::string_view command) const;
};

// Parses a page. Aborts if the page is not written as described above: that is a bug in bottle, and the first test
// finds it.
Page parse_page(std::string_view name, std::string_view markdown);

// Returns all pages in the order of help.
const std::vector<Page>& pages();
// Holds a group of commands as help shows it. The groups are the items of the section "Commands" in the program's own
// page; each has a title and the names of its commands.
struct Group {
  std::string title;  // such as "Run agents"
  std::vector<const Page*> pages;
};
// groups() returns the groups in the order of help. find_page() returns the page of a command by its name, such as
// "start", or null.
std::vector<Group> groups();
const Page* find_page(std::string_view name);
// Does the same for a name that a person typed: fails with Code::not_found and a suggestion.
Result<const Page*> named_page(const std::string& name);
// Returns the page's name for man(1), such as "bottle-start".
std::string man_name(const Page& page);

// Returns the page in `width` columns. Set `bold` only if the output is a terminal that supports it.
std::string to_terminal(const Page& page, size_t width, bool bold);
// Returns the overview that `bottle help` shows.
std::string overview(size_t width, bool bold);
// Returns the page in the format of man(7). Source: groff_man(7).
std::string to_roff(const Page& page);
// Returns the text of docs/commands.md.
std::string commands_markdown();

}  // namespace bottle::app
