// An image to another machine's engine: only the layers it lacks.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"
#include "docker/engine.h"
#include "remote/link/far_side.h"

namespace bottle::remote {

// How many of `layers` (digests, lowest first) stand at the bottom of some image of `there`.
size_t shared_layers(const std::vector<std::string>& layers, const wire::ImageLayers& there);

// Whether a machine's hello names the image: image_identity(), or, where only that is known, its name.
bool has_image(const wire::Hello& hello, const std::string& identity);

// Copies the archive of an image (`docker save`), without the entries named in `leave_out`. Pure but for the
// descriptors.
Result<> copy_archive(int from, const std::set<std::string>& leave_out, const Sink& to);

// The archive in a temporary file without a name, since its index may come last. Blocking.
Result<UniqueFd> spool_image(docker::Engine& engine, const std::string& reference);

// Blocking. `archive`: from spool_image.
Result<> send_image(int archive, const std::string& reference, const std::vector<std::string>& layers, FarSide& far,
                    const std::function<void(const std::string&)>& progress);

}  // namespace bottle::remote
