// Defines what a remote machine says about itself: facts for the plan and for `bottle remote check`, which are read
// before a secret goes to that machine. An agent may have taken over the machine, so none of the facts can be
// trusted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Distinguishes kinds of network interfaces. A `vpn` interface is recognized only by its name, which a VPN program
// uses.
enum class InterfaceKind : uint8_t { bridge, tun, wireguard, overlay, ppp, vpn, other };
// Returns the word for a kind in messages and findings.
std::string word_of(InterfaceKind kind);

// Describes a network interface of that machine, without addresses.
struct Interface {
  std::string name;
  InterfaceKind kind = InterfaceKind::other;
};

// Holds an entry of that machine's routing table.
struct Route {
  std::string device, to;  // `to` is a network such as "10.0.0.0/8"
};

// Describes the container engine on that machine.
struct EngineHello {
  std::string socket, api, version;
  bool rootless = false;
  std::vector<std::string> runtimes;
  std::string cgroup, cgroup_driver, storage;  // `cgroup` is the version
  bool memory_limit = false, cpu_limit = false, pids_limit = false,
       seccomp = false;  // whether the engine supports each of these
  std::string id = {};   // EngineStorage::id; empty if the engine, or an earlier version of bottle, did not say
};

// Holds the first line of the far side. remote/link/findings.h judges it. It decides only whether to continue.
struct Hello {
  static constexpr const char* kName = "hello";
  static constexpr size_t kMost = 1 << 20;
  uint32_t uid = 0, gid = 0;
  std::string kernel, machine;         // `machine` is x86_64 or aarch64
  int64_t clock_ms = 0;                // since 1970
  uint64_t memory = 0, disk_free = 0;  // in bytes
  uint32_t cpus = 0;
  std::vector<Interface> interfaces;
  std::vector<Route> routes;
  std::vector<std::string> images;  // image_identity() of each image
  bool mosh = false;                // whether there is a mosh-server
  bool token = false;               // whether a token arrived by ssh's SendEnv
  std::string roots;                // content hash of the public roots that it keeps; empty if it keeps none
  double engine_at = 0;             // when its engine first answered, in seconds since 1970; 0 if it was not asked
  Result<EngineHello> engine;       // fails if the engine does not answer, or if there is none
};
// Refuses a hello of another version of the protocol.
void fields(Object& o, Hello& hello);

// Holds what sh(1) reports on a remote machine that does not have the program.
struct Absent {
  static constexpr const char* kName = "answer";
  static constexpr size_t kMost = Hello::kMost;
  std::string machine, system;  // output of uname -m and -s
};
void fields(Object& o, Absent& absent);

// Says why the far side serves no session. The far side sends it in place of a hello.
struct Refused {
  static constexpr const char* kName = "answer";
  static constexpr size_t kMost = Hello::kMost;
  std::string what, todo;  // as in Error
};
void fields(Object& o, Refused& refused);

// Decodes the first line from a remote machine.
Result<std::variant<Hello, Absent, Refused>> decode_greeting(std::string_view line);

// Keeps the last hello of a machine for the next start.
struct KnownMachine {
  static constexpr const char* kName = "memory of a machine";
  static constexpr size_t kMost = 2 << 20;
  int64_t learned_ms = 0;  // milliseconds since 1970 by this machine's clock
  Hello hello;
};
void fields(Object& o, KnownMachine& known);

// Lists the layers of the images that a machine has, so that they need not be sent again.
struct ImageLayers {
  static constexpr const char* kName = "list of layers";
  static constexpr size_t kMost = 8 << 20;
  // Describes one image of that machine's engine.
  struct Image {
    std::vector<std::string> layers;  // digests, lowest first
  };
  std::vector<Image> images;
};
void fields(Object& o, ImageLayers& layers);

}  // namespace bottle::wire
