// Reads a delivery from a machine that an agent may have taken over. The result must not be larger than
// the input stands for.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "base/files/file.h"
#include "base/unique_fd.h"
#include "transfer/delivery.h"

using namespace bottle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  UniqueFd fd(::memfd_create("delivery", MFD_CLOEXEC));
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!fd || !write_all(fd.get(), bytes) || ::lseek(fd.get(), 0, SEEK_SET) != 0) std::abort();
  std::string again;
  transfer::DeliveryWriter writer([&](std::string_view out) -> Result<> { return again += out, Result<>(); });
  size_t total = 0;
  auto read = transfer::read_delivery(
      fd.get(),
      [&](const std::string& to, const Source& source) -> Result<> {
        TRY(writer.begin(to));
        char buffer[777];
        for (size_t n; (n = TRY(source(buffer, sizeof buffer))) > 0; total += n) TRY(writer.data({buffer, n}));
        return writer.end_archive();
      },
      100);
  if (total > size / 4 * (1 << 20) + size) std::abort();  // four bytes can stand for a megabyte of zeros
  // A complete delivery must be readable again after it is written again.
  if (read) {
    if (!writer.finish() || ::ftruncate(fd.get(), 0) != 0 || ::lseek(fd.get(), 0, SEEK_SET) != 0 ||
        !write_all(fd.get(), again) || ::lseek(fd.get(), 0, SEEK_SET) != 0)
      std::abort();
    size_t twice = 0;
    auto back = transfer::read_delivery(
        fd.get(),
        [&](const std::string&, const Source& source) -> Result<> {
          char buffer[4096];
          for (size_t n; (n = TRY(source(buffer, sizeof buffer))) > 0;) twice += n;
          return {};
        },
        100);
    if (!back || twice != total) std::abort();
  }
  return 0;
}
