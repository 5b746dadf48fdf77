#include "wire/delivery/delivery.h"

namespace bottle::wire {

void fields(Object& o, DeliveryHeader& header) {
  o.text("to", header.to, kPath);
  bool ends = header.is_end();
  if (o.optional("end", ends)) o.flag("end", ends);
  if (o.is_read() && ends != header.is_end()) o.refuse("end", "or to is required, and only one of them");
}

}  // namespace bottle::wire
