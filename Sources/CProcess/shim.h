#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// prctl and syscall take variable arguments, which Swift cannot call.

/// Asks the kernel to send this process a signal when the thread that started it ends; 0 on success.
static inline int process_signal_on_parent_death(int signal) {
  return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0UL, 0UL, 0UL);
}

/// Gives two paths of one file system each other's contents at once; 0 on success, else -1 with errno.
static inline int paths_exchange(const char *one, const char *other) {
  const unsigned exchange = 2;  // RENAME_EXCHANGE of <linux/fs.h>
  return (int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, exchange);
}
