// Writes the commands with which the operator can look at the work and take it. A command appears only where it works
// as written: `git merge` only if the history continues and the files had no uncommitted changes, `git apply` only if
// there is a patch, and so on. The agent chose names of refs and files, so every word of a command is quoted, and
// every line is made safe for a terminal.
#include "workspace/receiving/advice.h"

#include <algorithm>
#include <set>

#include "base/text/line.h"
#include "base/text/shell_word.h"
#include "git/formats/modes.h"
#include "workspace/receiving/take.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostNamed = 8, kMostRefs = 200, kMostPlaces = 20, kMostStashes = 5;

std::string counted(uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string counted_commits(std::optional<uint64_t> count) {
  return count ? counted(*count, "commit") : "an unknown number of commits";
}

std::string some_of(const std::vector<std::string>& names, size_t number) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMostNamed; ++i) text += (i ? ", " : "") + one_line(names[i], 200);
  if (number > kMostNamed) text += " and " + std::to_string(number - kMostNamed) + " more";
  return text;
}

std::string some_of(const std::vector<std::string>& names) { return some_of(names, names.size()); }

class Writer {
 public:
  explicit Writer(const Incoming& in) : in_(in) {}

  // Adds a command that takes the work. The best one comes first.
  void take(const std::string& command) { add((ways_++ ? "     or: " : "Take it: ") + command); }
  void see(const std::string& command) { add("See it:  " + command); }
  void add(const std::string& line) { lines_.emplace_back(line); }

  void of_repository(const Homecoming& home) {
    const std::string& place = home.quarantine().place;
    ways_ = 0;
    if (!place.empty())
      add("In " + one_line(place) + ": " + counted(home.agent_changes().files(), "file") + " changed, " +
          counted_commits(home.commits()) + ".");
    for (size_t i = 0; i < home.refs().size(); ++i) {
      if (i == kMostRefs) {
        add("  and " + std::to_string(home.refs().size() - i) + " more");
        break;
      }
      const std::string& ref = home.refs()[i];
      std::string from;
      for (const auto& each : home.encoded())
        if (each.name == ref) from = "   (" + one_line(each.from, 300) + ")";
      add("  " + ref + from);
    }
    of_unreferenced_commits(home);
    std::string git = "git ";
    // Operators usually paste the commands in the directory where they started bottle, which is usually this
    // repository.
    if (!place.empty() || in_.elsewhere) git += "-C " + shell_word(home.quarantine().source) + " ";
    bool brought = !home.whole().empty() && home.bundle().empty();
    std::string whole = shell_word(home.whole());
    // A merge would conflict with files that have uncommitted changes.
    bool merge = brought && home.continues() && !home.agent_changes().was_changed;
    const std::string& base = home.compared_with();
    std::string branch = shell_word(home.only_branch());
    bool on_branch = !brought && !home.only_branch().empty() && home.bundle().empty();
    if (brought) see(git + "diff " + base + " " + whole);
    else if (on_branch) see(git + "diff " + base + " " + branch);
    else if (!home.patch().empty()) see("git apply --stat -p1 " + shell_word(home.patch()));
    if (!home.bundle().empty()) of_bundle(home, git);
    if (merge) take(git + "merge " + whole);
    if (on_branch) take(git + "merge " + branch);
    if (!home.patch().empty()) take(git + "apply " + shell_word(home.patch()));
    if (brought && !home.continues()) {
      add(home.is_unborn()
              ? "Your repository has no commit that this could be merged into. To get it as a branch:"
              : "The agent rewrote its history, so a merge would not give you what it left. To get it as a branch:");
      add("  " + git + "branch " + shell_word("bottle-" + in_.session) + " " + whole);
    }
    if (brought && home.agent_changes().was_changed)
      add("Some of these files had changes that you had not committed. The patch applies to the files as they were "
          "sent.");
    of_stashes(home, git);
    for (const auto& staged : home.staged()) {
      add("Some content was only staged, and is in no file and no commit: " + some_of(staged.paths) + ". To see what " +
          (staged.work_tree.empty() ? "was" : one_line("the work tree " + staged.work_tree + " had")) + " staged:");
      add("  " + git + "diff " + base + " " + shell_word(staged.ref));
    }
    if (!home.agent_changes().filtered.empty()) of_filtered(home);
    if (!home.agent_changes().mixed.empty())
      add("Your own changes in " + some_of(home.agent_changes().mixed) +
          " are on the ref, too, because the agent's cannot be told from them.");
  }

  void of_directory(const Homecoming& home) {
    const std::string& source = home.quarantine().source;
    ways_ = 0;
    if (!home.patch().empty()) {
      see("git apply --stat " + shell_word(home.patch()));
      // If the directory is inside another repository, for example because the home directory is one, `git apply`
      // would skip these files.
      auto outer = git::find(source);
      if (outer && !*outer) take("git -C " + shell_word(source) + " apply " + shell_word(home.patch()));
      else take("bottle apply " + shell_word(in_.session));
    }
    std::vector<std::string> only_in_patch;
    bool has_files = false;
    for (const auto& change : home.agent_changes().changes) {
      has_files |= change.mode.starts_with("100");
      if (!change.mode.starts_with("100")) only_in_patch.push_back(change.path);
    }
    if (has_files) take(copy_command(in_.results_dir + "/files", source));
    if (home.patch().empty() && !only_in_patch.empty())
      add("Links, and what the agent removed, did not come home: " + some_of(only_in_patch));
    else if (has_files && !only_in_patch.empty())
      add("Links, and what the agent removed, are in the patch only: " + some_of(only_in_patch));
  }

  // Names the files that are in no patch because bottle no longer knows how they were sent.
  void of_unpatched(const std::vector<std::unique_ptr<Homecoming>>& all) {
    std::vector<std::string> changed, removed, commands;
    for (const auto& home : all) {
      bool has_files = false;
      for (const auto& file : home->agent_changes().unpatched) {
        has_files |= file.mode.starts_with("100");
        (file.mode == git::kNone ? removed : changed).push_back(home->quarantine().shown(file.path));
      }
      if (has_files && commands.size() < kMostNamed)
        commands.push_back(copy_command(home->filtered(), home->quarantine().source));
    }
    if (changed.empty() && removed.empty()) return;
    add("bottle no longer knows how some files were when they were sent, so they are in no patch:");
    if (!removed.empty()) add("  removed: " + some_of(removed));
    if (!changed.empty()) add("  changed: " + some_of(changed));
    if (!commands.empty()) add("To take these files, copy them:");
    for (const auto& command : commands) add("  " + command);
  }

  // Names what cannot come home in any form, so that "Nothing changed" is always true.
  void of_rest(const ReceivedWork& back, const std::vector<std::unique_ptr<Homecoming>>& all) {
    uint64_t gone = 0, files = 0;
    std::vector<std::string> empty, removed, settings, kept, unfinished, permissions, hidden, without_git, links,
        copies, uncopied;
    for (const auto& home : all) {
      const auto& q = home->quarantine();
      if (home->lost_git()) without_git.push_back(q.git_at);
      for (const auto& name : q.new_settings) settings.push_back(q.git_at + "/" + name);
      for (const auto& state : q.unfinished) unfinished.push_back(state + (q.place.empty() ? "" : " in " + q.place));
      for (const auto& path : q.permissions) permissions.push_back(q.shown(path));
      for (const auto& path : q.hidden) hidden.push_back(q.shown(path));
      empty.insert(empty.end(), home->empty_directories().begin(), home->empty_directories().end());
      for (const auto& ref : home->removed_refs())
        removed.push_back(ref + (home->quarantine().place.empty() ? "" : " in " + home->quarantine().place));
      gone += home->agent_changes().ignored_gone;
      files += home->agent_changes().ignored.size();
      for (const auto& link : home->ignored_links()) links.push_back(q.shown(link));
      if (!home->kept().empty()) kept.push_back(home->kept());
      for (const auto& link : home->uncopied_links()) uncopied.push_back(q.shown(link));
      if (!home->ignored_copy().empty()) copies.push_back(home->ignored_copy());
    }
    for (size_t i = 0; i < std::min(kept.size(), kMostNamed); ++i)
      add("Ignored by git, and kept as you asked: " + shell_word(kept[i]));
    if (kept.size() > kMostNamed)
      add("  and " + std::to_string(kept.size() - kMostNamed) + " more such directories in " +
          shell_word(in_.results_dir + "/below"));
    if (!links.empty())
      add("Links that git ignores are not kept, because a copy of files could write through them: " + some_of(links));
    if (files > 0)
      add("Ignored by git, and not taken: " + some_of(back.ignored) + " (" + counted(files, "file") +
          "). --keep-ignored, or keep: in the bottle, brings such files home.");
    for (size_t i = 0; i < std::min(copies.size(), kMostNamed); ++i)
      add("  A copy of them, unchecked: " + shell_word(copies[i]));
    if (!uncopied.empty()) add("  Links among them have no copy: " + some_of(uncopied));
    if (gone > 0) add("The agent removed " + counted(gone, "file") + " that git ignores. Yours are unchanged.");
    if (!empty.empty())
      add("The agent made empty directories, which no commit and no patch can hold: " + some_of(empty));
    if (!settings.empty())
      add("The agent changed git's settings in its copy. Yours are unchanged: " + some_of(settings));
    if (!unfinished.empty())
      add("The agent left this unfinished in its copy: " + some_of(unfinished) +
          ". The files came home as they were at that moment.");
    of_work_trees(all);
    if (!permissions.empty())
      add("The agent changed permissions that no commit and no patch can hold: " + some_of(permissions));
    if (!hidden.empty())
      add("The agent's git leaves " + counted(hidden.size(), "file") +
          " out of its checkout, which does not count as removing them: " + some_of(hidden));
    if (!without_git.empty())
      add("The agent removed git's directory in its copy, or broke it. Yours is unchanged: " + some_of(without_git));
    if (!removed.empty()) add("The agent removed refs in its copy. Yours are unchanged: " + some_of(removed));
    if (back.skipped)
      add(std::to_string(back.skipped) + (back.skipped == 1 ? " entry was" : " entries were") + " not brought home.");
  }

  std::string text() const { return joined(lines_); }
  bool is_empty() const { return lines_.empty(); }

 private:
  // Says what came home of the agent's linked work trees.
  void of_work_trees(const std::vector<std::unique_ptr<Homecoming>>& all) {
    std::vector<std::string> outside, inside, absent;
    size_t number = 0;
    for (const auto& home : all) {
      outside.insert(outside.end(), home->quarantine().work_trees.begin(), home->quarantine().work_trees.end());
      inside.insert(inside.end(), home->inner_work_trees().begin(), home->inner_work_trees().end());
      absent.insert(absent.end(), home->absent().first.begin(), home->absent().first.end());
      number += home->absent().number;
    }
    if (!outside.empty())
      add("The agent had work trees outside of the workspace, of which only the commits came home: " +
          some_of(outside));
    if (!inside.empty())
      add("The agent had work trees in the workspace: " + some_of(inside) +
          ". Their commits came home, and so did their files that differ from these commits.");
    if (!absent.empty())
      add("Files of these commits that are missing from these work trees: " + some_of(absent, number));
  }

  // Explains why some files are only in a directory, and how to take them.
  void of_filtered(const Homecoming& home) {
    std::set<std::string> filters;
    std::vector<std::string> names;
    for (const auto& change : home.agent_changes().filtered) {
      names.push_back(change.path);
      filters.insert(home.quarantine().filtered.at(change.path));
    }
    add("Some files are on no ref and in no patch, because git's filter " + some_of({filters.begin(), filters.end()}) +
        " converts them, and bottle does not run filters: " + some_of(names) +
        ". To take these files, copy them; `git add` then runs the filter:");
    add("  " + copy_command(home.filtered(), home.quarantine().source));
  }

  // Adds a command for each stash, newest first, up to a limit.
  void of_stashes(const Homecoming& home, const std::string& git) {
    std::vector<std::string> stashes;
    for (const auto& ref : home.refs())
      if (ref.starts_with(home.prefix() + "stash/")) stashes.push_back(ref);
    for (size_t i = 0; i < std::min(stashes.size(), kMostStashes); ++i) {
      see(git + "stash show --patch --include-untracked " + shell_word(stashes[i]));
      take(git + "stash apply " + shell_word(stashes[i]));
    }
    if (stashes.size() > kMostStashes)
      add("  and " + std::to_string(stashes.size() - kMostStashes) + " more stashes in the same way");
  }

  // Says why there are refs for commits that are on no branch of the agent.
  void of_unreferenced_commits(const Homecoming& home) {
    auto is_left = [begin = home.prefix() + "heads/bottle-detached-"](const std::string& ref) {
      return ref.starts_with(begin);
    };
    if (std::ranges::any_of(home.refs(), is_left))
      add("No branch of the agent has the commits on refs with \"bottle-detached\": it left them, or took them back.");
  }

  void of_bundle(const Homecoming& home, const std::string& git) {
    add("Not all of the work could be written to the repository: " + one_line(home.unwritable(), 1000));
    take(git + "fetch " + shell_word(home.bundle()) + " " + shell_word("refs/bottle/*:refs/bottle/*"));
  }

  const Incoming& in_;
  std::vector<Line> lines_;
  int ways_ = 0;
};

}  // namespace

std::string advice(const Incoming& in, const ReceivedWork& back, const std::vector<std::unique_ptr<Homecoming>>& all) {
  Writer out(in);
  const Homecoming& top = *all[0];
  if (top.has_changes() || !back.below.empty())
    out.add(counted(back.files, "file") + " changed, " + counted_commits(back.commits) +
            ". Your working tree has not changed.");
  if (top.has_changes()) {
    if (top.is_repository()) out.of_repository(top);
    else out.of_directory(top);
  }
  size_t places = 0;
  for (size_t i = 1; i < all.size(); ++i)
    if (all[i]->has_changes() && ++places <= kMostPlaces) {
      if (all[i]->is_repository()) out.of_repository(*all[i]);
      else out.add("In " + one_line(all[i]->quarantine().place) + ": " + one_line(all[i]->patch(), 4096));
    }
  if (places > kMostPlaces)
    out.add("Changes in " + std::to_string(places - kMostPlaces) +
            " more repositories are not listed here: `bottle diff " + in.session + "` shows them, and `bottle apply " +
            in.session + "` takes them.");
  out.of_unpatched(all);
  bool nothing = out.is_empty();
  out.of_rest(back, all);
  if (nothing && out.is_empty()) out.add("Nothing changed in the workspace.");
  else if (nothing) return "No file that git tracks changed in the workspace.\n" + out.text();
  return out.text();
}

}  // namespace bottle::workspace
