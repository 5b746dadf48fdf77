// syncfs(2) reports errors of writing since Linux 5.8.
#include "base/files/flush_file_system.h"

#include <unistd.h>

namespace bottle {

int flush_file_system(int fd) { return ::syncfs(fd); }

}  // namespace bottle
