#include "wire/machine/passed_trials.h"

namespace bottle::wire {

void fields(Object& o, PassedTrials& passed) {
  o.passes_over_unknown_keys();
  o.table("passed", passed.runtimes, kFew, kName);
}

}  // namespace bottle::wire
