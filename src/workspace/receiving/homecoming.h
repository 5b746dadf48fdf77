// Brings home what came back for one repository, or for a directory that is not one: its refs and its files.
// receive.cc makes one object for each repository of the workspace, and calls the steps of all of them in the same
// order, because an outer repository records the commits of inner ones.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/keyed_hash.h"
#include "git/repository.h"
#include "workspace/quarantine/compare.h"
#include "workspace/quarantine/quarantine.h"
#include "workspace/receiving/bring.h"
#include "workspace/receiving/inspect.h"
#include "workspace/receiving/keep_files.h"
#include "workspace/receiving/staged.h"
#include "workspace/receiving/unreferenced_commits.h"

namespace bottle::workspace {

// Takes each ref separately: lists its changes, checks and brings its objects, and only then writes the ref. What the
// repository cannot accept goes into a bundle. Refs and files of an earlier call for the same session are replaced,
// because a checkpoint or a pull may run many times. A call fails only if it reaches a limit or if the disk is full.
// Whatever else goes wrong with a part is flagged, and the rest still comes home.
class Homecoming {
 public:
  // Describes the operator's repository, and what was sent of it.
  struct Origin {
    std::optional<git::Repository> repository;  // nothing if the directory is not a repository
    std::string base;   // the commit that the work started from; empty without a repository or a commit
    git::Refs refs;     // the refs that the copy had
    std::string error;  // why the repository can no longer be read
    std::vector<std::string> packs = {};  // those that were made for the copy
  };
  // Describes a ref that came home under another name, or one that could not be written. For the latter, `from` is
  // the reason.
  struct Ref {
    std::string name, id;  // the new name of the ref, and its object
    std::string from;      // its name in the workspace
  };

  // Keeps references to the arguments, which must outlive this. `prefix` starts the names of all refs, such as
  // "refs/bottle/s1/". `results` is a directory that is made when it is needed.
  Homecoming(const Incoming& in, const git::Runner& git, Quarantine& q, Origin origin, std::string prefix,
             std::string results)
      : in_(in),
        git_(git),
        q_(q),
        origin_(std::move(origin)),
        prefix_(std::move(prefix)),
        results_(std::move(results)) {}

  // Makes the repository and reads what the work started from. Call it before fill(). The caller has put the files of
  // the record into the quarantine. `configuration` is used only for a repository.
  Result<> prepare(const std::optional<Sent>& sent, const git::OperatorsConfiguration& configuration);
  // Returns a new object for the same place, which treats the repository as one that can no longer be read. Empties the
  // quarantine, except for the files of the record. If prepare() fails, call only this, and then prepare() of the new
  // object.
  std::unique_ptr<Homecoming> without_repository(const std::string& error);
  // Call these after fill(), in this order. `room` is how many bytes may still be added to the operator's repositories.
  Result<> prepare_inspection(uint64_t& room);
  Result<> take_refs();
  // `submodules` has the current commits of the repositories below this one, by path. `entries` is how many files the
  // commits of the agent's linked work trees may still have.
  Result<> take_files(const std::map<std::string, std::string>& submodules, uint64_t& entries);
  // `room` is how many bytes of ignored files may still be copied although no pattern asked to keep them.
  Result<> keep_ignored(uint64_t& room);

  // The following functions say what came home. Their results are complete after keep_ignored().
  const Quarantine& quarantine() const { return q_; }
  const AgentChanges& agent_changes() const { return changes_; }
  const std::string& prefix() const { return prefix_; }
  const std::vector<std::string>& refs() const { return refs_; }
  const std::vector<Ref>& encoded() const { return encoded_; }
  std::optional<uint64_t> commits() const { return commits_; }  // nothing if their number is unknown
  const std::string& patch() const { return patch_; }
  const std::string& bundle() const { return bundle_; }
  const std::string& unwritable() const { return unwritable_; }  // why the bundle contains something
  const std::string& kept() const { return kept_; }
  // Directory with the files of `agent_changes().filtered` and `unpatched`, or empty.
  const std::string& filtered() const { return filtered_; }
  const std::vector<Staged>& staged() const { return staged_; }  // what came home of the agent's indexes
  const Inspection& inspection() const { return *inspection_; }
  Inspection& inspection() { return *inspection_; }
  // Links that git ignores and that the operator asked to keep: "path → target", or only the path of a
  // hard link to an unchanged link. They are not kept.
  const std::vector<std::string>& ignored_links() const { return ignored_links_; }
  // What git ignores and was not kept: a directory with copies if there was room for them, and a short form of
  // `agent_changes().ignored`, such as "dist/".
  const std::string& ignored_copy() const { return ignored_copy_; }
  const std::vector<std::string>& uncopied_links() const { return uncopied_links_; }  // in the form of ignored_links()
  const std::vector<std::string>& ignored_tops() const { return ignored_tops_; }
  bool is_repository() const { return origin_.repository.has_value(); }
  bool is_unborn() const { return q_.is_unborn; }
  // Returns whether the agent's copy came back without a usable repository.
  bool lost_git() const { return is_repository() && !q_.head.starts_with("ref: refs/") && !git::is_object_id(q_.head); }
  const std::string& compared_with() const { return compared_with_; }  // a commit or a tree, for `git diff`
  // Refs of the operator that the agent removed from its copy.
  const std::vector<std::string>& removed_refs() const { return removed_refs_; }
  // Directories without files that the agent made, with a "/" at the end. They are not taken.
  const std::vector<std::string>& empty_directories() const { return empty_directories_; }
  // The agent's linked work trees in the workspace. Of their files, only those came home that differ from the commit
  // that is checked out in the work tree.
  const std::vector<std::string>& inner_work_trees() const { return inner_work_trees_; }
  // Describes the files of these commits that are missing from the work trees.
  struct Absent {
    uint64_t number = 0;
    std::vector<std::string> first;  // the paths of the first few
  };
  const Absent& absent() const { return absent_; }
  const std::string& head() const { return head_; }    // the commit that the agent had checked out
  const std::string& whole() const { return whole_; }  // the ref with all of the work; empty if there is none
  // The only branch with commits of the agent, if the agent had not checked it out at the end; otherwise empty.
  const std::string& only_branch() const { return only_branch_; }
  bool continues() const { return continues_; }  // can be merged, because its history continues the base
  bool has_changes() const { return changes_.files() > 0 || commits_ != 0 || !refs_.empty() || !bundle_.empty(); }

 private:
  Result<> read_sent_files(const std::optional<Sent>& sent);
  Result<> make_links();
  Result<> leave_out_work_trees(uint64_t& entries);
  Result<bool> is_home(const std::string& id) const;
  Result<bool> leave_out(const Quarantine::WorkTree& tree, const KeyedSet<std::string>& committed, uint64_t& entries);
  Result<> find_empty_directories();
  std::map<std::string, std::string> wanted_refs() const;
  Result<> add_unnamed(std::map<std::string, std::string>& wanted);
  Result<> bring_together(const std::map<std::string, std::string>& wanted);
  Result<> count_commits();
  bool is_head(const std::string& ref, const std::string& id) const;
  std::string known_head() const;
  Result<> find_only_branch(const AddedCommits& added);
  Result<bool> continues_base(const std::string& id, const AddedCommits& added) const;
  void find_removed_refs();
  bool refs_known() const;
  std::map<std::string, std::string> names_of(const std::map<std::string, std::string>& wanted) const;
  void drop_refs(const std::map<std::string, std::string>& but);
  Result<bool> take_ref(const std::string& from, const std::string& name, const std::string& id);
  Result<> inspect_untracked();
  Result<bool> bring(const std::string& name, const std::string& id);
  Result<> take_staged();
  Result<bool> bring_staged(const Staged& staged, const std::string& name);
  Result<bool> is_in_base(const std::string& id) const;
  Result<> write_bundle();
  Result<> write_patch();
  Conversions conversions() const;
  Leave leave();
  void copy_ignored(const std::vector<Change>& files);

  const Incoming& in_;
  const git::Runner& git_;
  Quarantine& q_;
  Origin origin_;
  git::Settings settings_;  // in the operator's repository, if there is one
  std::string prefix_, results_;
  std::optional<Room> room_;
  // The commit and the changes of the last ref. The next one often names the same commit, and so does HEAD.
  struct {
    std::string id, commit;
    std::vector<Change> changes;
  } listed_;
  std::map<std::string, std::vector<Change>> lists_;          // the changes of commits that were listed together
  std::vector<std::pair<std::string, std::string>> stashes_;  // those that came home: the agent's name, and the id
  std::string base_, compared_with_, head_, whole_, only_branch_, start_, patch_, bundle_, unwritable_, kept_,
      filtered_, ignored_copy_;
  std::vector<std::string> refs_, ids_, known_, removed_refs_, empty_directories_, ignored_links_, ignored_tops_,
      inner_work_trees_, uncopied_links_;
  Absent absent_;
  std::vector<Ref> encoded_, unplaced_;
  std::vector<Staged> staged_;
  std::optional<uint64_t> commits_ = 0;
  uint64_t ignored_bytes_ = 0;
  bool continues_ = true;
  std::optional<Inspection> inspection_;
  AgentChanges changes_;
};

}  // namespace bottle::workspace
