#include "wire/delivery/delivery.h"

namespace bottle::wire {

void fields(Object& o, DeliveryHeader& header) {
  o.text("to", header.to, kPath);
  bool ends = header.is_end();
  o.flag_if_set("end", ends);
  if (o.is_read() && ends != header.is_end()) o.refuse("end", "or to is required, and only one of them");
}

void fields(Object& o, KeepDelivery& keep) {
  o.text("name", keep.name, kName);
  o.text("seal", keep.seal, kName);
}

void fields(Object& o, ReuseKept& reuse) {
  o.text("key", reuse.key, kName);
  o.text("digest", reuse.digest, kName);
}

void fields(Object& o, PiecesHeader& header) {
  o.object("keep", header.keep);
  o.object("reuse", header.reuse);
}

}  // namespace bottle::wire
