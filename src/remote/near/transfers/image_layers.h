// Sends an image to another machine's engine, with only the layers that it lacks.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/progress.h"
#include "base/stream.h"
#include "docker/engine.h"
#include "remote/link/far_side.h"

namespace bottle::remote {

// Returns how many of `layers` (digests, lowest first) are also the lowest layers of an image in `there`.
size_t shared_layers(const std::vector<std::string>& layers, const wire::ImageLayers& there);

// Returns whether a machine's hello names the image. `identity` is from image_identity(), or only the name if nothing
// more is known.
bool has_image(const wire::Hello& hello, const std::string& identity);

// Copies the archive of an image (`docker save`) without the entries named in `leave_out`. It has no effect except on
// the descriptors.
Result<> copy_archive(int from, const std::set<std::string>& leave_out, const Sink& to);

// Saves the image's archive to a temporary file without a name, because the archive's index may come last. Blocks.
Result<UniqueFd> spool_image(docker::Engine& engine, const std::string& reference);

// Sends the layers that the machine lacks, or all of them if its engine cannot make the image from those. Blocks.
// `archive` is from spool_image(), and `identity` from session::image_identity().
Result<> send_image(int archive, const std::string& identity, const std::vector<std::string>& layers, FarSide& far,
                    const Progress& progress);

}  // namespace bottle::remote
