// Address space layout randomization, for programs that read what an agent sends.
#pragma once

namespace bottle {

// Runs this program again, randomized, if it was started without. A VM whose processor is emulated starts all its
// programs that way: code at the same addresses is translated once, not at each exec, which makes an engine there twice
// as fast (providers/qemu). First thing in main(); returns if nothing is to be done, or if it cannot be.
void restore_randomization(char** argv);

}  // namespace bottle
