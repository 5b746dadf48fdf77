// Starts the supervisor as a detached process that reads its job from a socket pair. The launcher keeps the other
// end, over which it is then the session's first client.
#include "session/supervisor.h"

#include "base/os/descriptors.h"
#include "base/os/process.h"
#include "wire/frames/frames.h"

namespace bottle::session {

using wire::FrameType, wire::Job, wire::send_frame;

Result<UniqueFd> start_supervisor(const Job& job, const PassedChannel* channel) {
  auto socket = TRY(make_socket_pair());
  Command command;
  command.argv = {job.path_to_self, "supervise"};
  command.detached = true;  // it survives the end of the launcher's terminal
  if (channel) command.passed = {{channel->in, PassedChannel::kIn}, {channel->out, PassedChannel::kOut}};
  Child child = TRY(during("starting the supervisor",
                           Child::spawn(command, Child::from(socket.theirs.get()), Child::null(), Child::null())));
  // Without this, the launcher would not notice the supervisor's death, because the launcher itself would hold the
  // other end open.
  socket.theirs.reset();
  // The job goes over the socket, because other users could read a value in argv or the environment.
  TRY(send_frame(socket.ours.get(), FrameType::job, TRY(wire::encode_exactly(job))));
  return std::move(socket.ours);
}

}  // namespace bottle::session
