#include "remote/near/conclusion.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/file.h"
#include "remote/link/checked_text.h"
#include "remote/near/vm.h"

namespace bottle::remote {
namespace {

using nlohmann::json;

// Copies those of a receipt's parts that the far side can know.
void copy_parts(const json& from, std::initializer_list<const char*> parts, json& to) {
  for (const char* part : parts)
    if (from.contains(part)) to[part] = from[part];
}

}  // namespace

Conclusion::Conclusion(const Job& job, const NearRecord& record, Clients& clients, const FarSide* side, json told)
    : job_(job), record_(record), clients_(clients), told_(std::move(told)) {
  if (side) side_ = *side;
  if (told_.is_object())
    copy_parts(told_.value("receipt", json::object()), {"session", "confirmed", "left", "removed"}, receipt_);
}

input::StopAnswered Conclusion::stop_there() {
  return {.reached = side_ && side_->ask({"stop", job_.plan.session}).has_value()};
}

Input Conclusion::fetch(const FetchWork& how, WorkFetcher& fetcher) {
  if (how.reconnect && side_) {
    side_->drop();
    side_.reset();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(how.wait_ms));
  auto is_gone = [&] { return vm_is_gone(job_, record_); };
  auto back = [&]() -> Result<json> {
    FarSide side = side_ ? *side_ : TRY(FarSide::reach(record_.far, false));
    auto fetched = TRY(fetcher.fetch(side, is_gone));
    side_ = std::move(side);
    return fetched;
  }();
  if (back) {
    back_ = std::move(*back);
    return input::Fetched{};
  }
  fetch_error_ = back.error().what;
  vm_gone_ = is_gone();
  return input::FetchFailed{back.error().code == Code::conflict, vm_gone_, std::move(back.error())};
}

input::Forgotten Conclusion::forget_there() {
  // The engine there is asked once more, so that "nothing is left" is its newest word.
  auto asked = side_ ? side_->ask({"forget", job_.plan.session})
                     : Result<Captured>(fail(Code::closed, "the machine was never reached"));
  bool done = asked && asked->status == 0;
  json said = done ? far_words(asked->out) : json();
  if (said.is_object()) copy_parts(said.value("receipt", json::object()), {"confirmed", "left"}, receipt_);
  else done = false;
  receipt_["forgotten"] = done;
  if (!done) receipt_["left"].push_back("results on " + record_.far.target.to_string());
  // A session that failed may have left nothing that an engine could be asked about.
  receipt_["confirmed"] = receipt_.value("confirmed", told_.is_null()) && done;
  return {.reached = asked.has_value(),
          .confirmed = receipt_["confirmed"].get<bool>(),
          .vm_gone = !record_.vm_name.empty() && !machine::is_recorded(record_.vm_name, vm_places(job_))};
}

input::VmDestroyed Conclusion::destroy_vm() {
  if (side_) side_->drop();
  auto destroyed =
      destroy_session_vm(record_.vm_name, job_.remote->vm ? job_.remote->vm->provider : "", job_,
                         [&](const std::string& line) { clients_.event({{"event", "step"}, {"step", line}}); });
  std::string name = "VM " + record_.vm_name;
  if (!destroyed) {
    receipt_["vm"] = {{"name", record_.vm_name}, {"confirmed", false}, {"error", destroyed.error().what}};
    receipt_["left"].push_back(name + ": " + destroyed.error().what);
    receipt_["confirmed"] = false;
    return {.confirmed = false};
  }
  receipt_["vm"] = machine::to_json(*destroyed);
  // The VM's disk is gone, and whatever could not be removed from it.
  receipt_["confirmed"] = destroyed->confirmed;
  if (destroyed->confirmed) receipt_["left"] = json::array();
  else receipt_["left"].push_back(name);
  return {.confirmed = destroyed->confirmed};
}

void Conclusion::hold_vm() { (void)machine::hold(record_.vm_name, vm_places(job_)); }

std::string Conclusion::where_work_is() const {
  if (!is_home()) return "";
  if (back_->value("commits", 0) || back_->value("files", 0))
    if (auto refs = back_->value("refs", std::vector<std::string>()); !refs.empty()) return refs[0];
  for (const char* kind : {"patch", "archive"})
    if (std::string path = back_->value(kind, ""); !path.empty()) return path;
  return "";
}

json Conclusion::back() const {
  if (is_home()) return *back_;
  const std::string& session = job_.plan.session;
  if (vm_gone_)
    return {{"error", fetch_error_},
            {"text", "The VM " + record_.vm_name +
                         " is gone, and so is the work that was not fetched. The last checkpoint is on refs/bottle/" +
                         session + "."}};
  return {{"error", fetch_error_},
          {"text", "The work is still on " + record_.far.target.to_string() +
                       ". Fix the cause, then run `bottle cleanup` or `bottle attach " + session + "` to fetch it."}};
}

void Conclusion::add_vm_to_receipt() {
  if (vm_gone_) {
    receipt_["confirmed"] = true;
    receipt_["left"] = json::array();
    receipt_["vm"] = {{"name", record_.vm_name},
                      {"confirmed", true},
                      {"confirmed_by", "the command that destroyed it before the session ended"}};
  } else if (!receipt_.contains("vm")) {
    receipt_["vm"] = {
        {"name", record_.vm_name},
        {"kept", true},
        {"why", is_home() ? "--keep" : "the work could not be fetched; the VM stays until its time is up"}};
  }
}

json Conclusion::save_result() {
  json result = {{"session", job_.plan.session},
                 {"bottle", job_.plan.bottle},
                 {"exit", std::clamp(told_.value("exit", 125), 0, 255)},
                 {"egress", told_.value("egress", json::object())},
                 {"back", back()}};
  if (!job_.plan.record) result["egress"].erase("recorded");  // the operator did not ask for it
  receipt_["machine"] = record_.far.target.to_string();
  if (!is_home()) receipt_["confirmed"] = false;
  if (!record_.vm_name.empty()) add_vm_to_receipt();
  result["receipt"] = receipt_;
  (void)write_file_atomically(job_.directories.results + "/" + job_.plan.session + "/result.json",
                              result.dump(2) + "\n");
  return result;
}

}  // namespace bottle::remote
