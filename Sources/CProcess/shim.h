#include <sys/prctl.h>

// prctl takes variable arguments, which Swift cannot call.

/// Asks the kernel to send this process a signal when the thread that started it ends; 0 on success.
static inline int process_signal_on_parent_death(int signal) {
  return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0UL, 0UL, 0UL);
}
