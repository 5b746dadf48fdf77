// Writes the agent's home directory: its settings and the skills, under home/agent in an archive.
#pragma once

#include <string>

#include "docker/tar/tar.h"
#include "plan/plan.h"
#include "wire/start/job.h"

namespace bottle::session {

// Returns the directory in which the agent starts.
std::string start_directory(const plan::Plan& plan);

// put_home() writes the settings and the skills. put_skills() writes only the skills, which the near side sends with
// the delivery, because the far side has no copy of them. Both read the operator's files, and fail if one cannot be
// read.
Result<> put_home(docker::TarWriter& tar, const wire::Job& job);
Result<> put_skills(docker::TarWriter& tar, const plan::Plan& plan);

}  // namespace bottle::session
