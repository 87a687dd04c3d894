#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// prctl and syscall take variable arguments, which Swift cannot call.

/// Asks the kernel to send this process a signal when the thread that started it ends; 0 on success.
static inline int process_signal_on_parent_death(int signal) {
  return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0UL, 0UL, 0UL);
}

/// Makes this process the parent of all descendants whose own parents end; 0 on success.
static inline int process_adopt_orphans(void) {
  return prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
}

/// Starts a command, looked up in PATH, in a session of its own; the kernel kills it when this process ends.
///
/// Signals are as at the start of a program. A command that cannot be started says why on standard error and ends
/// with 127. Returns the process, or -1.
static inline pid_t process_start_dying_with_parent(char *const arguments[]) {
  pid_t parent = getpid();
  pid_t child = fork();
  if (child != 0) return child;
  setsid();
  prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0UL, 0UL, 0UL);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  execvp(arguments[0], arguments);
  dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
  _exit(127);
}

/// Gives two paths of one file system each other's contents at once; 0 on success, else -1 with errno.
static inline int paths_exchange(const char *one, const char *other) {
  const unsigned exchange = 2;  // RENAME_EXCHANGE of <linux/fs.h>
  return (int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, exchange);
}
