// Renders the pages for a terminal, for man(1) and for the documentation. All three go through the same blocks, and
// differ only in how they mark inline text and break lines. The Markdown depends only on the pages, because a test
// compares it with docs/commands.md.
#include <algorithm>

#include "app/manual/manual.h"
#include "base/text/words.h"

namespace bottle::app {
namespace {

using Kind = Block::Kind;

// Holds one piece of inline text and its style.
struct Piece {
  enum class Style { plain, code, bold, italic, link } style;
  std::string text, link;
};

// Splits text into its pieces. A mark without its counterpart is ordinary text.
std::vector<Piece> pieces_of(const std::string& text) {
  std::vector<Piece> pieces;
  auto plain = [&](char c) {
    if (pieces.empty() || pieces.back().style != Piece::Style::plain) pieces.push_back({Piece::Style::plain, "", ""});
    pieces.back().text += c;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    auto until = [&](const std::string& mark, size_t from) { return text.find(mark, from); };
    if (size_t end; text[i] == '`' && (end = until("`", i + 1)) != std::string::npos) {
      pieces.push_back({Piece::Style::code, text.substr(i + 1, end - i - 1), ""});
      i = end;
    } else if (text.compare(i, 2, "**") == 0 && (end = until("**", i + 2)) != std::string::npos) {
      pieces.push_back({Piece::Style::bold, text.substr(i + 2, end - i - 2), ""});
      i = end + 1;
    } else if (text[i] == '*' && (end = until("*", i + 1)) != std::string::npos) {
      pieces.push_back({Piece::Style::italic, text.substr(i + 1, end - i - 1), ""});
      i = end;
    } else if (text[i] == '[' && (end = until("](", i)) != std::string::npos && until(")", end) != std::string::npos) {
      size_t close = until(")", end);
      pieces.push_back({Piece::Style::link, text.substr(i + 1, end - i - 1), text.substr(end + 2, close - end - 2)});
      i = close;
    } else {
      plain(text[i]);
    }
  }
  return pieces;
}

// Returns the text without marks. A link to a page of the documentation becomes its path, because a terminal cannot
// follow links.
std::string plain_text(const std::string& text) {
  std::string out;
  for (const Piece& piece : pieces_of(text))
    out += piece.style == Piece::Style::link && piece.link.ends_with(".md") ? "docs/" + piece.link : piece.text;
  return out;
}

size_t columns(std::string_view text) {  // for UTF-8 without wide characters
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

// Wraps words into lines of `width` columns. Every line except the first starts with `indent` blanks.
std::string wrapped(const std::string& text, size_t indent, size_t width) {
  std::string out;
  size_t column = indent;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(' ', at), text.size());
    std::string word = text.substr(at, end - at);
    at = end + 1;
    if (column > indent && column + 1 + columns(word) > width) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += columns(word);
  }
  return out + '\n';
}

constexpr size_t kTermColumn = 26;

// Returns a term and its meaning in two columns. A long term has a separate line.
std::string item_line(const std::string& term, const std::string& text, size_t width) {
  std::string out = "  " + term;
  if (columns(out) + 2 > kTermColumn) out += '\n' + std::string(kTermColumn, ' ');
  else out += std::string(kTermColumn - columns(out), ' ');
  return out + wrapped(text, kTermColumn, width);
}

// In roff, a line that begins with . or ' is a request, - is a hyphen, and \ begins an escape.
std::string roff_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else if (c == '~') out += "\\(ti";
    else if (c == '^') out += "\\(ha";
    else if (c == '`') out += "\\(ga";
    else if (c == '\'') out += "\\(aq";
    else out += c;
  }
  return out;
}

// Returns inline text with fonts. "\&" is nothing, but keeps a line from being a request.
std::string roff_line(const std::string& text) {
  std::string out;
  for (const Piece& piece : pieces_of(text)) {
    bool strong = piece.style == Piece::Style::code || piece.style == Piece::Style::bold;
    bool slanted = piece.style == Piece::Style::italic || piece.style == Piece::Style::link;
    std::string inner =
        roff_text(piece.style == Piece::Style::link && piece.link.ends_with(".md") ? "docs/" + piece.link : piece.text);
    out += strong ? "\\fB" + inner + "\\fR" : slanted ? "\\fI" + inner + "\\fR" : inner;
  }
  return (out.starts_with(".") || out.starts_with("'") ? "\\&" + out : out) + "\n";
}

// Returns code as an example (EX and EE of man(7)), in which lines are not filled.
std::string roff_code(const std::string& text) {
  std::string out = ".EX\n";
  for (std::string_view each : each_line(text)) {
    std::string line = roff_text(each);
    out += (line.starts_with(".") ? "\\&" : "") + line + "\n";
  }
  return out + ".EE\n";
}

}  // namespace

std::string to_terminal(const Page& page, size_t width, bool bold) {
  auto strong = [&](const std::string& text) { return bold ? "\033[1m" + text + "\033[0m" : text; };
  std::string out = strong(page.title) + ": " + page.summary + "\n";
  Kind before = Kind::text;
  for (const Block& block : page.blocks) {
    if (block.kind != Kind::item || before != Kind::item) out += '\n';
    before = block.kind;
    switch (block.kind) {
      case Kind::heading:
        out += strong(block.text) + "\n";
        break;
      case Kind::text:
        out += wrapped(plain_text(block.text), 0, width);
        break;
      case Kind::item:
        out += item_line(joined(block.terms), plain_text(block.text), width);
        break;
      case Kind::code:
        for (std::string_view line : each_line(block.text)) out.append("  ").append(line) += '\n';
    }
  }
  return out;
}

std::string overview(size_t width, bool bold) {
  const Page& self = pages().front();
  std::string out = (bold ? "\033[1mbottle\033[0m" : std::string("bottle")) + ": " + self.summary + "\n\n  " +
                    self.blocks.front().text + "\n";
  for (const Group& group : groups()) {
    out += (bold ? "\033[1m" + group.title + "\033[0m" : group.title) + "\n";
    for (const Page* page : group.pages) out += item_line(page->name, page->summary, width);
    out += '\n';
  }
  return out + wrapped("bottle help COMMAND shows the page of a command.", 0, width);
}

// The page has no date, so that it stays the same. Words are not hyphenated (nh) and lines not justified (ad l),
// because many of the words are names of options and files.
std::string to_roff(const Page& page) {
  std::string out = ".TH " + upper(roff_text(man_name(page))) +
                    " 1 \"\" \"bottle " BOTTLE_VERSION "\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n" +
                    roff_text(man_name(page)) + " \\- " + roff_text(page.summary) + "\n.SH SYNOPSIS\n";
  Kind before = Kind::heading;
  bool described = false;
  for (const Block& block : page.blocks) {
    // The first block is the usage, which becomes the synopsis. The blocks between it and the first heading have no
    // heading, so they get one here.
    if (&block != &page.blocks.front() && block.section.empty() && !described) {
      out += ".SH DESCRIPTION\n";
      described = true;
      before = Kind::heading;
    }
    switch (block.kind) {
      case Kind::heading:
        out += ".SH " + upper(roff_text(block.text)) + "\n";
        break;
      case Kind::text:
        out += (before == Kind::heading ? "" : ".PP\n") + roff_line(block.text);
        break;
      case Kind::code:
        out += (before == Kind::heading ? "" : ".PP\n") + roff_code(block.text);
        break;
      case Kind::item: {
        out += ".TP\n\\fB" + roff_text(joined(block.terms)) + "\\fR\n" + roff_line(block.text);
        break;
      }
    }
    before = block.kind;
  }
  out += ".SH SEE ALSO\n";
  for (const Page& other : pages())
    if (other.name != page.name)
      out += ".BR " + roff_text(man_name(other)) + (&other == &pages().back() ? " (1)\n" : " (1),\n");
  return out;
}

std::string commands_markdown() {
  std::string out =
      "# Commands\n\n<!-- Generated from src/app/commands/*.md; the unit test app.Manual checks it. "
      "BOTTLE_UPDATE_GOLDEN=1 writes it. -->\n\n"
      "This page has the manual pages of all commands. `bottle help start` shows the page of `bottle start` in a "
      "terminal.\n";
  for (const Group& group : groups()) {
    out += "\n| " + group.title + " | |\n|---|---|\n";
    for (const Page* page : group.pages)
      out += "| [`" + page->title + "`](#bottle-" + page->name + ") | " + page->summary + " |\n";
  }
  for (const Page& page : pages()) {
    out += "\n## " + page.title + "\n\n" + upper(page.summary.substr(0, 1)) + page.summary.substr(1) + ".\n";
    Kind before = Kind::text;
    for (const Block& block : page.blocks) {
      if (page.name == "bottle" && block.section == "Commands") continue;  // shown as the tables above
      if (block.kind != Kind::item || before != Kind::item) out += '\n';
      before = block.kind;
      switch (block.kind) {
        case Kind::heading:
          out += "### " + block.text + "\n";
          break;
        case Kind::text:
          out += wrapped(block.text, 0, 118);
          break;
        case Kind::code:
          out += "```sh\n" + block.text + "```\n";
          break;
        case Kind::item: {
          std::string terms;
          for (const auto& term : block.terms) terms += (terms.empty() ? "`" : ", `") + term + "`";
          out += "- " + wrapped(terms + ": " + block.text, 2, 118);
        }
      }
    }
  }
  return out;
}

}  // namespace bottle::app
