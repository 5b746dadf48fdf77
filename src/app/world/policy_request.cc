// A change has two parts that may fail separately: the running session, which a frame to its supervisor changes, and
// the operator's file, which is edited as text so that comments and order stay. The manifest's own parser checks a
// change before it is sent to a session. An edit is written only if the file, parsed again, differs only by that
// change.
#include "app/world/policy_request.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <functional>

#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/lock/file_lock.h"
#include "base/text/parse.h"
#include "base/text/path_parts.h"
#include "base/text/words.h"
#include "manifest/edit.h"
#include "manifest/format/kinds.h"
#include "session/guard_link/guard_link.h"
#include "wire/event.h"
#include "wire/frames/frames.h"

namespace bottle::app {

Result<std::string> change_policy(const std::string& session, wire::PolicyChange change) {
  // Every client of the supervisor gets the answer to every change; the id tells ours.
  change.id = random_hex(8);
  Error late{Code::timed_out, "session " + session + " did not answer within 20 s, so its rules may have changed",
             "`bottle logs --egress " + session + "` shows what its guard decides; try again"};
  wire::PolicyChanged answer;
  TRY(ask_supervisor(session, wire::FrameType::policy, TRY(wire::encode_exactly(change)), late,
                     [&](const wire::Frame& frame) {
                       if (frame.type != wire::FrameType::event) return false;
                       auto event = wire::decode<wire::Event>(frame.bytes, wire::From::ours);
                       const auto* changed = event ? std::get_if<wire::PolicyChanged>(&*event) : nullptr;
                       if (!changed || changed->id != change.id) return false;
                       answer = *changed;
                       return true;
                     }));
  if (!answer.ok) return fail(Code::invalid, answer.what);
  return answer.what;
}

namespace {

// Returns the form in which a limit of the quantity is written.
manifest::Type form_of(wire::Quantity quantity) {
  switch (quantity) {
    case wire::Quantity::bytes_up:
      return manifest::Type::bytes;
    case wire::Quantity::cost:
      return manifest::Type::cost;
    case wire::Quantity::requests:
    case wire::Quantity::names:
    case wire::Quantity::tokens:
      break;
  }
  return manifest::Type::amount;
}

// Returns the guard's value of a limit that is valid in this form.
uint64_t value_of(manifest::Type form, const std::string& text) {
  if (form == manifest::Type::bytes) return manifest::to_size(text);
  if (form == manifest::Type::amount) return manifest::to_amount(text);
  return session::guard_limit({.cost = std::strtod(text.c_str(), nullptr)}).of(wire::Quantity::cost);
}

}  // namespace

Result<wire::LimitChange> limit_change(const std::vector<std::string>& words) {
  wire::LimitChange change;
  for (const auto& word : words) {
    size_t equals = std::min(word.find('='), word.size());
    std::string name = word.substr(0, equals), most = word.substr(std::min(equals + 1, word.size()));
    auto found = std::ranges::find(wire::kQuantities, name);
    if (found == wire::kQuantities.end())
      return fail(Code::invalid, "'" + word + "' is not a limit",
                  "write requests=…, bytes_up=…, names=…, tokens=… or cost=…");
    auto quantity = static_cast<wire::Quantity>(found - wire::kQuantities.begin());
    auto form = form_of(quantity);
    bool none = most == "none";
    if (!none && !manifest::valid(form, most))
      return fail(Code::invalid, name + ": expected " + std::string(manifest::kind(form).expect) + ", or none",
                  "write a limit as in `bottle allow SESSION HOST --limit requests=200,bytes_up=10m`");
    // For the guard, 0 means no limit.
    change.of(quantity) = none ? 0 : value_of(form, most);
  }
  return change;
}

// The quoted text becomes part of a small manifest that is then parsed, so a rule here follows exactly the manifest's
// rules.
Result<manifest::AllowRule> rule_from(const std::string& text, const std::vector<std::string>& methods,
                                      const std::vector<std::string>& paths) {
  manifest::AllowRule rule{.host = text, .methods = methods, .paths = paths};
  if (size_t colon = text.rfind(':'); colon != std::string::npos) {
    auto port = number_in<uint16_t>(text.substr(colon + 1));
    if (!port || *port == 0)
      return fail(Code::invalid, "'" + text + "' is not HOST or HOST:PORT",
                  "write only the host, such as registry.example.org, or add a port, such as :8443");
    rule.host = text.substr(0, colon);
    rule.ports = {*port};
  }
  rule.host = lower(rule.host);
  rule.inspect = !methods.empty() || !paths.empty();
  // Checks the rule as the manifest would, but leaves out the position of a mistake, because no file has it.
  auto checked =
      manifest::parse({"the rule", "bottles: {b: {egress: {allow: [" + manifest::rule_yaml(rule, true) + "]}}}"});
  if (!checked) {
    std::string why = checked.error().what;
    if (size_t position = why.find(": "); why.starts_with("the rule:") && position != why.npos)
      why.erase(0, position + 2);
    return fail(Code::invalid, "the rule for '" + text + "' is not valid: " + why,
                checked.error().todo.empty() ? "see `bottle help allow`" : checked.error().todo);
  }
  return rule;
}

std::string about_built_in(const std::string& bottle) {
  auto manifest = load_own_manifest();
  if (!manifest || !manifest->bottles.contains(bottle)) return "";
  if (manifest->bottles.at(bottle).positions.contains("")) return "";
  auto files = policy_files();
  return files && files->empty() ? "run `bottle init`, which writes a manifest with a bottle of your own"
                                 : "define the bottle '" + bottle + "' in your manifest";
}

namespace {

constexpr size_t kLargest = 1 << 20;  // bytes of a file of the operator's

// Lets one process at a time edit the operator's files. Without that, one of two changes at the same time would be
// lost. The lock is a file of its own, because NFS locks only what is open for writing, and the edited file is
// replaced.
Result<FileLock> lock_edits(const Directories& directories) {
  std::string state = parent_of(directories.runtimes);
  TRY(make_directories(state));
  auto lock = FileLock::take(state + "/edit-lock", {O_RDWR | O_CREAT}, Deadline::in(std::chrono::seconds(10)));
  if (!lock && lock.error().code == Code::timed_out)
    return fail(Code::timed_out, "another command has been editing your files for more than 10 s");
  return lock;
}

// Edits the operator's file that defines the bottle. `what` names what is saved. `todo` says how to write it by hand,
// and becomes the advice of an error that has none.
Result<Saved> edit_file(const std::string& bottle, const std::string& what, const std::string& todo,
                        const std::function<Result<std::string>(const manifest::File&)>& edit) {
  auto d = directories();
  auto lock = lock_edits(d);
  if (!lock) return fail(lock.error().code, what + " not saved: " + lock.error().what, todo);
  for (const std::string& named :
       {d.config + "/bottle.yaml", d.config + "/bottle.json", d.home + "/claude-bottle.json"}) {
    char real[PATH_MAX];
    if (!TRY(is_there(named))) continue;
    if (!::realpath(named.c_str(), real))
      return fail(Code::invalid, what + " not saved: " + named + " cannot be read", todo);
    // The given name decides the format. The file is written at its real path, because dotfiles are often links.
    std::string before = TRY(read_file(real, kLargest));
    auto edited = edit({named, before});
    // The bottle is defined in another file.
    if (!edited && edited.error().code == Code::not_found) continue;
    if (!edited)
      return fail(edited.error().code, what + " not saved: " + edited.error().what,
                  edited.error().todo.empty() ? todo : edited.error().todo);
    if (*edited == before) return Saved{named, false};
    struct stat st{};
    if (::stat(real, &st) != 0) return fail_errno("reading " + named);
    if (TRY(read_file(real, kLargest)) != before)
      return fail(Code::conflict, what + " not saved: " + named + " changed meanwhile", "try again");
    // The file keeps its mode and its group: the operator may share it.
    auto written = write_file_atomically(real, *edited, st.st_mode & 0777, st.st_gid);
    if (!written) return fail(written.error().code, what + " not saved: " + written.error().what, todo);
    return Saved{named, true};
  }
  std::string first = about_built_in(bottle);
  return fail(Code::not_found, what + " not saved: none of your manifest files defines the bottle '" + bottle + "'",
              first.empty() ? todo : first + ", then save the change in that bottle");
}

}  // namespace

Result<Saved> save_rule(const std::string& bottle, const manifest::AllowRule& rule) {
  std::string todo = "add this line to bottles." + bottle + ".egress.allow yourself:  - " + manifest::rule_yaml(rule);
  return edit_file(bottle, "the rule was", todo,
                   [&](const manifest::File& file) { return manifest::with_rule(file, bottle, rule); });
}

Result<Saved> save_limits(const std::string& bottle, const std::string& host, const std::vector<std::string>& words) {
  std::vector<manifest::LimitText> limits;
  std::string text;
  for (const auto& word : words) {
    size_t equals = word.find('=');
    limits.push_back({word.substr(0, equals), word.substr(equals + 1)});
    text += (text.empty() ? "" : ", ") + limits.back().name + ": " + limits.back().amount;
  }
  std::string place = "bottles." + bottle + ".egress";
  if (!host.empty()) place = "the rule for " + host + " in " + place + ".allow";
  std::string todo = "write this into " + place + " yourself:  limit: {" + text + "}";
  return edit_file(bottle, "the limits were", todo,
                   [&](const manifest::File& file) { return manifest::with_limits(file, bottle, host, limits); });
}

}  // namespace bottle::app
