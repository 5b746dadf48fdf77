// Copies an image's archive without the layers that the other engine has. An engine accepts an archive in which
// layers are missing if it has an image with the same lowest layers, in the same form. Each layer depends on those
// below it, so only a common beginning can be left out. The archive is copied entry by entry without parsing its
// content, in one pass over a temporary file.
#include "remote/near/transfers/image_layers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/defer.h"
#include "base/files/file.h"
#include "docker/answers.h"
#include "docker/tar/header.h"
#include "docker/tar/tar.h"
#include "session/images/own_images.h"

namespace bottle::remote {
namespace {

using nlohmann::json;

// Makes a temporary file without a name, which disappears with its descriptor.
Result<UniqueFd> spool() {
  const char* base = std::getenv("TMPDIR");
  // /tmp is in memory on many systems, and an image may have gigabytes.
  std::string path = std::string(base && *base == '/' ? base : "/var/tmp") + "/bottle-image-XXXXXX";
  UniqueFd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd) return fail_errno("creating a temporary file in " + path);
  ::unlink(path.c_str());
  return fd;
}

// Reads exactly `size` bytes at an offset, independent of the descriptor's position.
Result<> read_at(int fd, char* to, size_t size, uint64_t at) {
  while (size > 0) {
    ssize_t n = ::pread(fd, to, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading the image's archive");
    if (n == 0) return fail(Code::closed, "the image's archive is truncated");
    to += n;
    at += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return {};
}

// Returns the names of the layers' files from manifest.json, in the order of their digests.
Result<std::vector<std::string>> layer_files(int fd) {
  std::string text;
  bool wanted = false;
  // The index may be anywhere in the archive, so all of it is read.
  docker::TarReader reader({.entry = [&](const docker::TarEntry& entry) -> Result<> {
                              wanted = entry.path == "manifest.json";
                              return {};
                            },
                            .data = [&](std::string_view bytes) -> Result<> {
                              if (wanted) text.append(bytes);
                              return text.size() > (4u << 20) ? fail(Code::limit, "the image's index is too long")
                                                              : Result<>();
                            }});
  ::lseek(fd, 0, SEEK_SET);
  char buffer[256 << 10];
  while (size_t n = TRY(read_some(fd, buffer, "reading the image"))) TRY(reader.feed({buffer, n}));
  auto manifest = json::parse(text, nullptr, false);
  // The archive was saved for one image, so its index has one entry.
  json layers = manifest.is_array() && manifest.size() == 1 ? docker::member(manifest[0], "Layers") : json();
  if (!layers.is_array() || !std::ranges::all_of(layers, [](const json& layer) { return layer.is_string(); }))
    return fail(Code::protocol, "the image's archive has no index");
  return layers.get<std::vector<std::string>>();
}

// Compresses on the way, because an uplink is slower than a processor core.
class Gzip {
 public:
  explicit Gzip(Sink to) : to_(std::move(to)) { ::deflateInit2(&z_, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY); }
  ~Gzip() { ::deflateEnd(&z_); }
  Result<> write(std::string_view bytes) { return pump(bytes, Z_NO_FLUSH); }
  Result<> finish() { return pump({}, Z_FINISH); }

 private:
  Result<> pump(std::string_view bytes, int flush) {
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z_.avail_in = static_cast<uInt>(bytes.size());
    do {
      char out[128 << 10];
      z_.next_out = reinterpret_cast<Bytef*>(out);
      z_.avail_out = sizeof out;
      if (::deflate(&z_, flush) == Z_STREAM_ERROR) return fail(Code::internal, "compressing the image");
      if (size_t n = sizeof out - z_.avail_out) TRY(to_({out, n}));
      // A full buffer means that there may be more output for the same input.
    } while (z_.avail_out == 0);
    return {};
  }
  Sink to_;
  z_stream z_{};
};

}  // namespace

bool has_image(const wire::Hello& hello, const std::string& identity) {
  return session::has_identity(hello.images, identity);
}

size_t shared_layers(const std::vector<std::string>& layers, const wire::ImageLayers& there) {
  size_t most = 0;
  for (const auto& image : there.images) {
    // Counts from the lowest layer up to the first difference.
    auto same = std::ranges::mismatch(layers, image.layers).in1 - layers.begin();
    most = std::max(most, static_cast<size_t>(same));
  }
  return most;
}

Result<> copy_archive(int from, const std::set<std::string>& leave_out, const Sink& to) {
  uint64_t at = 0, entry = 0;  // where the present entry begins; its extended headers belong to it
  auto copy = [&](uint64_t begin, uint64_t end) -> Result<> {
    char buffer[256 << 10];
    while (begin < end) {
      size_t n = static_cast<size_t>(std::min<uint64_t>(sizeof buffer, end - begin));
      TRY(read_at(from, buffer, n, begin));
      TRY(to({buffer, n}));
      begin += n;
    }
    return {};
  };
  for (char block[docker::kTarBlock];;) {
    TRY(read_at(from, block, sizeof block, at));
    if (docker::is_empty_block({block, sizeof block})) break;
    docker::TarHeader header = TRY(docker::parse_tar_header({block, sizeof block}));
    // This limit keeps the sums below from overflowing.
    if (header.size > (1ull << 40)) return fail(Code::protocol, "the image's archive is malformed");
    uint64_t next = at + docker::kTarBlock + header.size + docker::tar_padding(header.size);
    if (docker::is_tar_extension(header.type)) {
      at = next;
      continue;
    }
    // Copies the entry with the extended headers before it, so they stay together.
    if (!leave_out.contains(header.path)) TRY(copy(entry, next));
    entry = at = next;
  }
  // An archive ends with two empty blocks (POSIX ustar).
  return to(std::string(2 * docker::kTarBlock, '\0'));
}

Result<UniqueFd> spool_image(docker::Engine& engine, const std::string& reference) {
  UniqueFd file = TRY(spool());
  TRY(engine.save_image(reference, [&](std::string_view bytes) { return write_all(file.get(), bytes); }));
  return file;
}

Result<> send_image(int archive, const std::string& identity, const std::vector<std::string>& layers, FarSide& far,
                    const Progress& progress) {
  const std::string reference = session::reference_of(identity);
  auto asked = TRY(far.ask({"layers"}));
  // If the answer cannot be read, all layers are sent.
  auto there = wire::decode<wire::ImageLayers>(asked.out, wire::From::foreign).value_or(wire::ImageLayers());
  auto files = TRY(layer_files(archive));
  auto send = [&](size_t shared) -> Result<FarSide::Taken> {
    std::set<std::string> leave_out(files.begin(), files.begin() + static_cast<long>(shared));
    for (size_t i = shared; i < files.size(); ++i) leave_out.erase(files[i]);  // two layers may have the same file
    struct stat st{};
    ::fstat(archive, &st);
    progress("sending the image " + reference + " (" + std::to_string(st.st_size >> 20) +
             " MB before compression, once; " + std::to_string(layers.size() - shared) + " of " +
             std::to_string(layers.size()) + " layers)");
    return far.offer(
        {"load", reference, session::id_in(identity), std::to_string(layers.size()), shared == 0 ? "whole" : "part"},
        [&](const Sink& sink) -> Result<> {
          Gzip gzip(sink);
          TRY(copy_archive(archive, leave_out, [&](std::string_view bytes) { return gzip.write(bytes); }));
          return gzip.finish();
        });
  };
  // The other machine's list is not trusted. With a wrong one, its engine does not get the whole image.
  size_t shared = std::min(shared_layers(layers, there), files.size());
  // The far side says whether all layers may help, because only it knows the reason. The image can have gigabytes.
  auto taken = TRY(send(shared));
  if (taken == FarSide::Taken::again && shared > 0) taken = TRY(send(0));
  if (taken == FarSide::Taken::yes) return {};
  return fail(Code::protocol, "the machine asks for the whole image, which it was sent");
}

}  // namespace bottle::remote
