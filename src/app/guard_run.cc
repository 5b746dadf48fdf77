// `bottle guard run`: the guard without Docker, in the foreground. This process becomes the guard.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/world.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "session/guard_link.h"
#include "session/images.h"
#include "session/terminal.h"
#include "session/values.h"

extern char** environ;

namespace bottle::app {
namespace {

Result<int> memory_file(const char* name, std::string_view bytes, unsigned flags) {
  UniqueFd fd(::memfd_create(name, flags));
  if (!fd) return fail_errno("making a memory file");
  TRY(write_all(fd.get(), bytes));
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd.release();
}

Result<int> output_file(const std::string& path) {
  if (path == "-") return 1;
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0) return fail_errno("opening " + path);
  return fd;
}

Result<> become_guard(const std::vector<std::string>& listen, const std::string& config_path, const std::string& ca_out, const std::string& upstream_ca,
                      const std::string& resolver, const std::string& audit) {
  plan::Plan plan = TRY(plan::for_guard(TRY(manifest::parse_guard({config_path, TRY(read_file(config_path, 4 << 20))}))));
  auto hidden = [](const std::string& question) { return session::ask(question, true); };
  auto values = TRY(session::resolve(plan, environment(), hidden));
  std::string extra = TRY(concatenated(plan.egress.extra_ca));
  if (!upstream_ca.empty()) extra += TRY(read_file(upstream_ca, 4 << 20));
  auto config = session::guard_config(plan, {"127.0.0.1", public_roots(), extra, values.secrets});
  config["listen"] = listen;
  config["dns"] = "";
  if (!resolver.empty()) config["egress"]["resolver"] = resolver;
  else if (plan.egress.resolver.empty()) config["egress"]["resolver"] = "";

  // The program and its configuration, secrets included, are handed over in memory.
  int program = TRY(memory_file("guard", session::guard_program(), MFD_CLOEXEC));
  int settings = TRY(memory_file("guard-config", config.dump(), 0));
  std::vector<std::string> words = {"guard", "--config-fd", std::to_string(settings)};
  if (!audit.empty()) words.insert(words.end(), {"--audit-fd", std::to_string(TRY(output_file(audit)))});
  if (!ca_out.empty()) {
    ::unlink(ca_out.c_str());
    words.insert(words.end(), {"--ca-out-fd", std::to_string(TRY(output_file(ca_out)))});
  }
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::fexecve(program, argv.data(), environ);
  return fail_errno("starting the guard");
}

}  // namespace

int guard_run(const std::vector<std::string>& listen, const std::string& config, const std::string& ca_out, const std::string& upstream_ca,
              const std::string& resolver, const std::string& audit) {
  return report(become_guard(listen, config, ca_out, upstream_ca, resolver, audit).error());
}

}  // namespace bottle::app
