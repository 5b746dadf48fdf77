#include "wire/job.h"

#include "sshagent/wire.h"

namespace bottle::session {

using nlohmann::json;

json to_json(const Far& far) {
  const auto& t = far.target;
  return {{"user", t.user},
          {"host", t.host},
          {"port", t.port},
          {"known_hosts", t.known_hosts},
          {"host_key_alias", t.host_key_alias},
          {"identity", t.identity},
          {"control", far.control_directory},
          {"program", far.program}};
}

Result<Far> far_from_json(const json& j) {
  if (!j.is_object()) return fail(Code::invalid, "the record of the remote machine is unreadable");
  Far far;
  far.target = {j.value("user", ""),        j.value("host", ""),           j.value("port", uint16_t{0}),
                j.value("known_hosts", ""), j.value("host_key_alias", ""), j.value("identity", "")};
  far.control_directory = j.value("control", "");
  far.program = j.value("program", "");
  return far;
}

json to_json(const std::vector<SshKey>& keys) {
  json list = json::array();
  for (const auto& key : keys)
    list.push_back({{"file", key.file},
                    {"blob", sshagent::base64(key.blob)},
                    {"agent", key.agent},
                    {"passphrase", key.passphrase}});
  return list;
}

std::vector<SshKey> ssh_keys_from(const json& list) {
  std::vector<SshKey> keys;
  for (const auto& each : list)
    keys.push_back({each.value("file", ""), sshagent::unbase64(each.value("blob", "")), each.value("agent", ""),
                    each.value("passphrase", "")});
  return keys;
}

nlohmann::json to_json(const VmJob& vm) {
  return {{"name", vm.name},     {"provider", vm.provider},  {"options", vm.options}, {"cpus", vm.cpus},
          {"memory", vm.memory}, {"disk", vm.disk},          {"ttl", vm.ttl},         {"idle", vm.idle},
          {"keep", vm.keep},     {"allow_vpn", vm.allow_vpn}};
}

Result<VmJob> vm_from_json(const nlohmann::json& json) {
  if (!json.is_object()) return fail(Code::invalid, "the record of the VM is unreadable");
  VmJob vm{json.value("name", ""),
           json.value("provider", ""),
           {},
           json.value("cpus", 0.0),
           json.value("memory", uint64_t{0}),
           json.value("disk", uint64_t{0}),
           json.value("ttl", uint64_t{0}),
           json.value("idle", uint64_t{0}),
           json.value("keep", false),
           json.value("allow_vpn", false),
           {}};
  if (json.contains("options")) vm.options = json["options"].get<std::map<std::string, std::string>>();
  if (json.contains("environment")) vm.environment = json["environment"].get<std::map<std::string, std::string>>();
  return vm;
}

nlohmann::json to_json(const Values& values) { return {{"env", values.env}, {"secrets", values.secrets}}; }

Result<Values> values_from_json(const nlohmann::json& json) {
  Values values;
  for (auto [name, to] : {std::pair{"env", &values.env}, {"secrets", &values.secrets}}) {
    auto found = json.is_object() ? json.find(name) : json.end();
    if (!json.is_object() || found == json.end() || !found->is_object())
      return fail(Code::protocol, "the job's values are unreadable");
    for (const auto& [key, value] : found->items()) {
      if (!value.is_string()) return fail(Code::protocol, "the job's values are unreadable");
      (*to)[key] = value;
    }
  }
  return values;
}

nlohmann::json to_json(const Job& job) {
  nlohmann::json remote;
  if (job.remote) {
    remote = {{"far", to_json(job.remote->far)}, {"adopt", job.remote->adopt}, {"stop", job.remote->stop},
              {"image", job.remote->image},      {"roots", job.remote->roots}, {"unseen", job.remote->unseen}};
    if (job.remote->vm) {
      remote["vm"] = to_json(*job.remote->vm);
      remote["vm"]["environment"] = job.remote->vm->environment;
    }
  }
  return {{"plan", plan::to_json(job.plan)},
          {"remote", remote},
          {"values", to_json(job.values)},
          {"ssh_keys", to_json(job.ssh_keys)},
          {"engine", job.engine},
          {"ca_bundle", job.ca_bundle},
          {"extra_ca", job.extra_ca},
          {"kept_roots", job.kept_roots},
          {"directories",
           {job.directories.config, job.directories.sessions, job.directories.results, job.directories.home,
            job.directories.cache}},
          {"self", job.path_to_self},
          {"far", job.far},
          {"tunnel", job.tunnel},
          {"relay_all", job.relay_all},
          {"token",
           {{"via", static_cast<int>(job.token.via)},
            {"name", job.token.name},
            {"file", job.token.file},
            {"fetch", job.token.fetch}}}};
}

Result<Job> job_from_json(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("plan")) return fail(Code::protocol, "the job is unreadable");
  Job job;
  job.plan = TRY(plan::from_json(json["plan"]));
  job.values = TRY(values_from_json(json.value("values", nlohmann::json())));
  job.ssh_keys = ssh_keys_from(json.value("ssh_keys", nlohmann::json::array()));
  job.engine = json["engine"];
  job.ca_bundle = json["ca_bundle"];
  job.extra_ca = json["extra_ca"];
  job.kept_roots = json.value("kept_roots", "");
  const auto& d = json["directories"];
  job.directories = {d[0], d[1], d[2], d[3], d[4]};
  job.path_to_self = json["self"];
  job.far = json.value("far", false);
  job.tunnel = json.value("tunnel", false);
  job.relay_all = json.value("relay_all", false);
  if (auto token = json.find("token"); token != json.end() && token->is_object()) {
    int via = token->value("via", 0);
    if (via < 0 || via > static_cast<int>(Token::Via::provider))
      return fail(Code::protocol, "the job's token uses an unknown way");
    job.token = {static_cast<Token::Via>(via), token->value("name", ""), token->value("file", ""),
                 token->value("fetch", "")};
  }
  if (json.contains("remote") && json["remote"].is_object()) {
    const auto& remote = json["remote"];
    job.remote.emplace();
    job.remote->far = TRY(far_from_json(remote["far"]));
    job.remote->adopt = remote.value("adopt", false);
    job.remote->stop = remote.value("stop", false);
    job.remote->image = remote.value("image", "");
    job.remote->roots = remote.value("roots", "");
    job.remote->unseen = remote.value("unseen", false);
    if (remote.contains("vm")) job.remote->vm = TRY(vm_from_json(remote["vm"]));
  }
  return job;
}

}  // namespace bottle::session
