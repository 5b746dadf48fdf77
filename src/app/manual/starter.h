// Declares the manifest that `bottle init` writes.
#pragma once

namespace bottle::app {

// The text is YAML with comments. A test parses it, and also the keys in its comments.
extern const char* const kStarter;

}  // namespace bottle::app
