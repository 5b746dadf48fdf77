// Contains the manifest that `bottle init` writes.
#pragma once

namespace bottle::app {

// The text is YAML with comments. A test parses it and what its comments offer.
extern const char* const kStarter;

}  // namespace bottle::app
