// Declares the label by which a user's VMs are recognized at a provider.
#pragma once

#include <string>

#include "base/files/directories.h"

namespace bottle::machine {

// Returns the label of everything that this user makes on this machine. It does not reveal who the user is.
std::string owner_label(const Directories& directories);

}  // namespace bottle::machine
