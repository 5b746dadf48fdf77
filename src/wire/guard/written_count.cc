#include "wire/guard/written_count.h"

namespace bottle::wire {

void fields(Object& o, WrittenCount& count) {
  o.number("bytes", count.bytes);
  o.flag("complete", count.complete);
}

}  // namespace bottle::wire
