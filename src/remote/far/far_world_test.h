// Provides a machine for tests of the far side's verbs.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "docker/fake/fake_engine.h"
#include "remote/far/far.h"
#include "session/ledger/scratch_test.h"
#include "wire/frames/frames.h"
#include "wire/request.h"

namespace bottle::remote {

using wire::FrameType;

// A machine with one engine, and with a near side that asks about session `nightly`.
class Far : public ::testing::Test {
 protected:
  Far() { world_.directories = scratch_.directories; }
  std::string results() const { return world_.directories.results + "/nightly"; }
  // Makes the results of a session that has ended.
  void end_session(const std::string& id) {
    ASSERT_TRUE(make_directories(results()));
    if (!id.empty()) {
      ASSERT_TRUE(write_file_atomically(results() + "/id", id));
    }
    ASSERT_TRUE(write_file_atomically(results() + "/workspace.tar", "the work"));
  }
  bool has_work() const { return std::filesystem::exists(results() + "/workspace.tar"); }
  int far(const std::vector<std::string>& words) { return far_main(world_, words); }
  void use_engine() {
    world_.engine_socket = "/run/docker.sock";
    world_.connect = [this](const docker::Endpoint&) { return docker_.connect(); };
  }
  // Attaches as a near side does that has lost its connection, and returns the last frame of the answer. `engine_id` is
  // as in wire::Attach. Another thread reads the answer meanwhile, and counts the pongs in it.
  wire::Frame attached(const std::string& id, const std::optional<std::string>& engine_id = std::nullopt) {
    auto request = make_pipe(), answer = make_pipe();
    EXPECT_TRUE(request && answer);
    EXPECT_TRUE(wire::send_frame(request->write.get(), FrameType::attach,
                                 wire::encode(wire::Attach{"nightly", 0, id, engine_id})));
    UniqueFd stdin_before(::dup(0)), stdout_before(::dup(1));
    ::dup2(request->read.get(), 0);
    ::dup2(std::exchange(answer->write, UniqueFd()).get(), 1);
    auto last = std::async(std::launch::async, [&] { return last_frame(answer->read.get()); });
    far({"serve"});
    ::dup2(stdin_before.get(), 0);
    ::dup2(stdout_before.get(), 1);  // ends the answer
    return last.get();
  }
  // Reads a hello and all frames after it.
  wire::Frame last_frame(int fd) {
    wire::FrameReader reader;
    wire::Frame last{};
    bool greeted = false;
    char buffer[4096];
    for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) {
      std::string_view bytes(buffer, static_cast<size_t>(n));
      size_t end = greeted ? 0 : bytes.find('\n');
      if (end == bytes.npos) continue;
      reader.feed(bytes.substr(greeted ? 0 : end + 1));
      greeted = true;
      while (auto frame = reader.next()) {
        if (frame->type == FrameType::pong) ++pongs_;
        last = std::move(*frame);
      }
    }
    return last;
  }

  docker::FakeDocker docker_;
  session::Scratch scratch_;
  FarWorld world_;
  std::atomic<int> pongs_ = 0;  // of all answers
};

}  // namespace bottle::remote
