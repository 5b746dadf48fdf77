// A machine for one session: made while the image is packed, its far side reached, the image brought; and destroyed.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "machine/destroy.h"
#include "machine/vm.h"
#include "remote/link/far_side.h"
#include "session/ledger/ledger.h"
#include "wire/job.h"
#include "wire/result.h"

namespace bottle::remote {

using session::Job, session::Token;

// A VM with a channel to its far side. It does not lead back to the operator, its engine answers, and has the agent's
// image; where the job is `unseen`, all that is for its hello to say, which has not come yet.
struct ReadyVm {
  machine::Vm vm;
  Far far;
  FarSide side;
  Channel channel;
  Token token;  // how the sign-in token gets there; Via::job: among the job's values
};

// Blocking, minutes. What is independent runs at once: the image is packed while the VM boots. The ledger has its name
// already. On error the VM may be there: destroy_session_vm() sees to it.
Result<ReadyVm> make_session_vm(const Job& job, const std::string& vm_name,
                                const std::function<void(const std::string&)>& progress);

// The hello of a VM from a baked disk: what the job rests on is there, and a secret may go there. `offline`: nothing
// leads out of it.
Result<> judge_baked(const std::optional<wire::Hello>& hello, const Job& job, const std::string& vm_name, bool offline);

// The same on a thread that nobody waits for: it takes minutes, and whoever gives up meanwhile destroys the VM.
class PendingVm {
 public:
  PendingVm(const Job& job, const std::string& vm_name);
  // What has happened since they were last asked for.
  std::vector<std::string> steps();
  // Empty until it is ready, or has failed; then once.
  std::optional<Result<ReadyVm>> look();

 private:
  struct Steps;
  std::shared_ptr<Steps> steps_;
  std::future<Result<ReadyVm>> ready_;
};

struct BakeJob {
  machine::VmSpec spec;
  Far far;                          // no target yet
  std::string engine;               // of this machine
  std::vector<std::string> images;  // which it has, by image_identity()
  std::string roots, before;        // PEM; what the provider called the image that this one replaces, or empty
};

// Makes a VM, gives it what a session needs, and has the provider keep its disk: what `options.image` names from now
// on. The VM is destroyed, whatever happened. Blocking, minutes.
Result<std::string> bake_vm(const BakeJob& bake, const std::function<void(const std::string&)>& progress);

// What a provider said of a VM's end, for the session's receipt.
wire::VmReceipt receipt_of(const machine::Destroyed& destroyed);

// Until the provider says that nothing is left of it. Blocking, minutes at most.
Result<machine::Destroyed> destroy_session_vm(const std::string& vm_name, const std::string& provider, const Job& job,
                                              const std::function<void(const std::string&)>& progress);

}  // namespace bottle::remote
