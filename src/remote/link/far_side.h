// Reaches a bottle on another machine: makes the connections, installs the program on that
// machine, and opens the channel to a session. Everything that comes over it is hostile, because
// the agent may have taken over that machine. It is limited in size, parsed strictly and cleaned
// (wire/codec, far_message.h) before a person sees it. Nothing in it decides what is done on this
// machine.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/os/process.h"
#include "base/os/this_program.h"
#include "base/progress.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "ssh/connection.h"
#include "wire/start/hello.h"
#include "wire/start/job.h"

namespace bottle::remote {

// How many bytes of a remote machine's reason the near side repeats. A lower limit could cut off its advice.
inline constexpr size_t kMostOfReason = 1500;

using wire::MachineAddress;

// Holds a running `bottle far serve`.
struct Channel {
  UniqueFd in, out;                       // we write to `in` and read from `out`
  std::optional<Child> ssh{};             // carries the channel; detached, so it survives if the channel is passed on
  std::optional<wire::Hello> hello = {};  // empty if it is still to be read, as one line, before anything else
};
constexpr size_t kLongestHello = wire::Hello::kMost;

// Stands for one machine, with up to two ssh connections to it: one for the session, and one for bulk data, so that
// an archive does not delay keystrokes. Copies share the connections. The destructor does not end them.
class FarSide {
 public:
  // Says how to connect.
  struct Reaching {
    bool interactive = false;   // ssh may ask questions
    Progress progress = {};     // called for steps that take long
    std::stop_token stop = {};  // ends every wait of the object with Code::canceled
    // Where the programs for machines of other architectures are, such as bottle-linux-aarch64.
    std::string programs = directory_of_self();
  };
  // Connects, or finds the existing connection. Blocks.
  static Result<FarSide> reach(const MachineAddress& address, Reaching how);
  static Result<FarSide> reach(const MachineAddress& address) { return reach(address, {}); }

  // Says how to start the far side.
  struct Serving {
    std::map<std::string, std::string> send_env = {};  // for ssh to send; the far side may drop them without an error
    bool await_engine = false;  // the hello comes only once the engine answers: minutes on a machine that boots
  };
  // Starts `bottle far serve` and reads its hello. Sends the program first if the machine lacks it. Fails with
  // Code::invalid if the machine has another architecture.
  Result<Channel> serve(const Serving& serving);
  Result<Channel> serve() { return serve({}); }
  // Does the same without waiting for the hello. If the machine has the program, bytes that are written to the
  // channel wait until the program reads them.
  Result<Channel> begin_serve(const Serving& serving);
  Result<Channel> begin_serve() { return begin_serve({}); }

  // Runs `bottle far WORDS` over the connection for bulk data, which is made at its first use. Fails with
  // Code::unavailable if ssh itself failed, because then the machine may have done nothing. Sends the program first if
  // the machine lacks it.
  Result<Captured> ask(const std::vector<std::string>& words, int timeout_ms = 60000);
  // Does the same and streams bytes to its stdin. Its answer must be "ok". `stop` ends it immediately; without one, the
  // stop of reach() does.
  Result<> send(const std::vector<std::string>& words, const std::function<Result<>(const Sink&)>& produce,
                std::stop_token stop = {});
  // Does the same, but the answer may also be "again": the far side does not have what the bytes build on.
  enum class Taken { yes, again };
  Result<Taken> offer(const std::vector<std::string>& words, const std::function<Result<>(const Sink&)>& produce,
                      std::stop_token stop = {});
  // Does the same and reads a delivery that comes back, with limits on its bytes and its time: `most` for the archives,
  // without blocks of zeros, and some more for the rest. Fails with Code::limit or Code::timed_out if it exceeds them.
  // `is_gone` returns true if nothing more will come. If the machine lacks the
  // program, sends it and fails with Code::unavailable, so that the next attempt succeeds.
  Result<> fetch(
      const std::vector<std::string>& words,
      const std::function<Result<>(const std::string& name, const Source& source)>& put,
      const std::function<bool()>& is_gone = [] { return false; }, uint64_t most = kMostFetched);
  static constexpr uint64_t kMostFetched = 16ull << 30;

  // Returns the connection for the session. bulk() returns the one for bulk data and makes it if needed; it blocks
  // meanwhile.
  const ssh::Connection& connection() const { return main_; }
  // Returns the line for the far side's sh that runs `bottle far WORDS`. If the machine lacks the program, it prints
  // wire::Absent and exits with kAbsentStatus.
  std::string line_for(const std::vector<std::string>& words) const;
  static constexpr int kAbsentStatus = 3;  // `bottle far` itself exits with 0 or 1
  Result<ssh::Connection> bulk();
  // Drop the connections. drop_dead() keeps those over which the machine answers, and blocks for 10 s at most. Call it
  // after the network may have changed, because a connection may then be dead although ssh has not noticed. drop() also
  // ends the other sessions' use of them.
  void drop_dead();
  void drop();

 private:
  FarSide(MachineAddress address, ssh::Connection main) : address_(std::move(address)), main_(std::move(main)) {}
  ssh::Options bulk_options() const;
  Result<> ship_program(const std::string& machine);
  // Ships the program that the answer of line_for() asks for.
  Result<> ship_to_absent(const std::string& answer);
  MachineAddress address_;
  ssh::Connection main_;
  Progress progress_;
  std::stop_token stop_;
  std::string programs_;
};

// Returns the error for a machine whose answer does not begin with bottle's hello but with this line. Exposed for
// tests.
Error explain_answer(const ssh::Target& machine, const std::string& line);

// Returns a command for sh that removes the programs in $d that have not been used for 90 days, and what broken
// connections left of others. It always succeeds. Exposed for tests.
std::string removal_of_old_programs();

// These functions return this program's own bytes, and a hash of them that is computed once.
Result<std::string> own_program();
Result<std::string> own_hash();

// Returns the bytes of the program that a machine needs as its far side: this program if it is for Linux and the same
// processor, otherwise bottle-linux-ARCHITECTURE in `directory`. `machine` is what uname -m prints on that machine,
// which is not trusted. Fails with Code::not_found if the file is missing, with Code::denied if another user may have
// written it, and with Code::invalid if the architecture is unknown.
Result<std::string> program_for_far_side(const std::string& machine, const std::string& directory);

}  // namespace bottle::remote
