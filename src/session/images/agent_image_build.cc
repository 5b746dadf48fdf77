// A build downloads on this machine and runs in containers. images/bootstrap.sh fetches packages and the agent's
// program with the machine's own package managers and unpacks them into an archive, without running any of it. The
// engine imports the archive under a scratch name. The program starts for the first time in a container without a
// network, and then the packages' scripts run in another one. The root file system of that container is exported, and
// imported again under the name that the plan gave the image. No image gets that name before every step has
// succeeded, so a build that fails or is killed leaves an older image in its place.
//
// What a build puts on the engine is recorded (build_scratch.h). What it puts on the disk is in one directory
// (build_place.h).
#include "session/images/agent_image_build.h"

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "base/files/file.h"
#include "base/os/process.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "session/images/agent_image.h"
#include "session/images/build_place.h"
#include "session/images/build_scratch.h"

namespace bottle::session {
namespace {

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
  std::string directory = parent_of(image.dockerfile);
  // The engine is named explicitly, because the docker command may have another context or DOCKER_HOST. Words after
  // "--" cannot be mistaken for options.
  std::vector<std::string> argv = {"docker",
                                   "-H",
                                   "unix://" + engine.socket(),
                                   "build",
                                   "--force-rm",
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
  BuildScratch scratch(engine, making.directories);
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
  return import_archive(engine, archive, image.reference, labels_of(image.provider, installed));
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
