// Supports tests of ledgers.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files/directories.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "session/ledger/ledger.h"

namespace bottle::session {

// Owns a state directory that is removed at the end of its test.
struct Scratch {
  std::string path = std::filesystem::temp_directory_path() / ("session_test-" + random_hex(6));
  Directories directories{"", path + "/sessions", path + "/results", ""};
  Scratch() { (void)make_directories(path); }
  ~Scratch() { std::filesystem::remove_all(path); }

  // Writes the ledger of a session whose owner is dead, with these records after the first. Returns the session's
  // directory.
  std::string dead(const std::string& session, const std::vector<std::string>& records,
                   const std::string& below = "sessions") const {
    Owner owner = Owner::self();
    owner.process.start_time += "1";
    std::string directory = path + "/" + below + "/" + session, text = "{\"owner\":\"" + owner.to_label() + "\"}\n";
    for (const auto& record : records) text += record + "\n";
    EXPECT_TRUE(make_directories(directory));
    EXPECT_TRUE(write_file_atomically(directory + "/ledger", text));
    return directory;
  }
};

// Makes the ledger of each grave as old as after a request without an answer, which takes up to 10 minutes.
inline void age_graves(const std::string& graves) {
  for (const auto& grave : std::filesystem::directory_iterator(graves))
    std::filesystem::last_write_time(grave.path() / "ledger",
                                     std::filesystem::file_time_type::clock::now() - std::chrono::minutes(10));
}

// Returns whether each grave is so new that a sweep that finds nothing keeps it.
inline bool are_graves_new(const std::string& graves) {
  std::filesystem::directory_iterator all(graves);
  return std::ranges::all_of(all, [](const auto& grave) {
    auto age =
        std::filesystem::file_time_type::clock::now() - std::filesystem::last_write_time(grave.path() / "ledger");
    return age < std::chrono::minutes(1);
  });
}

inline constexpr const char* kMakes =
    R"({"make":[{"kind":"network","name":"bottle-x1"},{"kind":"container","name":"bottle-x1-agent"}]})";

}  // namespace bottle::session
