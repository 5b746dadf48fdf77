// Checks that every name gets a verdict and that the domain is the end of the name.
#include <cstdlib>

#include "scan/dns/dns_name.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  using namespace bottle::scan;
  std::string_view name(reinterpret_cast<const char*>(data), size);
  std::string_view domain = registered_domain(name), bare = name;
  if (bare.ends_with('.')) bare.remove_suffix(1);
  if (!bare.ends_with(domain)) std::abort();
  if (carries_data(name).size() > 60) std::abort();
  static NameHistory history;
  history.too_many(name, {});
  return 0;
}
