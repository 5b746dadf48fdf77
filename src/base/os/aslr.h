// Address space layout randomization, for programs that read what an agent sends.
#pragma once

namespace bottle {

// Executes this program again with randomization if it was started without. A VM with an emulated processor starts all
// programs without it, because code at fixed addresses is translated only once instead of at each exec, which makes an
// engine there twice as fast (providers/qemu). Call this first in main(). It returns if there is nothing to do or if it
// fails.
void restore_randomization(char** argv);

}  // namespace bottle
