// Lists the fields of limits, prices and usage. An absent quantity and 0 both mean that there is no limit.
#include "wire/guard/usage.h"

namespace bottle::wire {

void fields(Object& o, GuardLimit& limit) {
  for (size_t i = 0; i < kQuantities.size(); ++i)
    // 0 means no limit, so such a quantity is left out.
    o.number_if_set(kQuantities[i], limit.most[i]);
}

void fields(Object& o, GuardPrice& price) {
  o.text("model", price.model, kName);
  o.number("input", price.input);
  o.number("output", price.output);
  o.number("cache_read", price.cache_read);
  o.number("cache_write", price.cache_write);
}

void fields(Object& o, HostUsage& usage) {
  o.words("host", usage.host, 600);
  o.number("names", usage.names);
  o.number("requests", usage.requests);
  o.number("bytes_up", usage.bytes_up);
  o.number("tokens_in", usage.tokens_in);
  o.number("tokens_out", usage.tokens_out);
  o.number("cost", usage.cost);
}

void fields(Object& o, KeptUsage& kept) { o.objects("hosts", kept.hosts, kMany); }

}  // namespace bottle::wire
