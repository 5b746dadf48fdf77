// What another machine says of itself: facts for the plan, for `bottle remote check`, and before a secret goes there.
// The machine may have been taken by an agent: none of it is more than its word.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

struct Interface {
  std::string name, kind;  // kind: bridge, tun, wireguard, overlay, ppp, vpn, other
};

struct Route {
  std::string device, to;  // to: "10.0.0.0/8"
};

// The container engine there.
struct EngineHello {
  std::string error, todo;  // why there is none; then nothing else is known of it
  std::string socket, api, version;
  bool rootless = false;
  std::vector<std::string> runtimes;
  std::string cgroup, cgroup_driver, storage;                                         // cgroup: the version
  bool memory_limit = false, cpu_limit = false, pids_limit = false, seccomp = false;  // whether it can
};

struct Hello {
  static constexpr const char* kName = "hello";
  static constexpr size_t kMost = 1 << 20;
  uint32_t uid = 0, gid = 0;
  std::string kernel, machine;         // machine: x86_64, aarch64
  int64_t clock_ms = 0;                // since 1970
  uint64_t memory = 0, disk_free = 0;  // bytes
  uint32_t cpus = 0;
  std::vector<Interface> interfaces;
  std::vector<Route> routes;
  std::vector<std::string> images;  // image_identity() of each
  bool mosh = false;                // there is a mosh-server
  bool token = false;               // a token came by ssh's SendEnv
  std::string roots;                // content hash of the public roots that it keeps; empty: none
  double engine_at = 0;             // since when its engine answers, in seconds since 1970; 0: it was not asked
  EngineHello engine;
};
void fields(Object& o, Hello& hello);

// What sh says there where the program is missing.
struct Absent {
  static constexpr const char* kName = "answer";
  static constexpr size_t kMost = Hello::kMost;
  std::string machine, system;  // uname -m, -s
};
void fields(Object& o, Absent& absent);

// The first line from another machine.
Result<std::variant<Hello, Absent>> decode_greeting(std::string_view line);

// The hello that a machine said the last time, for the start to come.
struct KnownMachine {
  static constexpr const char* kName = "memory of a machine";
  static constexpr size_t kMost = 2 << 20;
  int64_t learned_ms = 0;  // since 1970, by this machine's clock
  Hello hello;
};
void fields(Object& o, KnownMachine& known);

// The layers of the images that a machine has, so that they are not sent again.
struct ImageLayers {
  static constexpr const char* kName = "list of layers";
  static constexpr size_t kMost = 8 << 20;
  struct Image {
    std::vector<std::string> layers;  // digests, lowest first
  };
  std::vector<Image> images;
};
void fields(Object& o, ImageLayers& layers);

}  // namespace bottle::wire
