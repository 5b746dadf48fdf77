// Turns states and actions of session_state.h into text, for its tests.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "remote/near/state/session_state.h"

namespace bottle::remote {

inline std::string name_of(const Phase& phase) {
  static const char* const kNames[] = {"Opening",          "MakingVm",     "SendingJob",      "AwaitingHello",
                                       "AwaitingLauncher", "Recording",    "Starting",        "Asking",
                                       "Running",          "Reconnecting", "StoppingFarSide", "Fetching",
                                       "Forgetting",       "DestroyingVm", "AccountingForVm", "Over"};
  static_assert(std::size(kNames) == std::variant_size_v<Phase>);
  return kNames[phase.index()];
}

inline std::string name_of(Do action) {
  static const char* const kNames[] = {
      "make_vm",      "send_job",      "send_work",        "send_values",        "open_services",
      "end_services", "answer_guard",  "pass_to_clients",  "pass_to_far",        "pass_hello",
      "tell_engine",  "connect",       "attach",           "send_stop",          "begin_checkpoints",
      "close_link",   "end_delivery",  "stop_far_session", "forget_on_far_side", "destroy_vm",
      "hold_vm",      "remove_record", "save_result",      "account_for_vm",     "tell_result"};
  static_assert(std::size(kNames) == static_cast<size_t>(Do::tell_result) + 1);
  return kNames[static_cast<size_t>(action)];
}

inline std::string name_of(Note note) {
  static const char* const kNames[] = {"note_may_run", "note_running", "note_never_ran", "note_ended", "note_home"};
  static_assert(std::size(kNames) == static_cast<size_t>(Note::home) + 1);
  return kNames[static_cast<size_t>(note)];
}

inline std::string name_of(Show show) {
  static const char* const kNames[] = {"show_running", "show_unattended", "show_unfetched", "show_left_behind"};
  static_assert(std::size(kNames) == static_cast<size_t>(Show::left_behind) + 1);
  return kNames[static_cast<size_t>(show)];
}

inline std::string name_of(Notice notice) {
  static const char* const kNames[] = {"connected_again", "agent_runs", "link_lost",       "link_trying",
                                       "link_back",       "checkpoint", "no_checkpoints",  "vm_time_nearly_up",
                                       "does_not_stop",   "collecting", "not_fetched_yet", "not_accounted",
                                       "destroying"};
  static_assert(std::size(kNames) == static_cast<size_t>(Notice::destroying) + 1);
  return kNames[static_cast<size_t>(notice)];
}

inline std::string name_of(Why why) {
  static const char* const kNames[] = {
      "cannot_open",  "vm_failed",           "job_failed",         "not_admitted", "not_recorded",  "false_start",
      "no_workspace", "delivery_failed",     "lost_before_values", "stopped",      "launcher_gone", "far_failed",
      "never_ran",    "unknown_to_far_side", "not_known",          "unreachable",  "vm_gone"};
  static_assert(std::size(kNames) == static_cast<size_t>(Why::vm_gone) + 1);
  return kNames[static_cast<size_t>(why)];
}

inline std::string name_of(Remains remains) {
  static const char* const kNames[] = {"nothing", "something", "vm", "agent"};
  return kNames[static_cast<size_t>(remains)];
}

inline std::string name_of(const Tell& tell) { return "tell:" + name_of(tell.notice); }

inline std::string name_of(const FetchWork& fetch) {
  return "fetch:" + std::to_string(fetch.wait_ms) + (fetch.reconnect ? ":again" : "");
}

inline std::string name_of(const TellFailure& failed) {
  return "failed:" + name_of(failed.failure.why) + ":" + name_of(failed.remains);
}

// Returns the names of the actions in their order, with a space between them: "send_job", "note_home",
// "tell:link_lost", "fetch:500:again" or "failed:stopped:nothing".
inline std::string text_of(const std::vector<Action>& actions) {
  std::string text;
  for (const auto& action : actions)
    text += (text.empty() ? "" : " ") + std::visit([](const auto& each) { return name_of(each); }, action);
  return text;
}

}  // namespace bottle::remote
