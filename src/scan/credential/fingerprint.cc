#include "scan/credential/fingerprint.h"

#include "base/ids.h"
#include "pki/seal.h"

namespace bottle::scan {

std::string fingerprint(std::string_view value) { return to_hex(std::string_view(pki::digest(value)).substr(0, 6)); }

}  // namespace bottle::scan
