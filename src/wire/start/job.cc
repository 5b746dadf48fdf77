// Names the fields of a job. Unlike the messages for scripts, a job is read by the same build that wrote it, so its
// keys are all required and may change with any version (wire/start/version.h). Parts of it are also in the ledger,
// which later versions read: those parts must keep their keys.
#include "wire/start/job.h"

#include <array>

#include "wire/start/plan.h"
#include "wire/start/version.h"

namespace bottle::wire {

void fields(Object& o, Values& values) {
  o.table("env", values.env, kFew, kValue);
  o.table("secrets", values.secrets, kFew, kValue);
  o.table_if_any("known", values.known, kMany, kValue);
}

static void fields(Object& o, Token& token) {
  static constexpr std::array kWays = {"job", "sendenv", "provider"};
  o.choice("via", token.via, kWays);
  o.text("name", token.name, kName);
  o.text("file", token.file, kPath);
  o.text("fetch", token.fetch, 64 << 10);
}

static void fields(Object& o, SshKey& key) {
  static constexpr std::array kHolders = {"session", "other", "near_side"};
  o.choice("holder", key.holder, kHolders);
  o.text("file", key.file, kPath);
  o.bytes("blob", key.blob, 48 << 10);
  o.text("socket", key.socket, kPath);
  o.text("passphrase", key.passphrase, kPath);
}

void fields(Object& o, MachineAddress& address) {
  o.text("user", address.target.user, kName);
  o.text("host", address.target.host, kName);
  o.number("port", address.target.port);
  // This is empty for a machine that is not one of bottle's VMs, because the operator's ssh configuration then decides.
  o.text("known_hosts", address.target.known_hosts, kPath);
  o.text("host_key_alias", address.target.host_key_alias, kName);
  o.text("identity", address.target.identity, kPath);
  // Ledgers of earlier versions name the directory of ssh's sockets, which may be gone after a reboot.
  std::optional<std::string> control;
  if (o.is_read()) o.text("control", control, kPath);
  o.text("program", address.program, kName);
}

void fields(Object& o, VmJob& job) {
  auto& vm = job.vm;
  o.text("name", vm.name, kName);
  o.text("provider", vm.provider, kName);
  o.table("options", vm.options, kFew, 64 << 10);
  o.number("cpus", vm.cpus);
  o.number("memory", vm.memory);
  o.number("disk", vm.disk);
  o.number("ttl", vm.ttl);
  o.number("idle", vm.idle);
  o.flag("keep", job.keep);
  o.flag("allow_vpn", vm.allow_vpn);
  o.table_if_any("environment", job.environment, kMany, kValue);
}

static void fields(Object& o, RemoteJob& remote) {
  static constexpr std::array kTasks = {"begin", "begin_unseen", "adopt", "adopt_and_stop"};
  o.object("far", remote.address);
  o.object("vm", remote.vm);
  o.choice("task", remote.task, kTasks);
  o.text("image", remote.image, kPath);
  o.text("roots", remote.roots, kName);
  o.flag("may_broker", remote.may_broker);
  o.text_if_any("engine_id", remote.engine_id, kName);
}

static void fields(Object& o, Directories& directories) {
  o.text("config", directories.config, kPath);
  o.text("sessions", directories.sessions, kPath);
  o.text("results", directories.results, kPath);
  o.text("home", directories.home, kPath);
  o.text("cache", directories.cache, kPath);
  o.text("vms", directories.vms, kPath);
  o.text("runtimes", directories.runtimes, kPath);
}

static void fields(Object& o, EngineStorage& storage) {
  o.text("driver", storage.driver, kName);
  o.text("backing", storage.backing, kName);
  o.text("directory", storage.directory, kPath);
  o.text("kernel", storage.kernel, kName);
  o.text("id", storage.id, kName);
}

void fields(Object& o, Job& job) {
  o.version("version", kVersion);
  o.object("plan", job.plan);
  o.text("id", job.id, kName);
  // The values are empty on the way to a remote machine. They follow in a separate frame.
  o.object("values", job.values);
  o.objects("ssh_keys", job.ssh_keys, kFew);
  o.text("engine", job.engine, kPath);
  o.object("storage", job.storage);
  o.text("ca_bundle", job.ca_bundle, kLongText);
  o.text("extra_ca", job.extra_ca, kLongText);
  o.text("kept_roots", job.kept_roots, kName);
  if (o.optional("own_rules", !job.own_rules.text.empty())) o.object("own_rules", job.own_rules);
  o.object("directories", job.directories);
  o.text("self", job.path_to_self, kPath);
  o.flag("far", job.from_near_side);
  o.object("remote", job.remote);
  if (o.is_read() && job.from_near_side && job.remote) o.refuse("far", "excludes remote");
  o.flag("tunnel", job.near_share.secrets_stay);
  o.flag("relay_all", job.near_share.offline);
  o.object("token", job.token);
}

}  // namespace bottle::wire
