// A log may name thousands of commits, and most of them are on branches. So one run of git lists the commits that no
// ref reaches, and the newest commit in this list comes home. The next run then leaves out what that commit reaches.
#include "workspace/receiving/unreferenced_commits.h"

#include "base/keyed_hash.h"
#include "base/text/words.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostListed = 100'000;  // commits that are compared with the ids

constexpr int kMostUnreadable = 100;

// Removes the ids that are reached. Returns false if one run of git could not tell this for all of them. Removes from
// `reached` what git cannot read, with a further run each; `spare` is how many of them there may still be.
Result<bool> drop_reached(const Quarantine& q, const git::Runner& git, std::vector<std::string>& ids,
                          std::vector<std::string>& reached, int& spare) {
  git::Runner::Answer listed;
  for (;; --spare) {
    auto options = q.at();
    for (const auto& id : ids) options.input += id + "\n";
    for (const auto& id : reached) options.input += "^" + id + "\n";
    listed = TRY(
        git.run({"rev-list", "--ignore-missing", "--max-count=" + std::to_string(kMostListed), "--stdin"}, options));
    // git names the object at which it stops.
    auto is_unreadable = [&](const std::string& id) { return listed.complaint.find(id) != std::string::npos; };
    if (listed.status == 0 || spare <= 0 || std::erase_if(reached, is_unreadable) == 0) break;
  }
  KeyedSet<std::string_view> left;
  for (std::string_view id : each_line(listed.out)) left.insert(id);
  // A history that is broken somewhere stops git.
  if (listed.status != 0 || left.size() >= kMostListed) return false;
  std::erase_if(ids, [&](const auto& id) { return !left.contains(id); });
  return true;
}

}  // namespace

Result<std::vector<std::string>> made_by_agent(const Quarantine& q, const git::Runner& git,
                                               const std::vector<std::string>& ids,
                                               const std::set<std::string>& brought) {
  if (ids.empty()) return ids;
  auto own = q.at();
  own.objects = q.known_objects;  // without the objects that the agent made
  for (const auto& id : ids) own.input += id + "\n";
  std::string has = "\n" + TRY(git.ask({"cat-file", "--batch-check", "--buffer"}, own)) + "\n";
  std::vector<std::string> made;
  for (const auto& id : ids)
    if (brought.contains(id) || has.find("\n" + id + " missing\n") != std::string::npos) made.push_back(id);
  return made;
}

Result<std::vector<std::string>> unreferenced_commits(const Quarantine& q, const git::Runner& git,
                                                      std::vector<std::string> ids, std::vector<std::string> reached,
                                                      size_t most) {
  std::vector<std::string> found;
  int spare = kMostUnreadable;
  while (!ids.empty() && found.size() < most) {
    bool is_known = TRY(drop_reached(q, git, ids, reached, spare));
    if (ids.empty()) break;
    // The newest one may contain earlier ones.
    std::string id = std::move(ids.back());
    ids.pop_back();
    std::vector<std::string> alone = {id};
    if (!is_known) is_known = TRY(drop_reached(q, git, alone, reached, spare));
    if (alone.empty()) continue;
    // A broken history is reported when it is brought home. It would also stop each further run of git.
    if (is_known) reached.push_back(id);
    found.push_back(std::move(id));
  }
  return found;
}

}  // namespace bottle::workspace
