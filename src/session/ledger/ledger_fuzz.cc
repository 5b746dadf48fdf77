// Checks that the parser returns only things that a session of the ledger's name makes, whatever the ledger contains.
#include <cstdlib>

#include "base/ids.h"
#include "session/credentials/session_agent.h"
#include "session/ledger/ledger.h"
#include "session/ledger/names.h"

using namespace bottle::session;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  LedgerFrame frame{"x1", "/state/sessions/x1", "/state/results/x1"};
  auto view = parse_ledger(std::string(reinterpret_cast<const char*>(data), size), frame);
  if (!view) return 0;
  for (const auto& thing : view->things)
    if (!Names("x1").has(thing) && thing.name != SessionAgent::socket_in(frame.directory)) std::abort();
  if (view->work && (view->work->results != frame.results || !view->work->source.starts_with('/'))) std::abort();
  if (view->vm && !bottle::is_session_name(view->vm->name)) std::abort();
  return 0;
}
