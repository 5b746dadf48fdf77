// The providers that this program carries within itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::machine {

struct CarriedFile {
  std::string_view path;  // "qemu/create"
  std::string_view bytes;
};
std::vector<CarriedFile> carried_files();
std::vector<std::string> carried_providers();

// The program of the VM itself: dead-man switch, host key. See vm_side.sh.
std::string_view vm_side_program();

// Writes them to `cache`/providers/<hash of the content>, mode 0700, unless they are there already byte for byte, and
// gives the folder of that provider. Code::denied where others could have written there.
Result<std::string> unpack_provider(const std::string& name, const std::string& cache);

// Whether only this user (or root) may write there; else Code::denied with what to do.
Result<> only_ours(const std::string& path);

}  // namespace bottle::machine
