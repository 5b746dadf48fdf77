// This file is the process of the guard: its control channel, listeners, signals and single loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "guard/core/context.h"
#include "guard/dns_server.h"
#include "wire/guard/control.h"

namespace bottle::guard {

struct Options {
  int config_fd = -1;  // -1 means that the control channel is on stdin and stdout
  int audit_fd = -1, ca_out_fd = -1;
  int connections_fd =
      -1;  // a socket that receives connections, one descriptor per message, if the guard does not listen
};

class Server {
 public:
  explicit Server(Options options) : options_(options), dns_(context_) {}
  // Runs until SIGTERM, SIGINT, a message to shut down, or the end of stdin. Returns the exit status.
  int run();

 private:
  struct Listener {
    policy::Endpoint at;
    std::unique_ptr<Source> source;
  };
  Result<> configure(const wire::GuardConfig& wanted);
  Result<> listen(const Config& config);
  Result<> stand_alone();
  void accept(Source& listener);
  void take_connections();
  void read_control();
  void take(const wire::Configure& message);
  void take(const wire::Certificate& message);
  void take(const wire::NearSideUp& message);
  void take(const wire::AgentAnswer& answer);
  void take(const wire::StreamPart& part);
  void take(const wire::Shutdown&);
  void say(wire::FromGuard message);
  std::string listening() const;

  Options options_;
  Context context_;
  DnsServer dns_;
  std::vector<Listener> listeners_, retired_;
  Source control_, signals_, connections_;
  std::string control_in_;
  bool accepting_ = true;
  int64_t pause_until_ = 0;
};

}  // namespace bottle::guard
