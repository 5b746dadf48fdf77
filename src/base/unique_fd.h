// Owns a file descriptor and closes it.
#pragma once

#include <unistd.h>

#include <utility>

namespace bottle {

// Holds one descriptor, or -1 for none. It can be moved but not copied, so each descriptor is closed exactly once.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  // Returns the descriptor, or -1. The object keeps owning it.
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  // Gives up ownership: the caller must close the descriptor that it gets.
  int release() { return std::exchange(fd_, -1); }
  // Closes the descriptor it has, and takes ownership of `fd`. An error of close(2) is ignored.
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace bottle
