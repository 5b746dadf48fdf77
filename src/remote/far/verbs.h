// Declares the verbs of `bottle far`, which far.cc lists. Each runs in a process that ssh started, does one thing for
// the near side, and exits. All state is with the supervisor, with the engine and in the session's files. Each blocks,
// reads from stdin, and writes its answer to stdout.
//
// The near side is trusted: it is the operator's own program, signed in as this user.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "remote/far/far.h"
#include "remote/far/session_id.h"

namespace bottle::remote {

// -- far.cc

// Returns the error and what to do about it. The near side shows it as the reason of this machine.
std::string with_advice(const Error& why);

// Returns what the near side gets in place of a hello, without a line end.
std::string refusal(const Error& why);

// -- serve.cc

// Writes the hello, takes one job or attach, and then passes frames until either side closes. Returns the exit status;
// errors go to the near side as frames.
int serve(const FarWorld& world);

// -- work.cc: what the near side gives to a session and gets from it

// Receives a delta from the near side, restores the delivery, and passes it on to the session. The session's socket
// is opened only when the first restored byte is ready, because the kept data may turn out to be useless.
Result<> deliver(const FarWorld& world, const SessionId& which);

// Sends the files of a session that has ended, in the format of a delivery. `engine_id` is as in wire::Attach.
Result<> fetch(const FarWorld& world, const SessionId& which, const std::string& engine_id);

// Sends the present workspace, unless the caller already has the version with the fingerprint `known`.
Result<> checkpoint(const FarWorld& world, const SessionId& which, const std::string& known);

// Removes everything that this machine still has of a session: its results, and what its supervisor may have left.
// `is_home` says that the near side has the work. Without that, answers `forgotten: false` and fails with
// Code::conflict if this machine still has work of the session: the near side believes that its agent did not run.
Result<> forget(const FarWorld& world, const SessionId& which, bool is_home);

// -- prepare.cc: what the first session on this machine would have to wait for

// Lists the layers of this engine's images, so that the near side can leave them out of an image that it sends.
Result<> layers(const FarWorld& world);

// Makes in advance everything that the first session on this machine would have to make: the public roots (from
// stdin), the guard's image, and the egress network if the machine has a network.
Result<> warm(const FarWorld& world, bool offline);

// An image that the near side sends. Without a name, its name is its id.
struct SentImage {
  std::string name;
  std::string id;  // on the near side's engine
  size_t layers;   // how many it has, also those that are not sent; 0 if that is not known
  bool is_part;    // layers that this engine seems to have are not sent
};

// Loads an image from stdin, which the near side has compressed. The engine itself unpacks gzip. Answers "again" if
// only a part was sent and the engine may take the whole image. Fails with Code::protocol if the engine does not have
// all layers of a whole image.
Result<> load(const FarWorld& world, const SentImage& sent);

// Returns whether an engine that refuses a part of an image for this reason may take all of it. Exposed for tests.
bool all_layers_may_help(const Error& why);

// Adds the identities that images of this engine have on the engines that they were loaded from. `identities` is from
// session::image_identities().
void add_ids_elsewhere(const FarWorld& world, std::vector<std::string>& identities);

// Returns the path of the file that records which runtimes have been tried on this machine. It is beside the roots.
std::string runtimes_path(const FarWorld& world);

}  // namespace bottle::remote
