// Checks the promises of session_state.h in every state that can be reached. The tests search breadth first, with
// every input in every state at several times.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "remote/near/state/session_state.h"
#include "remote/near/state/session_state_test.h"

namespace bottle::remote {
namespace {

using Machine = SessionKind::Machine;
using Judge = SessionKind::Judge;
using Obstacle = input::FetchFailed::Obstacle;
using Left = input::Forgotten::Left;

// One of the deadlines (20 s, 300 s, 600 s) passes between each two of these times. At the last but one, the VM is
// about to expire.
constexpr double kTimes[] = {0, 25, 330, 960, 1570, 2180};
constexpr int kLastTime = std::size(kTimes) - 1;
constexpr input::VmLife kLife{1590, 300};

std::vector<SessionKind> all_kinds() {
  return {{Machine::standing, Judge::earlier, false},  {Machine::standing, Judge::launcher, false},
          {Machine::vm, Judge::earlier, false},        {Machine::vm, Judge::near_side, false},
          {Machine::kept_vm, Judge::near_side, false}, {Machine::standing, Judge::earlier, true},
          {Machine::vm, Judge::earlier, true},         {Machine::kept_vm, Judge::earlier, true}};
}

std::vector<Input> all_inputs(const SessionKind& kind) {
  const Error error{Code::unavailable, "e"}, unknown{Code::not_found, "u"};
  bool vm = kind.machine != Machine::standing;
  auto life = vm && kind.adopted ? std::optional(kLife) : std::nullopt;
  std::vector<Input> all = {input::Opened{life},
                            input::Opened{life, kind.adopted},
                            input::Opened{life, false, kind.adopted},
                            input::OpenFailed{error, true},
                            input::OpenFailed{error, false},
                            input::VmMade{kLife},
                            input::VmFailed{error},
                            input::JobSent{},
                            input::JobFailed{error},
                            input::MayRunNoted{},
                            input::HomeNoted{},
                            input::NoteFailed{error},
                            input::Hello{},
                            input::Hello{error},
                            input::StopRequested{},
                            input::LauncherGone{},
                            input::Admitted{},
                            input::ClientFrame{},
                            input::LinkLost{error},
                            input::LinkBack{},
                            input::FarSpoke{},
                            input::FarNotice{},
                            input::FarGuardAsked{},
                            input::FarRuns{},
                            input::FarAttached{},
                            input::FarRunsWithoutWork{},
                            input::FarEnded{},
                            input::FarFailed{error},
                            input::FarFailed{unknown},
                            input::DeliveryFailed{error},
                            input::Checkpointed{true},
                            input::CheckpointFailed{error},
                            input::StopAnswered{true},
                            input::StopAnswered{false},
                            input::Fetched{},
                            input::VmDestroyed{true},
                            input::VmDestroyed{false},
                            input::Accounted{true},
                            input::Accounted{false},
                            input::NotAccounted{error}};
  for (int attempts : {1, 5, 7}) all.push_back(input::LinkFailed{attempts, false, error});
  for (auto obstacle : {Obstacle::connection, Obstacle::held}) all.push_back(input::FetchFailed{obstacle, error});
  for (auto left : {Left::nothing, Left::something, Left::work, Left::unknown, Left::no_vm})
    all.push_back(input::Forgotten{left});
  if (vm) {
    all.push_back(input::LinkFailed{1, true, error});
    all.push_back(input::FetchFailed{Obstacle::vm_gone, error});
  }
  return all;
}

// Holds what can be known from the inputs and the actions alone.
struct Observed {
  bool hello = false, judged = false;
  int values_sent = 0;
  bool may_run_noted = false;
  bool holds_work = false;   // the machine may have work that is not on this machine
  bool lost_untold = false;  // the work was lost with the VM, and no result says so
  bool record_removed = false;
  int ends_told = 0;
};

struct Node {
  State state;
  Observed seen;
  int time = 0;
};

// Returns the same key for all failures, because the steps do not depend on which failure it is.
const char* failure_key(const std::optional<Failure>& failure) { return failure ? "F" : "-"; }

// Returns a key of the state. Two nodes with the same key have the same future.
std::string state_key(const Node& node) {
  std::string key(1, static_cast<char>('A' + node.state.phase.index()));
  auto add = [&](int value) { key += static_cast<char>('0' + value); };
  auto passed = [&](auto has_passed) { add(static_cast<int>(std::ranges::count_if(kTimes, has_passed))); };
  if (auto* asking = std::get_if<phase::Asking>(&node.state.phase)) add(asking->losses);
  if (auto* running = std::get_if<phase::Running>(&node.state.phase))
    add(running->stop_sent), add(running->missed_checkpoints);
  if (auto* back = std::get_if<phase::Reconnecting>(&node.state.phase)) add(back->missed_checkpoints);
  if (auto* fetching = std::get_if<phase::Fetching>(&node.state.phase)) {
    passed([&](double time) { return time < fetching->since; });
    add(fetching->attempt), add(fetching->is_here), key += failure_key(fetching->failure);
  }
  if (auto* forgetting = std::get_if<phase::Forgetting>(&node.state.phase)) key += failure_key(forgetting->failure);
  if (auto* destroying = std::get_if<phase::DestroyingVm>(&node.state.phase)) key += failure_key(destroying->failure);
  if (auto* gone = std::get_if<phase::AccountingForVm>(&node.state.phase)) key += failure_key(gone->failure);
  const auto& deadlines = node.state.deadlines;
  add(node.state.services_ended), add(node.state.has_run), add(deadlines.is_stopping());
  passed([&](double time) { return deadlines.grace_is_over(time); });
  passed([&](double time) { return deadlines.patience_is_over(time); });
  passed([&](double time) { return deadlines.vm_is_nearly_over(time); });
  add(node.time);
  return key;
}

// Returns a key of the node. Two nodes with the same key also have the same promises left to keep.
std::string key_of(const Node& node) {
  std::string key = state_key(node);
  const auto& seen = node.seen;
  for (int each : {int(seen.hello), int(seen.judged), seen.values_sent, int(seen.may_run_noted), int(seen.holds_work),
                   int(seen.lost_untold), int(seen.record_removed), seen.ends_told})
    key += static_cast<char>('0' + each);
  return key;
}

template <class What>
bool does(const Action& action, What what) {
  const auto* plain = std::get_if<What>(&action);
  return plain && *plain == what;
}

class Explorer {
 public:
  explicit Explorer(const SessionKind& kind) : kind_(kind), inputs_(all_inputs(kind)) {
    Observed seen;
    seen.judged = kind.judge == Judge::earlier;
    seen.holds_work = kind.adopted;
    add({{}, seen, 0}, "");
    while (!queue_.empty() && !::testing::Test::HasFailure()) {
      Node node = std::move(queue_.front());
      queue_.pop_front();
      std::string key = key_of(node);
      for (const auto& input : inputs_) follow(node, key, input, node.time);
      if (node.time < kLastTime) follow(node, key, input::Tick{}, node.time + 1);
    }
  }

  const std::unordered_map<std::string, Node>& nodes() const { return nodes_; }
  const std::map<std::string, std::set<std::string>>& edges() const { return edges_; }

 private:
  void add(Node node, const std::string& from) {
    std::string key = key_of(node);
    if (!from.empty() && key != from) edges_[from].insert(key);
    if (nodes_.emplace(key, node).second) queue_.push_back(std::move(node));
  }

  void follow(const Node& node, const std::string& key, const Input& input, int time) {
    Now now{kTimes[time], kTimes[time]};
    auto next = step(kind_, node.state, input, now);
    Observed seen = node.seen;
    observe(node.state, input, seen);
    for (const auto& action : next.actions) check(action, seen);
    check_state(next.state, seen, now);
    if (is_over(node.state)) EXPECT_TRUE(next.actions.empty()) << "after the end";
    if (::testing::Test::HasFailure()) return report(key, input, next);
    // Checkpoints do not bring the session closer to its end.
    bool checkpoint =
        std::holds_alternative<input::Checkpointed>(input) || std::holds_alternative<input::CheckpointFailed>(input);
    add({std::move(next.state), seen, time}, checkpoint ? "" : key);
  }

  // Notes what follows from the input alone.
  void observe(const State& before, const Input& input, Observed& seen) const {
    auto in = [&]<class P>(P) { return std::holds_alternative<P>(before.phase); };
    if (const auto* hello = std::get_if<input::Hello>(&input); hello && in(phase::AwaitingHello{})) {
      seen.hello = true;
      if (kind_.judge == Judge::near_side && !hello->refused) seen.judged = true;
    }
    if (std::holds_alternative<input::Admitted>(input) && kind_.judge == Judge::launcher && seen.hello)
      seen.judged = true;
    if (std::holds_alternative<input::MayRunNoted>(input) && in(phase::Recording{})) seen.may_run_noted = true;
    if (const auto* opened = std::get_if<input::Opened>(&input); opened && opened->home && in(phase::Opening{}))
      seen.holds_work = false;
    // The work is on this machine, but only work that the ledger calls home may be removed from the machine.
    if (const auto* fetching = std::get_if<phase::Fetching>(&before.phase))
      if (std::holds_alternative<input::HomeNoted>(input) && fetching->is_here) seen.holds_work = false;
    // The far side reports that it has no work. Once it has said that the agent runs, that is no longer believed.
    if (const auto* failed = std::get_if<input::FarFailed>(&input))
      if (in(phase::Starting{}) ||
          ((in(phase::Asking{}) || (in(phase::Running{}) && !before.has_run)) && failed->error.code == Code::not_found))
        seen.holds_work = false;
    // A near side that fetched the work does not ask whether the machine has it.
    if (const auto* forgotten = std::get_if<input::Forgotten>(&input))
      if (const auto* forgetting = std::get_if<phase::Forgetting>(&before.phase))
        if (forgotten->left == Left::work && forgetting->failure) seen.holds_work = true;
    // The VM is already gone.
    if (const auto* failed = std::get_if<input::LinkFailed>(&input))
      if (failed->vm_gone && in(phase::Reconnecting{})) lose(seen);
    if (const auto* failed = std::get_if<input::FetchFailed>(&input))
      if (failed->obstacle == Obstacle::vm_gone && in(phase::Fetching{})) lose(seen);
    // Writing the result may fail, so the action alone does not inform the operator.
    if (std::holds_alternative<input::Accounted>(input) && in(phase::AccountingForVm{})) seen.lost_untold = false;
  }

  static void lose(Observed& seen) { seen.lost_untold |= std::exchange(seen.holds_work, false); }

  void check(const Action& action, Observed& seen) const {
    if (does(action, Do::send_values)) {
      EXPECT_TRUE(seen.judged) << "values for a machine that was not judged";
      EXPECT_TRUE(seen.may_run_noted) << "the agent may run, and the ledger does not say so";
      EXPECT_EQ(++seen.values_sent, 1);
      seen.holds_work = true;
    }
    if (does(action, Do::answer_guard))
      EXPECT_TRUE(seen.values_sent || kind_.adopted) << "a machine that was not judged uses this one";
    for (Do loses : {Do::forget_on_far_side, Do::destroy_vm, Do::remove_record})
      if (does(action, loses)) EXPECT_FALSE(seen.holds_work) << name_of(loses) << " while there is work";
    // Noted again, because the machine still has work.
    if (does(action, Note::may_run) && seen.holds_work) seen.may_run_noted = true;
    if (does(action, Note::never_ran)) EXPECT_FALSE(seen.holds_work) << "note_never_ran while there is work";
    if (does(action, Do::destroy_vm)) EXPECT_NE(kind_.machine, Machine::standing);
    if (does(action, Do::remove_record)) {
      EXPECT_FALSE(seen.lost_untold) << "only the record says that the work is lost";
      seen.record_removed = true;
    }
    if (does(action, Do::tell_result) || std::holds_alternative<TellFailure>(action)) ++seen.ends_told;
  }

  void check_state(const State& state, const Observed& seen, Now now) const {
    if (is_over(state)) {
      EXPECT_EQ(seen.ends_told, 1);
      if (seen.holds_work) EXPECT_TRUE(seen.may_run_noted || kind_.adopted) << "work that no record knows of";
      if (seen.holds_work) EXPECT_FALSE(seen.record_removed);
    } else {
      EXPECT_EQ(seen.ends_told, 0);
    }
    if (!state.deadlines.is_stopping()) return;
    EXPECT_FALSE(needs_launcher(kind_, state)) << "asked to stop before the agent ran, and not stopped";
    if (const auto* running = std::get_if<phase::Running>(&state.phase)) {
      EXPECT_TRUE(running->stop_sent);
      EXPECT_FALSE(state.deadlines.patience_is_over(now.awake)) << "waits for a machine that does not stop";
    }
  }

  void report(const std::string& key, const Input& input, const Step& next) {
    queue_.clear();
    ADD_FAILURE() << "in " << key << ", input number " << input.index() << ": " << text_of(next.actions) << " → "
                  << name_of(next.state.phase);
  }

  SessionKind kind_;
  std::vector<Input> inputs_;
  std::unordered_map<std::string, Node> nodes_;
  std::map<std::string, std::set<std::string>> edges_;
  std::deque<Node> queue_;
};

// Returns the answer of a machine that works.
Input good_answer(const Phase& phase) {
  if (std::holds_alternative<phase::Opening>(phase)) return input::Opened{};
  if (std::holds_alternative<phase::MakingVm>(phase)) return input::VmMade{kLife};
  if (std::holds_alternative<phase::SendingJob>(phase)) return input::JobSent{};
  if (std::holds_alternative<phase::AwaitingHello>(phase)) return input::Hello{};
  if (std::holds_alternative<phase::AwaitingLauncher>(phase)) return input::Admitted{};
  if (std::holds_alternative<phase::Recording>(phase)) return input::MayRunNoted{};
  if (std::holds_alternative<phase::Starting>(phase)) return input::FarRuns{};
  if (std::holds_alternative<phase::Asking>(phase)) return input::FarAttached{};
  if (std::holds_alternative<phase::Running>(phase)) return input::FarEnded{};
  if (std::holds_alternative<phase::Reconnecting>(phase)) return input::LinkBack{};
  if (std::holds_alternative<phase::StoppingFarSide>(phase)) return input::StopAnswered{true};
  if (const auto* fetching = std::get_if<phase::Fetching>(&phase))
    return fetching->is_here ? Input(input::HomeNoted{}) : Input(input::Fetched{});
  if (std::holds_alternative<phase::Forgetting>(phase)) return input::Forgotten{Left::nothing};
  if (std::holds_alternative<phase::AccountingForVm>(phase)) return input::Accounted{};
  return input::VmDestroyed{true};
}

// Returns what happens if nothing works: there is no connection, no answer and no confirmation.
Input bad_answer(const Phase& phase, int attempts) {
  const Error error{Code::unavailable, "e"};
  if (std::holds_alternative<phase::Opening>(phase)) return input::OpenFailed{error};
  if (std::holds_alternative<phase::Reconnecting>(phase) || std::holds_alternative<phase::Asking>(phase))
    return input::LinkFailed{attempts, false, error};
  if (std::holds_alternative<phase::StoppingFarSide>(phase)) return input::StopAnswered{false};
  if (std::holds_alternative<phase::Fetching>(phase)) return input::FetchFailed{.error = error};
  if (std::holds_alternative<phase::Forgetting>(phase)) return input::Forgotten{Left::unknown};
  if (std::holds_alternative<phase::DestroyingVm>(phase)) return input::VmDestroyed{false};
  if (std::holds_alternative<phase::AccountingForVm>(phase)) return input::NotAccounted{error};
  return input::Tick{};
}

bool comes_to_an_end(const SessionKind& kind, const Node& node, const std::function<Input(const Phase&, int)>& answer) {
  State state = node.state;
  double time = kTimes[node.time];
  for (int turn = 5; turn < 20 && !is_over(state); ++turn) {
    time += 350;
    Now now{time, time};
    state = step(kind, std::move(state), answer(state.phase, turn), now).state;
    state = step(kind, std::move(state), input::Tick{}, now).state;
  }
  return is_over(state);
}

// Returns the key of a node in a cycle among the nodes for which `counts` is true, or an empty string if there is no
// cycle.
std::string find_cycle(const Explorer& explorer, const std::function<bool(const Node&)>& counts) {
  std::map<std::string, int> color;  // 1 means on the path, 2 means done
  std::string found;
  std::function<void(const std::string&)> visit = [&](const std::string& key) {
    color[key] = 1;
    if (auto edges = explorer.edges().find(key); edges != explorer.edges().end())
      for (const auto& next : edges->second) {
        if (!found.empty() || !counts(explorer.nodes().at(next))) continue;
        if (color[next] == 1) found = next;
        else if (color[next] == 0) visit(next);
      }
    color[key] = 2;
  };
  for (const auto& [key, node] : explorer.nodes())
    if (found.empty() && counts(node) && color[key] == 0) visit(key);
  return found;
}

// An input that does nothing anywhere is dead code, and misleads whoever reads the driver.
TEST(SessionInputs, EachDoesSomethingInSomeState) {
  std::set<size_t> idle;
  for (size_t i = 0; i < std::variant_size_v<Input>; ++i) idle.insert(i);
  for (const auto& kind : all_kinds()) {
    std::deque<Node> queue(1);
    std::set<std::string> seen;
    auto follow = [&](const State& state, const Input& input, double time) {
      Node next{step(kind, state, input, {time, time}).state, {}, 0};
      auto actions = step(kind, state, input, {time, time}).actions;
      if (!actions.empty() || next.state.phase.index() != state.phase.index()) idle.erase(input.index());
      if (seen.insert(state_key(next)).second) queue.push_back(std::move(next));
    };
    for (; !queue.empty(); queue.pop_front()) {
      for (const auto& input : all_inputs(kind)) follow(queue.front().state, input, 0);
      follow(queue.front().state, input::Tick{}, kTimes[kLastTime]);
    }
  }
  for (size_t number : idle) ADD_FAILURE() << "input number " << number << " does nothing in any state";
}

class SessionPromises : public ::testing::TestWithParam<SessionKind> {};

// The explorer checks at every step that no machine gets a value before it was judged, that no work is given up, that
// no VM is destroyed while it holds work, that a requested stop is sent, and that the end is reported once.
TEST_P(SessionPromises, HoldInEveryState) {
  const SessionKind& kind = GetParam();
  Explorer explorer(kind);
  std::set<std::string> phases;
  for (const auto& [key, node] : explorer.nodes()) phases.insert(name_of(node.state.phase));
  for (const char* phase : {"Running", "Reconnecting", "Fetching", "Forgetting", "Over"})
    EXPECT_TRUE(phases.contains(phase)) << phase;
  EXPECT_EQ(phases.contains("DestroyingVm"), kind.machine != Machine::standing);

  // Every session ends on a machine that works and, once it should stop, also on one that does nothing.
  std::set<std::string> tried;
  for (const auto& [key, node] : explorer.nodes()) {
    if (!tried.insert(state_key(node)).second) continue;
    auto what = name_of(node.state.phase) + " " + key;
    EXPECT_TRUE(comes_to_an_end(kind, node, [](const Phase& phase, int) { return good_answer(phase); })) << what;
    if (node.state.deadlines.is_stopping()) EXPECT_TRUE(comes_to_an_end(kind, node, bad_answer)) << what;
  }
  auto impatient = [](const Node& node) {
    return node.state.deadlines.patience_is_over(kTimes[node.time]) && !is_over(node.state);
  };
  EXPECT_EQ(find_cycle(explorer, impatient), "") << "runs in a circle although it should stop";
}

INSTANTIATE_TEST_SUITE_P(AllKinds, SessionPromises, ::testing::ValuesIn(all_kinds()));

}  // namespace
}  // namespace bottle::remote
