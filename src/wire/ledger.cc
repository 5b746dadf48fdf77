// Lists the fields of a ledger's records. A ledger may be read by another version of bottle than the one that wrote
// it, after a crash and an upgrade. Unknown keys are therefore skipped, and keys that were added later are optional.
#include "wire/ledger.h"

#include <array>

#include "wire/start/plan.h"

namespace bottle::wire {
namespace {

constexpr std::array kThingKinds = {"container", "network", "volume", "image", "ssh-agent"};
static_assert(kThingKinds.size() == static_cast<size_t>(ThingKind::ssh_agent) + 1);

}  // namespace

std::string word_of(ThingKind kind) { return kThingKinds[static_cast<size_t>(kind)]; }

void fields(Object& o, Thing& thing) {
  o.choice("kind", thing.kind, kThingKinds);
  o.text("name", thing.name, kPath);
}

void fields(Object& o, Work& work) {
  o.text("source", work.source, kPath);
  o.text("workdir", work.workdir, kPath);
  o.text("base", work.base, kName);
  o.text("results", work.results, kPath);
  // Older records do not have this key.
  if (o.may_lack("far")) o.flag("far", work.only_archive);
}

void fields(Object& o, LedgerVm& vm) {
  o.text("name", vm.name, kName);
  o.text("provider", vm.provider, kName);
  if (o.may_lack("wanted")) o.object("wanted", vm.wanted);
}

void fields(Object& o, LedgerRecord& record) {
  // A later version may have written the record, and the rest of it must still be usable.
  o.passes_over_unknown_keys();
  o.text("owner", record.owner, kName);
  o.text("engine", record.engine, kPath);
  o.text("engine_id", record.engine_id, kName);
  o.objects("make", record.make, kFew);
  o.number("asked", record.asked);
  o.object("work", record.work);
  o.flag("running", record.running);
  o.number("ended", record.ended);
  o.flag("home", record.home);
  o.flag("foreign", record.foreign);
  o.text("session", record.session, kName);
  o.object("remote", record.machine);
  o.object("vm", record.vm);
  o.open_object("plan", record.plan, record.unknown_in_plan);
  o.flag("tunnel", record.secrets_stay);
  o.flag("offline", record.offline);
  o.text("base", record.base, kName);
  o.text("id", record.id, kName);
  o.flag("ran", record.ran);
}

static constexpr std::array kStates = {"starting",    "running", "unattended", "unfetched",
                                       "left behind", "held",    "dead",       "refused"};

std::string word_of(SessionState state) { return kStates[static_cast<size_t>(state)]; }

void fields(Object& o, SessionInfo& info) {
  o.passes_over_unknown_keys();
  o.text("session", info.session, kName);
  o.choice("state", info.state, kStates);
  o.text_if_any("agent", info.agent, kName);
  o.text_if_any("bottle", info.bottle, kName);
  o.text_if_any("workspace", info.workspace, kPath);
  o.text_if_any("machine", info.machine, kName);
  o.number("started", info.started);
  o.flag_if_set("headless", info.headless);
}

}  // namespace bottle::wire
