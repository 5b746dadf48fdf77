#include "wire/machine/passed_trials.h"

namespace bottle::wire {

void fields(Object& o, PassedTrials& passed) { o.table("passed", passed.runtimes, kFew, kName); }

}  // namespace bottle::wire
