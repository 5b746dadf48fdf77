#include "remote/near/conclusion.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "base/file.h"
#include "remote/link/checked_text.h"
#include "remote/near/vm.h"
#include "session/sweep.h"

namespace bottle::remote {

using session::remove_session_directory;

namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kFetchPatience = 300s;
constexpr auto kEnginePatience =
    20s;  // one that is being started again is back by then; for any other somebody has to do something

// Destroyed meanwhile: its time was up, or somebody wanted it so.
bool vm_is_gone(const Job& job, const NearRecord& place) {
  if (place.vm_name.empty()) return false;
  auto record = machine::load(place.vm_name, vm_places(job));
  return !record && record.error().code == Code::not_found;
}

// The pull must succeed before anything there goes: it is tried until it does, for minutes.
Result<json> bring_home(const Job& job, const NearRecord& place, std::optional<FarSide>& side, WorkFetcher& fetcher,
                        Clients& clients, Clock::duration engine_patience) {
  auto begun = Clock::now(), deadline = begun + kFetchPatience;
  auto is_gone = [&] { return vm_is_gone(job, place); };
  for (int attempt = 0;; ++attempt) {
    auto reached = side ? Result<FarSide>(*side) : FarSide::reach(place.far, false);
    auto back = reached ? fetcher.fetch(*reached, is_gone) : Result<json>(std::unexpected(reached.error()));
    if (back) {
      side = *reached;
      return back;
    }
    if (is_gone()) return back;
    bool held = back.error().code == Code::conflict;
    if (Clock::now() > (held ? begun + engine_patience : deadline)) return back;
    if (attempt == 0)
      clients.event({{"event", "link-lost"}, {"what", "the work could not be fetched yet: " + back.error().what}});
    if (side && !held) {
      side->drop();
      side.reset();
    }
    std::this_thread::sleep_for(held ? 1000ms
                                     : std::chrono::milliseconds(std::min(500 << std::min(attempt, 5), 15000)));
  }
}

// Not before the work is here; then until the provider itself says that nothing is left.
void destroy_vm(const Job& job, const NearRecord& place, FarSide* side, bool home, bool keep, Clients& clients,
                json& receipt) {
  if (!home || keep) {
    receipt["vm"] = {{"name", place.vm_name},
                     {"kept", true},
                     {"why", home ? "--keep" : "the work could not be fetched; the VM stays until its time is up"}};
    if (!home) (void)machine::hold(place.vm_name, vm_places(job));
    return;
  }
  clients.event({{"event", "destroying"}, {"vm", place.vm_name}});
  if (side) side->drop();
  auto destroyed =
      destroy_session_vm(place.vm_name, job.remote->vm ? job.remote->vm->provider : "", job,
                         [&](const std::string& line) { clients.event({{"event", "step"}, {"step", line}}); });
  if (destroyed) {
    receipt["vm"] = machine::to_json(*destroyed);
    // Gone with its disk: what could not be removed on it does not matter any more.
    receipt["confirmed"] = destroyed->confirmed;
    if (destroyed->confirmed) receipt["left"] = json::array();
    else receipt["left"].push_back("VM " + place.vm_name);
  } else {
    receipt["vm"] = {{"name", place.vm_name}, {"confirmed", false}, {"error", destroyed.error().what}};
    receipt["left"].push_back("VM " + place.vm_name + ": " + destroyed.error().what);
    receipt["confirmed"] = false;
  }
}

}  // namespace

machine::Places vm_places(const Job& job) {
  return machine::Places::from(job.remote->vm ? job.remote->vm->environment : machine::Environment());
}

void write_info(const Job& job, const NearRecord& place, const char* state) {
  auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  (void)write_file_atomically(place.directory + "/info.json", json{{"session", job.plan.session},
                                                                   {"agent", job.plan.agent},
                                                                   {"bottle", job.plan.bottle},
                                                                   {"workspace", job.plan.workspace},
                                                                   {"machine", place.far.target.to_string()},
                                                                   {"state", state},
                                                                   {"started", now}}
                                                                  .dump());
}

json finish_session(const Job& job, const NearRecord& place, FarSide* reached, WorkFetcher& fetcher, const json& told,
                    Ledger& ledger, Clients& clients) {
  const std::string& session = job.plan.session;
  const std::string machine = place.far.target.to_string();
  std::optional<FarSide> side;
  if (reached) side = *reached;
  json result = {{"session", session},
                 {"bottle", job.plan.bottle},
                 {"exit", std::clamp(told.value("exit", 125), 0, 255)},
                 {"egress", told.value("egress", json::object())}};
  if (!job.plan.record) result["egress"].erase("recorded");  // nobody asked for it
  bool asked_again =
      job.remote->adopt && place.vm_name.empty();  // by somebody who has been told before, and can ask once more
  auto back = bring_home(job, place, side, fetcher, clients, asked_again ? 0s : kEnginePatience);
  bool home = back.has_value(), gone_with_vm = !home && vm_is_gone(job, place);
  if (home)
    (void)ledger.note(
        {{"home", true}});  // from here on nothing speaks against destroying a VM that is not reached again
  result["back"] = home ? *back
                        : json{{"error", back.error().what},
                               {"text", "The work is still on " + machine +
                                            ". Fix the cause, then run `bottle cleanup` or `bottle attach " + session +
                                            "` to fetch it."}};
  if (gone_with_vm)
    result["back"]["text"] =
        "The VM " + place.vm_name +
        " is gone, and so is the work that was not fetched. The last checkpoint is on refs/bottle/" + session + ".";
  json receipt = json::object();  // of what it says, what it can know
  for (const char* part : {"session", "confirmed", "left", "removed"})
    if (auto said = told.value("receipt", json::object()); said.contains(part)) receipt[part] = said[part];
  if (home) {
    auto forgotten = side->ask({"forget", session});
    bool gone = forgotten && forgotten->status == 0;
    // The engine there was asked once more: that is the newest word.
    json said = gone ? far_words(forgotten->out) : json();
    if (said.is_object() && said.contains("receipt"))
      for (const char* part : {"confirmed", "left"})
        if (said["receipt"].contains(part)) receipt[part] = said["receipt"][part];
    receipt["forgotten"] = gone;
    if (!gone) receipt["left"].push_back("results on " + machine);
    receipt["confirmed"] = receipt.value("confirmed", false) && gone;
  } else {
    receipt["confirmed"] = false;
  }
  receipt["machine"] = machine;
  bool keep = job.remote->vm && job.remote->vm->keep;
  if (gone_with_vm)  // or its record would be there
    receipt.update({{"confirmed", true},
                    {"left", json::array()},
                    {"vm",
                     {{"name", place.vm_name},
                      {"confirmed", true},
                      {"confirmed_by", "the command that destroyed it before the session ended"}}}});
  else if (!place.vm_name.empty()) destroy_vm(job, place, side ? &*side : nullptr, home, keep, clients, receipt);
  result["receipt"] = receipt;
  (void)write_file_atomically(job.directories.results + "/" + session + "/result.json", result.dump(2) + "\n");
  if ((home || gone_with_vm) && receipt.value("confirmed", false)) remove_session_directory(place.directory);
  else write_info(job, place, home ? "left behind" : "unfetched");
  return result;
}

bool abandon_session(const Job& job, const NearRecord& place, FarSide* side, bool may_run, Clients& clients,
                     Error& error) {
  const std::string& session = job.plan.session;
  auto add = [&](const std::string& todo) { error.todo += (error.todo.empty() ? "" : "; ") + todo; };
  if (may_run && side && !side->ask({"stop", session})) {
    add("the agent may still run on " + place.far.target.to_string() +
        ", which cannot be reached; run `bottle cleanup` to end it and bring its work home");
    return false;
  }
  // What the far side says of itself once more, so that "nothing was left" is not a guess. One that is not reached ends
  // by itself what it has begun; one that answers and says that it cannot is asked again later.
  bool clean = true;
  auto forgotten =
      side ? side->ask({"forget", session}) : Result<Captured>(fail(Code::closed, "the machine was never reached"));
  if (forgotten) {
    json said = forgotten->status == 0 ? far_words(forgotten->out) : json();
    clean = said.is_object() && said.value("receipt", json::object()).value("confirmed", true);
  }
  ::rmdir((job.directories.results + "/" + session).c_str());
  // A VM's record is there before the VM, and goes when somebody, as its reaper, has seen it confirmed that the VM is
  // gone: then nobody is asked again.
  bool gone = !forgotten && !place.vm_name.empty() && !machine::is_recorded(place.vm_name, vm_places(job));
  if (!place.vm_name.empty() && !gone) {
    json receipt = {{"left", json::array()}};
    destroy_vm(job, place, side, true, false, clients, receipt);  // --keep is for one that was used
    clean = receipt.value("confirmed", false);
    if (!clean) error.todo = "the VM " + place.vm_name + " may still exist; run `bottle cleanup`";
  } else if (!clean) {
    add("not everything was removed on " + place.far.target.to_string() + "; run `bottle cleanup` to try again");
  }
  if (clean) remove_session_directory(place.directory);
  else write_info(job, place, "left behind");
  return true;
}

}  // namespace bottle::remote
