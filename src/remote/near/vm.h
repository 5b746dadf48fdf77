// Makes a VM for one session and destroys it. The VM is created while the image is packed, then the far side is reached
// and the image is sent.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "machine/destroy.h"
#include "machine/vm.h"
#include "remote/link/far_side.h"
#include "session/ledger/ledger.h"
#include "wire/result.h"
#include "wire/start/job.h"

namespace bottle::remote {

using wire::Job, wire::Token;

// Holds a VM with a channel to its far side. No address of the VM's network leads back to the operator, its engine
// answers, and it has the agent's image. If the job's task is begin_unseen, the hello has not come yet, and all of this
// must still be judged from it.
struct ReadyVm {
  machine::Vm vm;
  MachineAddress address;
  FarSide side;
  Channel channel;
  Token token;  // how the sign-in token gets to the VM; Via::job means among the job's values
};

// Makes the VM for a session. Blocks for minutes. Independent steps run in parallel: the image is packed while the VM
// boots. The VM's name must already be in the ledger. After an error the VM may exist, and destroy_session_vm()
// destroys it.
Result<ReadyVm> make_session_vm(const Job& job, const std::string& vm_name, const Progress& progress);

// Judges the hello of a VM from a baked disk: the VM must have what the job needs, and secrets may be sent to it.
// `offline` says that the VM has no network.
Result<> judge_baked(const std::optional<wire::Hello>& hello, const Job& job, const std::string& vm_name, bool offline);

// Makes a session's VM in a thread that is never joined, because that takes minutes. A caller that gives up in the
// meantime destroys the VM.
class PendingVm {
 public:
  PendingVm(const Job& job, const std::string& vm_name);
  // Returns the steps since the last call.
  std::vector<std::string> steps();
  // Returns the VM or the error once, and an empty value before that.
  std::optional<Result<ReadyVm>> result();

 private:
  struct Steps;
  std::shared_ptr<Steps> steps_;
  std::future<Result<ReadyVm>> ready_;
};

// Describes what `bottle vm bake` makes.
struct BakeJob {
  machine::VmSpec spec;
  MachineAddress address;           // has no target yet
  std::string engine;               // the socket of this machine's engine
  std::vector<std::string> images;  // images of that engine that the disk will have, by image_identity()
  std::string roots, before;        // `roots` is PEM; `before` names the image that this one replaces, or is empty
  std::function<Result<>(const std::string& image)> keep = {};  // records the disk, as soon as it exists
};

// Makes a VM, gives it what a session needs, and has the provider keep its disk. Returns the provider's name for the
// disk, for `options.image`. The VM is always destroyed. Blocks for minutes. A stop in the VM's limits ends it, except
// while the provider keeps the disk, because the disk would then exist without a record.
Result<std::string> bake_vm(const BakeJob& bake, const Progress& progress);

// Returns what a provider reported about a VM's end, for the session's receipt.
wire::VmReceipt receipt_of(const machine::Destroyed& destroyed);

// Destroys the VM. Blocks until the provider reports that nothing is left of it, for minutes at most.
Result<machine::Destroyed> destroy_session_vm(const std::string& vm_name, const std::string& provider, const Job& job,
                                              const Progress& progress);

}  // namespace bottle::remote
