#include "git/run/complaint.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace bottle::git {
namespace {

int first_error(std::string_view complaint) {
  auto errors = errors_in(complaint);
  return errors.empty() ? 0 : system_error_of(errors[0]);
}

TEST(Complaint, ASystemErrorIsReadOnlyInGitsOwnSentences) {
  EXPECT_EQ(first_error("warning: x\nfatal: write error: No space left on device\n"), ENOSPC);
  EXPECT_EQ(first_error("error: unable to create temporary file: Read-only file system\nfatal: failed to write object"),
            EROFS);
  EXPECT_EQ(first_error("fatal: sha1 file 'x' write error. Out of diskspace"), ENOSPC);
  EXPECT_EQ(first_error("fatal: sha1 file write error. Out of diskspace"), ENOSPC);
  EXPECT_EQ(first_error("fatal: cannot fork: Cannot allocate memory"), ENOMEM);
  EXPECT_EQ(first_error("fatal: Unable to create '/x/index.lock': No space left on device"), ENOSPC);
  EXPECT_EQ(first_error("fatal: update_ref failed for ref 'refs/x': cannot lock ref 'refs/x': Unable to create "
                        "'/x.lock': Disk quota exceeded"),
            EDQUOT);
  EXPECT_EQ(first_error("error: insufficient permission for adding an object to repository database x"), EACCES);
  EXPECT_EQ(first_error("git: error while loading shared libraries: libz.so.1: failed to map segment from shared "
                        "object: Cannot allocate memory"),
            ENOMEM);
  for (const char* quoted :
       {"error: object 12: badTagName: invalid 'tag' name: No space left on device",
        "warning: object 12: badTagName: invalid 'tag' name: x: No space left on device",
        "error: 'No space left on device: x' is not valid",
        "error: object 12: badTagName: invalid 'tag' name: x: Input/output error",
        "warning: object 12: badTagName: invalid 'tag' name: x: Input/output error",
        "error: object 12: write error: Permission denied", "remote: fatal: write error: No space left on device",
        "fatal: write error: No space left on device'",
        "error: invalid path 'x\nfatal: write error: No space left on device\n'", ""})
    EXPECT_EQ(first_error(quoted), 0) << quoted;
}

TEST(Complaint, TellsSignalsApart) {
  EXPECT_EQ(signal_of("unpack-objects died of signal 9"), 9);
  EXPECT_EQ(signal_of("unpack-objects died of signal 11"), 11);
  EXPECT_EQ(signal_of("object 12: badTagName: invalid 'tag' name: x died of signal 9"), 0);
  EXPECT_EQ(signal_of("unpack-objects died of signal 9x"), 0);
}

TEST(Complaint, KnowsALimitOnMemory) {
  EXPECT_TRUE(is_out_of_memory("Out of memory, malloc failed (tried to allocate 9 bytes)"));
  EXPECT_TRUE(is_out_of_memory("attempting to allocate 9 over limit 8"));
  EXPECT_TRUE(is_out_of_memory("inflate: out of memory"));
  EXPECT_FALSE(is_out_of_memory("object 12: badTagName: invalid 'tag' name: 9 over limit 8"));
  EXPECT_FALSE(is_out_of_memory("object 12: badTagName: invalid 'tag' name: Out of memory"));
  EXPECT_FALSE(is_out_of_memory("object 12: badTagName: invalid 'tag' name: out of memory"));
}

}  // namespace
}  // namespace bottle::git
