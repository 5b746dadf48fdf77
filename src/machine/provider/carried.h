// Gives access to the providers that are part of this program's file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::machine {

// Describes one file of a provider. Both views are valid as long as the program runs.
struct CarriedFile {
  std::string_view path;  // such as "qemu/create"
  std::string_view bytes;
};
// Return all files of all carried providers, and the providers' names, sorted.
std::vector<CarriedFile> carried_files();
std::vector<std::string> carried_providers();

// Returns the program that runs on the VM, with the dead-man switch and the host key. See vm_side.sh.
std::string_view vm_side_program();

// Writes the providers to `cache`/providers/<hash of the content>, mode 0700, unless they are already there byte for
// byte. Removes everything else from there. Returns the directory of that provider. Fails with Code::denied if other
// users can write to it.
Result<std::string> unpack_provider(const std::string& name, const std::string& cache);

// Fails with Code::denied, and says what to do, if a user other than this one and root may write to `path`.
Result<> only_ours(const std::string& path);

}  // namespace bottle::machine
