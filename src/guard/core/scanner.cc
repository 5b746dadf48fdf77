#include "guard/core/scanner.h"

#include <algorithm>

#include "scan/credential/fingerprint.h"

namespace bottle::guard {

Result<std::unique_ptr<Scanner>> Scanner::make(const Secrets& secrets, const std::vector<wire::GuardKnownSecret>& known,
                                               const std::vector<std::string>& allowed) {
  auto catalog = TRY(scan::Catalog::builtin());
  for (const Secret& secret : secrets.list()) {
    catalog.add_known(secret.name, secret.value);
    // A secret with a name is reported by its name and not by its form. A placeholder is worthless.
    if (!secret.value.empty()) catalog.allow(scan::fingerprint(secret.value));
    if (!secret.placeholder.empty()) catalog.allow(scan::fingerprint(secret.placeholder));
  }
  for (const auto& each : known) {
    catalog.add_known(each.name, each.value);
    catalog.allow(scan::fingerprint(each.value));
  }
  catalog.build();
  for (const std::string& print : allowed) {
    bool valid = print.size() == 12 && print.find_first_not_of("0123456789abcdef") == print.npos;
    if (!valid) return fail(Code::invalid, "\"" + print + "\" is not a fingerprint of 12 hexadecimal digits");
    catalog.allow(print);
  }
  return std::unique_ptr<Scanner>(new Scanner(std::move(catalog)));
}

}  // namespace bottle::guard
