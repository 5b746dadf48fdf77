// A build downloads on this machine and runs in containers. images/bootstrap.sh fetches packages and the agent's
// program with the machine's own package managers and unpacks them into an archive, without running any of it. The
// engine imports the archive under a scratch name. The program starts for the first time in a container without a
// network, and then the packages' scripts run in another one. The root file system of that container is exported, and
// imported again under the name that the plan gave the image. No image gets that name before every step has
// succeeded, so a build that fails or is killed leaves an older image in its place.
//
// Before a build makes anything on the engine, it records the names in a grave, as a session does in its ledger. What
// it puts on the disk is in one directory (build_place.h).
#include "session/images/agent_image_build.h"

#include <fcntl.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/process.h"
#include "base/text/line.h"
#include "base/unique_fd.h"
#include "session/images/agent_image.h"
#include "session/images/build_place.h"
#include "session/ledger/graves.h"
#include "session/ledger/names.h"
#include "session/seccomp/seccomp.h"

namespace bottle::session {
namespace {

using nlohmann::json;

constexpr int kPatienceMs = 5000;  // mmdebstrap removes what it has unpacked

// Runs a program that makes an image. Its output is shown as progress, and the last lines become the reason if it
// fails.
struct Builder {
  const Making& making;
  std::deque<std::string> last = {};

  // Returns the program's exit status. A stop ends it and its process group.
  Result<int> run(const std::vector<std::string>& argv, const std::string& temporary = {}) {
    auto tell = [&](const Line& line) {
      making.progress(line.text());
      last.push_back(line.text());
      if (last.size() > 3) last.pop_front();
    };
    Command command{.argv = argv};
    if (!temporary.empty()) command.env["TMPDIR"] = temporary;
    auto ended = run_in_lines(command, tell, making.stop, kPatienceMs);
    if (!ended && ended.error().code == Code::canceled) return fail(Code::canceled, "the build was stopped");
    return ended;
  }

  std::string why() const {
    std::string all;
    for (const auto& line : last) all += (all.empty() ? ": " : " | ") + line;
    return all;
  }
};

// Builds with the docker command instead of the API, because the command also packs the build's context.
Result<> build_dockerfile(docker::Engine& engine, const plan::Image& image, const Making& making) {
  // As usual, the Dockerfile's directory is the build's context.
  std::string directory = image.dockerfile.substr(0, image.dockerfile.rfind('/'));
  // The engine is named explicitly, because the docker command may have another context or DOCKER_HOST. Words after
  // "--" cannot be taken for options.
  std::vector<std::string> argv = {"docker",
                                   "-H",
                                   "unix://" + engine.socket(),
                                   "build",
                                   "--label",
                                   "bottle.image=agent",
                                   "-t",
                                   image.reference,
                                   "-f",
                                   image.dockerfile};
  if (making.refresh) argv.insert(argv.end(), {"--pull", "--no-cache"});
  argv.insert(argv.end(), {"--", directory.empty() ? "/" : directory});
  Builder builder{making};
  auto status = builder.run(argv);
  if (!status && status.error().code == Code::not_found)
    return fail(
        Code::not_found,
        "building " + image.dockerfile + ": the docker command is missing, and bottle needs it to build Dockerfiles",
        "install it (Debian: docker.io), or build the image elsewhere and name it with `image:`");
  if (TRY(std::move(status)) != 0)
    return fail(Code::unavailable, "building " + image.dockerfile + " failed" + builder.why());
  return {};
}

constexpr int kFirstStartMs = 60'000;
constexpr int kFinishMs = 1'800'000;  // time for dpkg to configure all packages on a slow machine
constexpr size_t kMostAnswered = 3;   // in lines

// Describes what npm installed, as recorded by bootstrap.sh.
struct Installed {
  std::string package, version, integrity;
};

// Keeps only characters that cannot end the quotes of a Dockerfile instruction, because the texts go into such
// instructions.
Installed read_installed(const std::string& path) {
  std::string texts[3];
  size_t line = 0;
  for (char c : read_file(path, 4096).value_or("")) {
    if (c == '\n') ++line;
    else if (line < 3 && (std::isalnum(static_cast<unsigned char>(c)) || std::strchr("@/.-_+=", c))) texts[line] += c;
  }
  return {texts[0], texts[1], texts[2]};
}

// Returns the instructions that label the image with its contents. Images of the providers `shell` and `command`
// contain no agent of a package.
std::vector<std::string> labels_of(const std::string& provider, const Installed& installed) {
  std::vector<std::string> labels = {"LABEL bottle.image=agent"};
  if (installed.package.empty()) {
    labels.push_back("LABEL bottle.agent=\"" + provider + "\"");
    return labels;
  }
  labels.push_back("LABEL bottle.agent=\"" + provider + " " + installed.version + "\"");
  labels.push_back("LABEL bottle.package=\"" + installed.package + "\"");
  labels.push_back("LABEL bottle.integrity=\"" + installed.integrity + "\"");
  return labels;
}

// Imports a root file system as an image with one layer. Such an image has only the settings and labels of `changes`,
// so no part of the scratch image, such as its labels, gets into the final one.
Result<> import(docker::Engine& engine, const std::string& archive, const std::string& reference,
                const std::vector<std::string>& changes) {
  UniqueFd fd(::open(archive.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + archive);
  auto reader = [&](char* buffer, size_t size) -> Result<size_t> {
    ssize_t n = ::read(fd.get(), buffer, size);
    if (n < 0) return fail_errno("reading " + archive);
    return static_cast<size_t>(n);
  };
  return engine.import_image(reference, reader, changes);
}

// Describes a container for programs that were downloaded but have never run. It has no network, no mounts and no
// capabilities except `capabilities`. It uses the engine's own seccomp profile unless the caller sets another one.
json container_of(const std::string& image, const std::string& session, const json& capabilities) {
  return {{"Image", image},
          {"Labels", labels(session, Owner::self(), "", "build")},
          {"HostConfig",
           {{"NetworkMode", "none"},
            {"CapDrop", {"ALL"}},
            {"CapAdd", capabilities},
            {"SecurityOpt", {"no-new-privileges"}},
            {"IpcMode", "private"},
            {"Memory", 2u << 30},
            {"MemorySwap", 2u << 30},
            {"Init", false},
            {"PidsLimit", 512},
            {"Ulimits", json::array({{{"Name", "core"}, {"Soft", 0}, {"Hard", 0}}})},
            {"LogConfig", {{"Type", "json-file"}, {"Config", {{"max-size", "1m"}, {"max-file", "1"}}}}}}}};
}

// Holds what a build keeps on the engine: an image of the unpacked files, and one container at a time. A record names
// both before they exist, so that the next start or cleanup removes what a killed build left.
class Scratch {
 public:
  Scratch(docker::Engine& engine, const Directories& directories) : engine_(engine), directories_(directories) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    engine_.heed({});  // so that everything is removed even after a stop
    // The container goes first, because an image that a container uses cannot be removed. If one fails, the record
    // stays.
    bool gone = engine_.remove_container(names_.trial) && engine_.remove_image(names_.unfinished);
    if (gone) remove_grave(directories_, session_);
  }

  Result<> take(const std::string& archive) {
    // If the build is killed, this record remains, and a sweep finds and removes both.
    TRY(write_grave(directories_, session_, engine_.socket(),
                    {{ThingKind::image, names_.unfinished}, {ThingKind::container, names_.trial}}));
    std::vector<std::string> changes;
    for (const auto& [key, value] : labels(session_, Owner::self(), "", "build").items())
      changes.push_back("LABEL " + key + "=\"" + value.get<std::string>() + "\"");
    return import(engine_, archive, names_.unfinished, changes);
  }

  // Returns the first lines of the program's answer to --version. This is the first time that the program runs.
  Result<std::vector<Line>> ask_version(const std::string& provider) {
    json config = container_of(names_.unfinished, session_, json::array());
    config.update({{"Entrypoint", {"/usr/local/bin/" + provider}},
                   {"Cmd", {"--version"}},
                   {"User", "1000:1000"},
                   {"Env", {"HOME=/home/agent"}},
                   {"WorkingDir", "/"}});
    config["HostConfig"].update(
        {{"SecurityOpt", {"no-new-privileges", seccomp_option(agent_seccomp())}},
         {"ReadonlyRootfs", true},
         {"Tmpfs", {{"/tmp", "size=64m,nosuid,nodev"}, {"/home/agent", "size=64m,nosuid,nodev,uid=1000,gid=1000"}}}});
    std::string said = TRY(run(config, kFirstStartMs, "starting " + provider + " --version in a container"));
    // finish() uses the same name again.
    TRY(engine_.remove_container(names_.trial));
    std::vector<Line> lines;
    for (const Line& line : lines_of(said.substr(0, 2000)))
      if (!line.empty() && lines.size() < kMostAnswered) lines.push_back(line);
    return lines;
  }

  // Runs the packages' own scripts as root, because root owns the files. They have no network, and their root is the
  // container's root. The agents' seccomp profile is not used here, because groupadd fails if it cannot open the
  // kernel's audit socket.
  Result<> finish() {
    json config =
        container_of(names_.unfinished, session_, {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"});
    config.update({{"Entrypoint", {"/bin/sh", "/var/lib/bottle/finish"}}, {"User", "0:0"}, {"WorkingDir", "/"}});
    TRY(run(config, kFinishMs, "configuring the Debian packages in a container"));
    return {};
  }

  // Writes the root file system of the last container to `archive`.
  Result<> export_to(const std::string& archive) {
    UniqueFd fd(::open(archive.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("creating " + archive);
    return engine_.export_container(names_.trial, [&](std::string_view bytes) { return write_all(fd.get(), bytes); });
  }

 private:
  // Returns the container's output on both streams. The container stays until it is removed.
  Result<std::string> run(const json& config, int patience_ms, const std::string& doing) {
    TRY(engine_.create_container(names_.trial, config));
    TRY(engine_.start_container(names_.trial));
    auto status = engine_.wait_container(names_.trial, patience_ms);
    if (!status && status.error().code == Code::timed_out)
      return fail(Code::timed_out, doing + ": it did not end within " + std::to_string(patience_ms / 1000) + " s");
    int code = TRY(std::move(status));
    std::string said = TRY(engine_.logs(names_.trial, kMostAnswered));
    if (code == 0) return said;
    return fail(Code::unavailable, doing + ": it ended with status " + std::to_string(code) +
                                       (said.empty() ? "" : ": " + folded(said, 400)));
  }

  docker::Engine& engine_;
  const Directories& directories_;
  std::string session_ = "build-" + random_hex(4);
  Names names_{session_};
};

// Runs the script that downloads the packages and the agent, and packs them into an archive. It executes nothing that
// it has downloaded.
Result<> unpack(const plan::Image& image, const BuildPlace& work, const std::string& archive, const Making& making) {
  const std::string script = work.path() + "/bootstrap.sh";
  TRY(write_file_atomically(script, bootstrap_script(), 0700));
  std::vector<std::string> argv = {"/bin/bash", script, image.provider, archive};
  if (!image.pin.version.empty()) argv.insert(argv.end(), {"--version", image.pin.version});
  if (!image.pin.integrity.empty()) argv.insert(argv.end(), {"--integrity", image.pin.integrity});
  // The script takes only words that have the form of a package's name.
  argv.insert(argv.end(), image.packages.begin(), image.packages.end());
  Builder builder{making};
  if (int status = TRY(builder.run(argv, work.path())); status != 0)
    return fail(Code::unavailable, "building the image for " + image.provider + " failed" + builder.why());
  return {};
}

// Performs the steps of docs/images.md, "How bottle builds an image". Nothing that was downloaded runs outside of a
// container.
Result<> bootstrap(docker::Engine& engine, const plan::Image& image, const Making& making) {
  BuildPlace work = TRY(BuildPlace::make());
  const std::string archive = work.path() + "/rootfs.tar";
  TRY(unpack(image, work, archive, making));
  // Nothing was installed from npm for the providers `shell` and `command`.
  Installed installed = read_installed(archive + ".agent");
  Scratch scratch(engine, making.directories);
  TRY(scratch.take(archive));
  if (!installed.package.empty()) {
    making.progress("starting " + image.provider + " once in a container without a network");
    for (const Line& line : TRY(scratch.ask_version(image.provider)))
      making.progress(image.provider + " says: " + line.text());
  }
  making.progress("configuring the Debian packages in a container without a network");
  TRY(scratch.finish());
  TRY(scratch.export_to(archive));
  making.progress("importing the image into the engine");
  return import(engine, archive, image.reference, labels_of(image.provider, installed));
}

}  // namespace

Result<> build_agent_image(docker::Engine& engine, const plan::Image& image, const Making& making) {
  if (image.recipe == plan::Image::Recipe::dockerfile) {
    making.progress("building " + image.reference + " from " + image.dockerfile);
    return build_dockerfile(engine, image, making);
  }
  making.progress("building the image " + image.reference + " (once; takes a minute or two)");
  return bootstrap(engine, image, making);
}

}  // namespace bottle::session
