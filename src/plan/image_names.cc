// Derives the tag of an image from everything that determines its content, so that a start finds an image that fits,
// or none. Whatever is not a part of the tag, such as the newest version of an agent, needs `bottle image build
// --refresh`.
#include "plan/image_names.h"

#include "base/ids.h"
#include "manifest/manifest.h"

namespace bottle::plan {

std::string dockerfile_reference(const std::string& path, const std::string& hash, const ImageFacts& facts) {
  return "bottle-agent-dockerfile:" + content_hash(path + '\n' + hash + '\n' + facts.architecture);
}

// Without a pin, the version is not in the tag, because the newest one is known only once the image is built.
Image bootstrap_image(const std::string& provider, const std::vector<std::string>& packages, const manifest::Pin& pin,
                      const ImageFacts& facts) {
  std::string all = facts.bootstrap_hash + '\n' + facts.architecture + '\n' + provider + '\n';
  for (const auto& package : packages) all += package + '\n';
  // The word "version" keeps a version from looking like another package.
  if (!pin.version.empty()) all += "version " + pin.version + '\n' + pin.integrity + '\n';
  return {.reference = "bottle-agent-" + provider + ":" + content_hash(all),
          .recipe = Image::Recipe::bootstrap,
          .provider = provider,
          .packages = packages,
          .pin = pin};
}

std::vector<std::string> current_images(const manifest::Manifest& manifest, const ImageFacts& facts) {
  std::vector<std::string> references;
  // `bottle image` may build an image for any provider without an agent in the manifest, so every provider is paired
  // with every set of packages, and with none.
  std::vector<std::vector<std::string>> package_sets = {{}};
  for (const auto& [name, bottle] : manifest.bottles) {
    package_sets.push_back(bottle.packages);
    if (auto content = facts.dockerfiles.find(bottle.dockerfile); content != facts.dockerfiles.end())
      references.push_back(dockerfile_reference(content->first, content->second, facts));
  }
  for (const char* provider : {"claude", "codex", "shell", "command"})
    for (const auto& packages : package_sets)
      references.push_back(bootstrap_image(provider, packages, {}, facts).reference);
  // Agents that pin a version need additional images.
  for (const auto& [name, agent] : manifest.agents)
    if (auto bottle = manifest.bottles.find(agent.bottle); bottle != manifest.bottles.end())
      references.push_back(bootstrap_image(agent.provider, bottle->second.packages, agent.pin, facts).reference);
  return references;
}

}  // namespace bottle::plan
