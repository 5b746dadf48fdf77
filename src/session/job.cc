#include "session/job.h"

namespace bottle::session {

nlohmann::json to_json(const Job& job) {
  nlohmann::json remote;
  if (job.remote) remote = {{"far", to_json(job.remote->far)}, {"adopt", job.remote->adopt}, {"stop", job.remote->stop}};
  return {{"plan", plan::to_json(job.plan)},
          {"remote", remote},
          {"env", job.values.env},
          {"secrets", job.values.secrets},
          {"ssh_keys", to_json(job.ssh_keys)},
          {"engine", job.engine},
          {"ca_bundle", job.ca_bundle},
          {"extra_ca", job.extra_ca},
          {"directories", {job.directories.config, job.directories.sessions, job.directories.results, job.directories.home}},
          {"self", job.path_to_self},
          {"far", job.far}};
}

Result<Job> job_from_json(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("plan")) return fail(Code::protocol, "the job is unreadable");
  Job job;
  job.plan = TRY(plan::from_json(json["plan"]));
  job.values.env = json["env"].get<std::map<std::string, std::string>>();
  job.values.secrets = json["secrets"].get<std::map<std::string, std::string>>();
  job.ssh_keys = ssh_keys_from(json.value("ssh_keys", nlohmann::json::array()));
  job.engine = json["engine"];
  job.ca_bundle = json["ca_bundle"];
  job.extra_ca = json["extra_ca"];
  const auto& d = json["directories"];
  job.directories = {d[0], d[1], d[2], d[3]};
  job.path_to_self = json["self"];
  job.far = json.value("far", false);
  if (json.contains("remote") && json["remote"].is_object())
    job.remote = RemoteJob{TRY(far_from_json(json["remote"]["far"])), json["remote"].value("adopt", false), json["remote"].value("stop", false)};
  return job;
}

}  // namespace bottle::session
