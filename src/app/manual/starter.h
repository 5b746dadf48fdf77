// Contains the manifest that `bottle init` writes.
#pragma once

namespace bottle::app {

extern const char* const kStarter;

}  // namespace bottle::app
